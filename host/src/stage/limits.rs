//! What one instance may use: its own time in a call, and linear memory.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

/// The guest's own time in the current call: the time that the call's future spends being polled. While a host call
/// waits, or the guest has yielded, nobody polls it, so neither counts.
#[derive(Clone)]
pub(crate) struct GuestTime(Arc<Counters>);

struct Counters {
    origin: Instant,
    /// Nanoseconds of the polls that ended.
    ended: AtomicU64,
    /// When the running poll began, in nanoseconds since `origin`.
    began: AtomicU64,
}

impl GuestTime {
    pub(crate) fn new() -> GuestTime {
        GuestTime(Arc::new(Counters { origin: Instant::now(), ended: AtomicU64::new(0), began: AtomicU64::new(0) }))
    }

    /// Runs one call and counts its time, from zero.
    pub(crate) async fn count<T>(&self, call: impl Future<Output = T>) -> T {
        self.0.ended.store(0, Relaxed);
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            self.0.began.store(self.0.now(), Relaxed);
            let poll = call.as_mut().poll(context);
            self.0.ended.store(self.spent_nanos(), Relaxed);
            poll
        })
        .await
    }

    /// Counts a wait in a host call too, and ends it when the call has spent its `limit`: for one that nothing else ends.
    pub(crate) async fn count_wait<T>(
        &self,
        limit: Duration,
        wait: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let started = Instant::now();
        let waited = tokio::time::timeout(limit.saturating_sub(self.spent()), wait).await;
        self.0.ended.fetch_add(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
        waited.unwrap_or_else(|_| Err(OverTime { limit }.into()))
    }

    /// What the call has spent so far. Only while it is polled.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_nanos())
    }

    fn spent_nanos(&self) -> u64 {
        let running = self.0.now().saturating_sub(self.0.began.load(Relaxed));
        self.0.ended.load(Relaxed).saturating_add(running)
    }
}

impl Counters {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Counts the linear memory of all memories of one instance. One that wants more traps: an allocator that is merely
/// refused would abort without a word.
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
}

impl MemoryLimit {
    pub(crate) fn new(limit: usize) -> MemoryLimit {
        MemoryLimit { limit, used: 0 }
    }

    /// What the instance may have, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(OverMemory { limit: self.limit }.into());
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// A table of function references is small in every real guest; unlimited ones would be a way around the memory limit.
const TABLE_ELEMENTS: usize = 1_000_000;

/// The guest wanted more memory than its stage's `limits.memory_bytes`.
#[derive(Debug, thiserror::Error)]
#[error("it needs more than its {} of memory (`limits.memory_bytes`)", Mebibytes(*limit))]
pub(crate) struct OverMemory {
    limit: usize,
}

/// The guest computed, or slept by itself, longer than its stage's `limits.call_secs`.
#[derive(Debug, thiserror::Error)]
#[error("it spent its {} s of computing or sleeping in one call (`limits.call_secs`)", limit.as_secs_f64())]
pub(crate) struct OverTime {
    pub(crate) limit: Duration,
}

struct Mebibytes(usize);

impl std::fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}
