//! Messages for the operator. Always there.

#[cfg(target_arch = "wasm32")]
use crate::bindings::log as host;
pub use crate::bindings::log::Level;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::log as host;

/// Writes one line to the host's log, with the stage's name. `fields` are shown as `key=value`.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<(String, String)> =
        fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    host::write(level, message, &fields);
}

/// [`write()`] at level trace.
pub fn trace(message: &str, fields: &[(&str, &str)]) {
    write(Level::Trace, message, fields);
}

/// [`write()`] at level debug.
pub fn debug(message: &str, fields: &[(&str, &str)]) {
    write(Level::Debug, message, fields);
}

/// [`write()`] at level info.
pub fn info(message: &str, fields: &[(&str, &str)]) {
    write(Level::Info, message, fields);
}

/// [`write()`] at level warn.
pub fn warn(message: &str, fields: &[(&str, &str)]) {
    write(Level::Warn, message, fields);
}

/// [`write()`] at level error.
pub fn error(message: &str, fields: &[(&str, &str)]) {
    write(Level::Error, message, fields);
}
