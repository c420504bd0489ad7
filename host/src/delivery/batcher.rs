//! Merges events into the batches that a stage is called with: by bytes, events, time, and `group_by` labels.
//!
//! A batch is closed when it is full, when its oldest event has waited for the batch's timeout, when the budget presses
//! it, when too many others are open, and when nothing more can come. While all instances are busy, batches that are due
//! or pressed stay open and grow.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::budget::{Budget, OpenBatch};
use super::claim::Claimed;
use crate::event::Labels;
use crate::pipeline::Batch;

/// Closed batches that may wait for an instance. One more than none, so that an instance never waits for the batcher.
const READY: usize = 1;

/// Open batches, at most. The labels that batches are grouped by are words of whoever sends a message.
const OPEN: usize = 1_000;

/// One stage's batcher.
pub struct Batcher {
    config: Batch,
    budget: Arc<Budget>,
    /// The oldest first, by the numbers in `by_key`.
    open: BTreeMap<u64, Group>,
    by_key: HashMap<Key, u64>,
    /// The open batch that took the last event, and its label set: most events share theirs with the one before.
    recent: Option<(Labels, u64)>,
    next: u64,
    ready: VecDeque<Vec<Claimed>>,
}

/// The values of the `group_by` labels.
type Key = Vec<Option<String>>;

/// A batch that still takes events.
struct Group {
    key: Key,
    events: Vec<Claimed>,
    bytes: usize,
    due: Instant,
    open: OpenBatch,
}

impl Batcher {
    /// A batcher for a stage with this `batch` table.
    pub fn new(config: Batch, budget: Arc<Budget>) -> Self {
        Batcher {
            config,
            budget,
            open: BTreeMap::new(),
            by_key: HashMap::new(),
            recent: None,
            next: 0,
            ready: VecDeque::new(),
        }
    }

    /// Moves events from `input` to batches in `output` until the input is closed and all is handed over, or nobody
    /// reads the output any more (then what is held is released).
    pub async fn run(mut self, mut input: mpsc::Receiver<Vec<Claimed>>, output: mpsc::Sender<Vec<Claimed>>) {
        let mut pressure = self.budget.pressure();
        let mut closed = false;
        loop {
            self.close_due(closed);
            if closed && self.open.is_empty() && self.ready.is_empty() {
                return;
            }
            let due = self.open.values().next().filter(|_| self.ready.is_empty()).map(|group| group.due);
            tokio::select! {
                permit = output.reserve(), if !self.ready.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(batch) = self.ready.pop_front() {
                        permit.send(batch);
                    }
                }
                events = input.recv(), if !closed && self.ready.len() <= READY => match events {
                    Some(events) => events.into_iter().for_each(|event| self.add(event)),
                    None => closed = true,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                Ok(()) = pressure.changed() => {}
                () = output.closed() => return,
            }
        }
    }

    fn add(&mut self, claimed: Claimed) {
        let bytes = claimed.event.bytes();
        let labels = claimed.event.labels.clone();
        let mut number = match &self.recent {
            Some((recent, number)) if Arc::ptr_eq(recent, &labels) => Some(*number),
            _ => self.by_key.get(&self.key(&labels)).copied(),
        };
        let has_room = |group: &Group| group.bytes + bytes <= self.config.max_bytes;
        if let Some(at) = number.take_if(|at| !self.open.get(at).is_some_and(has_room)) {
            self.close(at);
        }
        let number = number.unwrap_or_else(|| self.open(self.key(&labels)));
        self.recent = Some((labels, number));
        let Some(group) = self.open.get_mut(&number) else { return };
        group.open.add(&claimed);
        group.events.push(claimed);
        group.bytes += bytes;
        if group.events.len() >= self.config.max_events || group.bytes >= self.config.max_bytes {
            self.close(number);
        }
    }

    fn open(&mut self, key: Key) -> u64 {
        if self.open.len() >= OPEN
            && let Some((oldest, _)) = self.open.first_key_value()
        {
            self.close(*oldest);
        }
        let number = self.next;
        self.next += 1;
        self.by_key.insert(key.clone(), number);
        let due = Instant::now() + self.config.timeout;
        self.open.insert(number, Group { key, events: Vec::new(), bytes: 0, due, open: self.budget.open_batch() });
        number
    }

    fn key(&self, labels: &Labels) -> Key {
        let value = |key: &String| labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        self.config.group_by.iter().map(value).collect()
    }

