//! A clock that stands still until a test moves it.

use std::cell::Cell;
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600_000_000_000;

thread_local! {
    static SINCE_START: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Moves both clocks on.
pub fn advance(by: Duration) {
    SINCE_START.set(SINCE_START.get() + by);
}

pub(crate) fn now() -> u64 {
    START + monotonic()
}

pub(crate) fn monotonic() -> u64 {
    SINCE_START.get().as_nanos() as u64
}
