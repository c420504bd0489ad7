//! A standard output that tests can read.

use std::cell::RefCell;

use crate::bindings::capability::Error;

thread_local! {
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes what was written so far.
pub fn take() -> Vec<u8> {
    WRITTEN.take()
}

pub(crate) fn write(_binding: &str, bytes: &[u8]) -> Result<(), Error> {
    WRITTEN.with_borrow_mut(|written| written.extend_from_slice(bytes));
    Ok(())
}
