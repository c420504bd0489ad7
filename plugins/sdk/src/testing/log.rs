//! A log that tests can read.

use std::cell::RefCell;

use crate::log::Level;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Takes what was logged so far: the fields follow the message as `key=value`.
pub fn take() -> Vec<(Level, String)> {
    LINES.take()
}

pub(crate) fn write(level: Level, message: &str, fields: &[(String, String)]) {
    let fields: String = fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    LINES.with_borrow_mut(|lines| lines.push((level, format!("{message}{fields}"))));
}
