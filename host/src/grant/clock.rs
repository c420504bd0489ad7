//! The time.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use super::State;
use crate::stage::bindings::clock;

/// What `monotonic` counts from.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
