//! The time. Always there. std's own traps in a component.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::bindings::clock as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::clock as host;

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub fn now() -> u64 {
    host::now()
}

/// The time since some moment; never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}
