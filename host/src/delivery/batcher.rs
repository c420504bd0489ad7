//! Merges events into the batches that a stage is called with: by bytes, events, time, and `group_by` labels.
//!
//! A batch is closed when it is full, when its oldest event has waited for the batch's timeout, when the budget presses
//! it, and when nothing more can come. While all instances are busy, batches that are due or pressed stay open and grow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::budget::{Budget, OpenBatch};
use super::claim::Claimed;
use crate::event::Labels;
use crate::pipeline::Batch;

/// Closed batches that may wait for an instance. One more than none, so that an instance never waits for the batcher.
const READY: usize = 1;

/// One stage's batcher.
pub struct Batcher {
    config: Batch,
    budget: Arc<Budget>,
    open: VecDeque<Group>,
    ready: VecDeque<Vec<Claimed>>,
}

/// A batch that still takes events. In `open` the oldest stands first.
struct Group {
    key: Vec<Option<String>>,
    events: Vec<Claimed>,
    bytes: usize,
    due: Instant,
    open: OpenBatch,
    /// The last label set seen to belong here: most events share theirs with the one before.
    labels: Labels,
}

impl Batcher {
    /// A batcher for a stage with this `batch` table.
    pub fn new(config: Batch, budget: Arc<Budget>) -> Self {
        Batcher { config, budget, open: VecDeque::new(), ready: VecDeque::new() }
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
            let due = self.open.front().filter(|_| self.ready.is_empty()).map(|group| group.due);
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
        let at = self.group_of(&claimed.event.labels);
        let full =
            |group: &Group| group.events.len() >= self.config.max_events || group.bytes + bytes > self.config.max_bytes;
        let at = match at {
            Some(at) if self.open.get(at).is_some_and(full) => {
                self.close(at);
                None
            }
            found => found,
        };
        if let Some(group) = at.and_then(|at| self.open.get_mut(at)) {
            group.labels = claimed.event.labels.clone();
            group.open.add(&claimed);
            group.events.push(claimed);
            group.bytes += bytes;
        } else {
            let mut open = self.budget.open_batch();
            open.add(&claimed);
            self.open.push_back(Group {
                key: self.key(&claimed.event.labels),
                labels: claimed.event.labels.clone(),
                bytes,
                events: vec![claimed],
                due: Instant::now() + self.config.timeout,
                open,
            });
        }
    }

    fn group_of(&self, labels: &Labels) -> Option<usize> {
        if self.config.group_by.is_empty() {
            return (!self.open.is_empty()).then_some(0);
        }
        self.open.iter().position(|group| Arc::ptr_eq(&group.labels, labels)).or_else(|| {
            let key = self.key(labels);
            self.open.iter().position(|group| group.key == key)
        })
    }

    fn key(&self, labels: &Labels) -> Vec<Option<String>> {
        let value = |key: &String| labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        self.config.group_by.iter().map(value).collect()
    }

    fn close_due(&mut self, all: bool) {
        let now = Instant::now();
        let is_due = |group: &Group| all || group.due <= now || group.open.is_pressed();
        while (all || self.ready.is_empty()) && self.open.front().is_some_and(is_due) {
            self.close(0);
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(group) = self.open.remove(at) {
            self.ready.push_back(group.events);
        }
    }
}

/// Waits between attempts: exponential, with jitter, for ever.
pub fn backoff(initial: Duration, max: Duration) -> impl Iterator<Item = Duration> {
    use backon::{BackoffBuilder as _, ExponentialBuilder};
    ExponentialBuilder::default().with_min_delay(initial).with_max_delay(max).with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
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
