//! Bytes of events that may be in flight, over all branches.
//!
//! What counts are the buffers that events keep alive, once for each call that made them, and the copy that a running
//! call was given. A source reads only while
//! there is room; transforms may exceed the limit by what they make of what was let in, else nothing could ever leave.
//!
//! Open batches, which wait for more events, may keep alive half of the limit. Beyond that the oldest is pressed: its
//! batcher closes it, so that it is written while the other half lets events go on. A slow, large archive batch never
//! throttles the pipeline. What is being written, or waits for it, presses nothing: a slow cluster does not cut the
//! archive to crumbs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use super::claim::Claimed;

/// The limit and what is used of it.
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    room: Notify,
    open: Mutex<Open>,
    /// The number of the open batch that must be closed.
    pressed: watch::Sender<Option<u64>>,
}

/// Bytes taken from a budget, given back on drop.
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
    /// How often open batches hold it. Changes only under the lock of `Budget::open`.
    open: AtomicUsize,
}

/// A batch that waits for more events, as the budget sees it, until it is dropped.
pub struct OpenBatch {
    budget: Arc<Budget>,
    number: u64,
    /// What its events keep alive. Events of one call come one after the other: only runs of them are told apart.
    charges: Vec<Arc<Charge>>,
    origins: Vec<Arc<Charge>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    batches: BTreeSet<u64>,
    bytes: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget {
            limit,
            used: AtomicUsize::new(0),
            room: Notify::new(),
            open: Mutex::default(),
            pressed: watch::channel(None).0,
        })
    }

    /// Takes bytes, room or not.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Arc<Charge> {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Arc::new(Charge { budget: self.clone(), bytes, open: AtomicUsize::new(0) })
    }

    /// Bytes that may be in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes in flight.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Returns when there is room.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            if self.used() < self.limit {
                return;
            }
            room.await;
        }
    }

    /// Opens a batch, younger than all that are open.
    pub fn open_batch(self: &Arc<Self>) -> OpenBatch {
        let number = self.change(|open| {
            open.next += 1;
            open.batches.insert(open.next);
            open.next
        });
        OpenBatch { budget: self.clone(), number, charges: Vec::new(), origins: Vec::new() }
    }

    /// Changes when another batch must be closed, or none: see [`OpenBatch::is_pressed`].
    pub fn pressure(&self) -> watch::Receiver<Option<u64>> {
        self.pressed.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Open) -> T) -> T {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut open);
        let oldest = open.batches.first().copied().filter(|_| open.bytes > self.limit / 2);
        self.pressed.send_if_modified(|pressed| std::mem::replace(pressed, oldest) != oldest);
        result
    }
}

impl OpenBatch {
    /// Takes one more event, which stays until the batch is closed.
    pub fn add(&mut self, claimed: &Claimed) {
        hold(&self.budget, &mut self.charges, &claimed.charge);
        if let Some(origin) = claimed.claim.origin() {
            hold(&self.budget, &mut self.origins, &origin.charge);
        }
    }

    /// Whether it must be closed: it is the oldest, and open batches keep too much alive.
    pub fn is_pressed(&self) -> bool {
        *self.budget.pressed.borrow() == Some(self.number)
    }
}

fn hold(budget: &Budget, held: &mut Vec<Arc<Charge>>, charge: &Arc<Charge>) {
    if held.last().is_some_and(|last| Arc::ptr_eq(last, charge)) {
        return;
    }
    budget.change(|open| {
        if charge.open.fetch_add(1, Ordering::Relaxed) == 0 {
            open.bytes += charge.bytes;
        }
    });
    held.push(charge.clone());
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        self.budget.change(|open| {
            open.batches.remove(&self.number);
            for charge in self.charges.iter().chain(&self.origins) {
                if charge.open.fetch_sub(1, Ordering::Relaxed) == 1 {
                    open.bytes -= charge.bytes;
                }
            }
        });
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
    use crate::delivery::claim::{Claim, Ticket};
    use crate::event::Event;

    /// What came of one message of so many bytes: the message on one branch, and a document of it on another.
    fn message(budget: &Arc<Budget>, bytes: usize, document_bytes: usize) -> [Claimed; 2] {
        let event = Event {
            labels: Arc::from([]),
            id: Default::default(),
            attrs: Default::default(),
            body: Default::default(),
            time: 0,
            version: 0,
        };
        let charge = budget.charge(bytes);
        let ticket = Ticket::new(0, tokio::sync::mpsc::unbounded_channel().0);
        let claim = Claim::new("in".into(), event.clone(), charge.clone(), ticket);
        let document = Claimed { event: event.clone(), claim: claim.clone(), charge: budget.charge(document_bytes) };
        [Claimed { event, claim, charge }, document]
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_waits_for_room() {
        let budget = Budget::new(100);
        budget.room().await;
        let [small, large] = [budget.charge(1), budget.charge(99)];
        let mut waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.room().await }
        });
        assert!(tokio::time::timeout(std::time::Duration::from_secs(3600), &mut waiting).await.is_err());
        drop(small);
        waiting.await.unwrap();
        drop(large);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_oldest_open_batch_is_pressed_until_open_batches_keep_no_more_than_half() {
        let budget = Budget::new(100);
        let [message_a, document_a] = message(&budget, 20, 30);
        let [message_b, _in_work] = message(&budget, 15, 500);
        let (mut archive, mut documents) = (budget.open_batch(), budget.open_batch());
        let pressed = |archive: &OpenBatch, documents: &OpenBatch| [archive.is_pressed(), documents.is_pressed()];

        archive.add(&message_a);
        documents.add(&document_a);
        assert_eq!(
            pressed(&archive, &documents),
            [false, false],
            "half, each buffer once; what is worked on presses not"
        );
        archive.add(&message_b);
        assert_eq!(pressed(&archive, &documents), [true, false], "the oldest");
        let younger = budget.open_batch();
        drop(archive);
        assert_eq!(pressed(&younger, &documents), [false, false], "half: the document keeps its message alive");
        drop(documents);
        drop((message_a, document_a, message_b, _in_work));
        assert_eq!((budget.used(), budget.open.lock().unwrap().bytes), (0, 0));
    }

    #[test]
    fn a_buffer_in_many_batches_is_open_until_the_last_is_closed() {
        let budget = Budget::new(100);
        let [event, _] = message(&budget, 60, 0);
        let mut batches = [(); 3].map(|()| budget.open_batch());
        batches.iter_mut().for_each(|batch| batch.add(&event));
        let mut closed = 0;
        for batch in batches {
            assert!(batch.is_pressed(), "batch {closed}: closing those before it freed nothing");
            closed += 1;
        }
        assert_eq!((closed, *budget.pressure().borrow()), (3, None));
    }
}
