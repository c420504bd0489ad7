//! Bytes of events that may be in flight, over all branches.
//!
//! What counts are the buffers that events keep alive, once for each call that made them. A source reads only while
//! there is room; transforms may exceed the limit by what they make of what was let in, else nothing could ever leave.
//!
//! Room can be short because open batches wait for more events that cannot come. Then the budget presses, and batchers
//! close their oldest batch: a slow, large archive batch never throttles the pipeline. Where writes in progress are what
//! fills the budget (a slow cluster), open batches are left alone: pressing them would cut the archive to crumbs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a source without room waits before it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After so many looks at which nothing had moved, open batches are pressed whatever they hold.
const STUCK_LOOKS: u32 = 50;

/// The limit and what is used of it.
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    open: AtomicUsize,
    room: Notify,
    pressure: watch::Sender<u64>,
}

/// Bytes taken from a budget, given back on drop.
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget {
            limit,
            used: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            room: Notify::new(),
            pressure: watch::channel(0).0,
        })
    }

    /// Takes bytes, room or not.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Arc<Charge> {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Arc::new(Charge { budget: self.clone(), bytes })
    }

    /// Bytes that may be in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes in flight.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Counts bytes of events that wait in open batches.
    pub fn opened(&self, bytes: usize) {
        self.open.fetch_add(bytes, Ordering::AcqRel);
    }

    /// They wait no longer.
    pub fn closed(&self, bytes: usize) {
        self.open.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Returns when there is room; presses while open batches are what fills it, or nothing moves.
    pub async fn room(&self) {
        let (mut last, mut looks) = (0, 0);
        loop {
            let room = self.room.notified();
            let used = self.used();
            if used < self.limit {
                return;
            }
            looks = if used == last { looks + 1 } else { 0 };
            last = used;
            if self.open.load(Ordering::Acquire) * 2 >= used || looks >= STUCK_LOOKS {
                self.pressure.send_modify(|n| *n += 1);
                looks = 0;
            }
            let _ = timeout(LOOK_EVERY, room).await;
        }
    }

    /// Changes each time a source finds no room.
    pub fn pressure(&self) -> watch::Receiver<u64> {
        self.pressure.subscribe()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
        if before >= self.budget.limit && before - self.bytes < self.budget.limit {
            self.budget.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_waits_for_room_and_presses_open_batches() {
        // bytes in open batches of 100 in flight, presses in 350 ms: none while writes are what fills the budget.
        for (open, presses) in [(0, 0), (40, 0), (50, 18), (100, 18)] {
            let budget = Budget::new(100);
            let pressure = budget.pressure();
            budget.room().await;
            let charge = budget.charge(100);
            budget.opened(open);
            let waiting = tokio::spawn({
                let budget = budget.clone();
                async move { budget.room().await }
            });
            tokio::time::sleep(Duration::from_millis(350)).await;
            assert!(!waiting.is_finished());
            assert_eq!(*pressure.borrow(), presses, "{open} bytes open");
            drop(charge);
            waiting.await.unwrap();
            assert_eq!(budget.used(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_move_is_pressed_in_the_end() {
        let budget = Budget::new(1);
        let pressure = budget.pressure();
        let _charge = budget.charge(1);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.room().await }
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(*pressure.borrow() >= 1);
        waiting.abort();
    }
}