    fn close_due(&mut self, all: bool) {
        let now = Instant::now();
        while let Some((number, oldest)) = self.open.first_key_value() {
            let is_due = all || self.ready.is_empty() && (oldest.due <= now || oldest.open.is_pressed());
            if !is_due {
                return;
            }
            self.close(*number);
        }
    }

    fn close(&mut self, number: u64) {
        if let Some(group) = self.open.remove(&number) {
            self.by_key.remove(&group.key);
            self.recent.take_if(|(_, recent)| *recent == number);
            self.ready.push_back(group.events);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::claim::{Claim, Ticket};
    use crate::event::Event;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Sends events `(account, bytes)`, one message each; returns the batches as sizes of their events.
    async fn batches(config: Batch, limit: usize, events: &[(&str, usize)], close: bool) -> Vec<Vec<usize>> {
        let budget = Budget::new(limit);
        let (input, receiver) = mpsc::channel(100);
        let (sender, mut output) = mpsc::channel(100);
        let batcher = tokio::spawn(Batcher::new(config, budget.clone()).run(receiver, sender));
        let (settle, _settled) = mpsc::unbounded_channel();
        for (account, bytes) in events {
            let event = Event {
                labels: Arc::from([("account".to_owned(), account.to_string())]),
                id: Default::default(),
                attrs: Default::default(),
                body: vec![b'x'; *bytes].into(),
                time: 0,
                version: 0,
            };
            let charge = budget.charge(*bytes);
            let claim = Claim::new("in".into(), event.clone(), charge.clone(), Ticket::new(0, settle.clone()));
            input.send(vec![Claimed { event, claim, charge }]).await.unwrap();
        }
        if close {
            drop(input);
            batcher.await.unwrap();
        } else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            batcher.abort();
        }
        let mut batches = Vec::new();
        while let Ok(batch) = output.try_recv() {
            batches.push(batch.iter().map(|claimed| claimed.event.body.len()).collect());
        }
        batches
    }

    fn config(max_bytes: usize, max_events: usize, timeout: Duration, group_by: &[&str]) -> Batch {
        Batch { max_bytes, max_events, timeout, group_by: group_by.iter().map(|l| l.to_string()).collect() }
    }

    #[tokio::test(start_paused = true)]
    async fn closes_by_events_bytes_group_and_end() {
        let events = [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 50)];
        let by_events = batches(config(1000, 2, HOUR, &[]), 1000, &events, true).await;
        assert_eq!(by_events, [vec![1, 2], vec![3, 4], vec![50]]);
        let by_bytes = batches(config(10, 100, HOUR, &[]), 1000, &events, true).await;
        assert_eq!(by_bytes, [vec![1, 2, 3, 4], vec![50]]);
        let by_group = batches(config(1000, 100, HOUR, &["account"]), 1000, &events, true).await;
        assert_eq!(by_group, [vec![1, 3, 50], vec![2, 4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_by_time() {
        let soon = config(1000, 100, Duration::from_millis(500), &[]);
        assert_eq!(batches(soon, 1000, &[("a", 1), ("a", 2)], false).await, [vec![1, 2]]);
        let late = config(1000, 100, HOUR, &[]);
        assert!(batches(late, 1000, &[("a", 1)], false).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn closes_at_once_when_it_is_exactly_full() {
        let events = [("a", 4), ("a", 6)];
        for full in [config(1000, 2, HOUR, &[]), config(10, 100, HOUR, &[])] {
            assert_eq!(batches(full, 1000, &events, false).await, [vec![4, 6]]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn closes_the_oldest_when_too_many_are_open() {
        let accounts: Vec<String> = (0..OPEN + 1).map(|n| n.to_string()).collect();
        let mut events: Vec<(&str, usize)> = accounts.iter().map(|account| (account.as_str(), 1)).collect();
        events.insert(1, ("0", 2));
        let closed = batches(config(1000, 100, HOUR, &["account"]), 1 << 20, &events, false).await;
        assert_eq!(closed, [vec![1, 2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_the_oldest_when_open_batches_keep_half_of_the_budget() {
        // The limit of the budget, and the batches closed though they are neither full nor due.
        let cases: [(usize, &[&[usize]]); 4] =
            [(40, &[]), (38, &[&[6, 5]]), (22, &[&[6], &[6]]), (10, &[&[6], &[6], &[5]])];
        for (limit, expected) in cases {
            let config = config(1000, 100, HOUR, &["account"]);
            let closed = batches(config, limit, &[("a", 6), ("b", 6), ("a", 5), ("c", 3)], false).await;
            assert_eq!(closed, expected, "limit {limit}");
        }
    }
}
