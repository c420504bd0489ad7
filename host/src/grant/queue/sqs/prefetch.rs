//! What is received before it is asked for, and how much of it: at most what the last `receive` asked for, and only while
//! somebody asks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::client::BATCH;
use crate::grant::queue::{Message, Messages, QueueError, no_messages};

/// A received message that waits for a guest.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) handle: u64,
    /// The message group of a FIFO queue.
    pub(super) group: Option<String>,
    /// As a guest gets them.
    pub(super) attrs: String,
    pub(super) body: Vec<u8>,
    /// Of a body that was fetched: its share of the memory that these may take.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Messages that wait for a guest, and the polls that bring more.
pub(super) struct Prefetch {
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    demand: Option<Demand>,
    /// Polls under way, and how many messages they may bring.
    polls: usize,
    asked: usize,
    /// How many polls may be under way: more while they come back full.
    most_polls: usize,
    /// What a message has about, in bytes.
    usual_bytes: usize,
    /// Why the last poll failed, until somebody is told.
    failure: Option<QueueError>,
    failures: u32,
    not_before: Option<Instant>,
    has_ended: bool,
}

/// What the last `receive` asked for.
struct Demand {
    messages: usize,
    bytes: usize,
    at: Instant,
}

/// Beyond this, a process with one connection each gains nothing.
const MOST_POLLS: usize = 16;

/// When nobody has asked for so long, what waits goes back to the queue: somebody else may have time for it.
const IDLE: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Prefetch {
    pub(super) fn new() -> Prefetch {
        Prefetch {
            ready: VecDeque::new(),
            ready_bytes: 0,
            demand: None,
            polls: 0,
            asked: 0,
            most_polls: 1,
            usual_bytes: 0,
            failure: None,
            failures: 0,
            not_before: None,
            has_ended: false,
        }
    }

    /// Somebody asks for so much.
    pub(super) fn demand(&mut self, messages: u32, bytes: u32, now: Instant) {
        self.demand = Some(Demand { messages: messages as usize, bytes: bytes as usize, at: now });
    }

    /// Hands out what is there: at most so many messages, about so many bytes, one at least.
    pub(super) fn take(&mut self, max_messages: u32, max_bytes: u32) -> Messages {
        let mut messages = no_messages();
        while messages.entries.len() < max_messages as usize {
            let fits = |next: &Ready| {
                messages.bodies.is_empty() || messages.bodies.len() + next.body.len() <= max_bytes as usize
            };
            if !self.ready.front().is_some_and(fits) {
                break;
            }
            let Some(next) = self.ready.pop_front() else { break };
            self.ready_bytes -= next.body.len();
            messages.attrs.push_str(&next.attrs);
            // The first one is taken over: a fetched one may be large.
            match messages.bodies.is_empty() {
                true => messages.bodies = next.body,
                false => messages.bodies.extend_from_slice(&next.body),
            }
            messages.entries.push(Message {
                handle: next.handle,
                attr_end: u32::try_from(messages.attrs.len()).unwrap_or(u32::MAX),
                body_end: u32::try_from(messages.bodies.len()).unwrap_or(u32::MAX),
            });
            // The guest's own limits hold it from here on.
            drop(next.room);
        }
        messages
    }

    /// Why nothing comes, told once.
    pub(super) fn failure(&mut self) -> Option<QueueError> {
        self.failure.take()
    }

    /// How many messages to poll for now, if any.
    pub(super) fn next_poll(&mut self, now: Instant) -> Option<usize> {
        let demand = self.demand.as_ref().filter(|demand| now - demand.at < IDLE)?;
        if self.has_ended || self.polls >= self.most_polls || self.not_before.is_some_and(|time| now < time) {
            return None;
        }
        let room = demand.messages.saturating_sub(self.ready.len() + self.asked);
        let bytes = demand.bytes.saturating_sub(self.ready_bytes + self.asked * self.usual_bytes);
        if room == 0 || bytes == 0 {
            return None;
        }
        let fitting = bytes.checked_div(self.usual_bytes).unwrap_or(BATCH).max(1);
        let messages = room.min(fitting).min(BATCH);
        self.polls += 1;
        self.asked += messages;
        Some(messages)
    }

    /// One of the messages of a poll waits for a guest.
    pub(super) fn add(&mut self, message: Ready) {
        self.usual_bytes = (self.usual_bytes * 7 + message.body.len()) / 8;
        self.ready_bytes += message.body.len();
        self.ready.push_back(message);
    }

    /// A poll for so many is over and brought so many, also such as were held already.
    pub(super) fn polled(&mut self, asked: usize, received: usize) {
        self.ended(asked);
        self.most_polls = match received {
            0 => 1,
            _ if received >= asked => (self.most_polls * 2).min(MOST_POLLS),
            _ => self.most_polls,
        };
        (self.failures, self.failure, self.not_before) = (0, None, None);
    }

    /// A poll for so many failed. Returns when the next may be.
    pub(super) fn failed(&mut self, asked: usize, error: QueueError, now: Instant) {
        self.ended(asked);
        self.most_polls = 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.failure = Some(error);
        self.not_before = Some(now + pause.mul_f64(rand::random_range(0.5..1.0)));
    }

    /// No more polls.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether there will be no more polls and none is under way.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended && self.polls == 0
    }

    /// When polls may begin again after a failure.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Takes out everything, if nobody has asked for long.
    pub(super) fn idle(&mut self, now: Instant) -> Vec<u64> {
        if self.demand.as_ref().is_some_and(|demand| now - demand.at < IDLE) {
            return Vec::new();
        }
        self.ready_bytes = 0;
        self.ready.drain(..).map(|ready| ready.handle).collect()
    }

    /// Takes out the messages of some groups: earlier ones of them go back, and must come first.
    pub(super) fn withdraw(&mut self, groups: &[String]) -> Vec<u64> {
        let is_one = |ready: &Ready| ready.group.as_ref().is_some_and(|group| groups.contains(group));
        let (withdrawn, left) = std::mem::take(&mut self.ready).into_iter().partition(is_one);
        self.ready = left;
        let withdrawn: VecDeque<Ready> = withdrawn;
        self.ready_bytes -= withdrawn.iter().map(|ready| ready.body.len()).sum::<usize>();
        withdrawn.into_iter().map(|ready| ready.handle).collect()
    }

    fn ended(&mut self, asked: usize) {
        self.polls -= 1;
        self.asked -= asked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(handle: u64, group: &str, bytes: usize) -> Ready {
        let group = (!group.is_empty()).then(|| group.to_owned());
        Ready { handle, group, attrs: "{}".to_owned(), body: vec![b'x'; bytes], room: None }
    }

    /// A poll that brought these, and perhaps others that were held already.
    fn polled(prefetch: &mut Prefetch, asked: usize, received: usize, ready: Vec<Ready>) {
        ready.into_iter().for_each(|message| prefetch.add(message));
        prefetch.polled(asked, received);
    }

    fn handles(messages: &Messages) -> Vec<u64> {
        messages.entries.iter().map(|message| message.handle).collect()
    }

    #[test]
    fn no_more_is_polled_than_was_asked_for() {
        let (mut prefetch, now) = (Prefetch::new(), Instant::now());
        assert_eq!(prefetch.next_poll(now), None, "nobody has asked");
        prefetch.demand(25, 1000, now);
        assert_eq!(prefetch.next_poll(now), Some(10));
        assert_eq!(prefetch.next_poll(now), None, "one poll until it is known that there is more");
        polled(&mut prefetch, 10, 10, (0..10).map(|handle| ready(handle, "", 1)).collect());
        assert_eq!(prefetch.next_poll(now), Some(10));
        assert_eq!(prefetch.next_poll(now), Some(5));
        polled(&mut prefetch, 10, 10, (10..20).map(|handle| ready(handle, "", 1)).collect());
        assert_eq!(prefetch.next_poll(now), None);
        assert_eq!(prefetch.take(25, 1000).entries.len(), 20);
        assert_eq!(prefetch.next_poll(now), Some(10));
        polled(&mut prefetch, 10, 0, Vec::new());
        assert_eq!(prefetch.next_poll(now), None, "the queue is empty: the one poll that is left waits");
    }

    #[test]
    fn no_more_bytes_are_polled_than_were_asked_for() {
        let (mut prefetch, now) = (Prefetch::new(), Instant::now());
        prefetch.demand(100, 1000, now);
        assert_eq!(prefetch.next_poll(now), Some(10));
        polled(&mut prefetch, 10, 10, (0..10).map(|handle| ready(handle, "", 99)).collect());
        assert_eq!(prefetch.next_poll(now), Some(1));
        polled(&mut prefetch, 1, 1, vec![ready(10, "", 99)]);
        assert_eq!(prefetch.next_poll(now), None);
    }

    #[test]
    fn a_receive_is_bounded_but_takes_one_at_least() {
        let mut prefetch = Prefetch::new();
        prefetch.demand(10, 100, Instant::now());
        prefetch.next_poll(Instant::now());
        polled(
            &mut prefetch,
            10,
            4,
            [(1, 9), (2, 2), (3, 2), (4, 1)].map(|(handle, size)| ready(handle, "", size)).into(),
        );
        assert_eq!(handles(&prefetch.take(10, 5)), [1]);
        assert_eq!(handles(&prefetch.take(10, 4)), [2, 3]);
        assert_eq!(handles(&prefetch.take(0, 4)), [] as [u64; 0]);
        assert_eq!(handles(&prefetch.take(1, 4)), [4]);
    }

    #[test]
    fn what_nobody_asks_for_goes_back() {
        let (mut prefetch, now) = (Prefetch::new(), Instant::now());
        prefetch.demand(10, 100, now);
        prefetch.next_poll(now);
        polled(&mut prefetch, 10, 1, vec![ready(1, "", 1)]);
        assert_eq!(prefetch.idle(now), [] as [u64; 0]);
        assert_eq!(prefetch.idle(now + IDLE), [1]);
        assert_eq!(prefetch.next_poll(now + IDLE), None);
        prefetch.demand(10, 100, now + IDLE);
        assert_eq!(prefetch.next_poll(now + IDLE), Some(10));
        prefetch.end();
        assert!(!prefetch.has_ended(), "one is under way");
        polled(&mut prefetch, 10, 10, Vec::new());
        assert!(prefetch.has_ended());
        assert_eq!(prefetch.next_poll(now + IDLE), None);
    }

    #[test]
    fn later_messages_of_a_group_go_back_with_the_earlier_ones() {
        let (mut prefetch, now) = (Prefetch::new(), Instant::now());
        prefetch.demand(10, 100, now);
        prefetch.next_poll(now);
        polled(
            &mut prefetch,
            10,
            3,
            [(1, "a"), (2, "b"), (3, "a")].map(|(handle, group)| ready(handle, group, 1)).into(),
        );
        assert_eq!(prefetch.withdraw(&["a".to_owned()]), [1, 3]);
        assert_eq!(handles(&prefetch.take(10, 100)), [2]);
    }

    #[test]
    fn polls_pause_after_a_failure_which_is_told_once() {
        let (mut prefetch, now) = (Prefetch::new(), Instant::now());
        prefetch.demand(10, 100, now);
        prefetch.next_poll(now);
        prefetch.failed(10, QueueError::Busy { queue: "q".to_owned() }, now);
        assert_eq!(prefetch.next_poll(now), None);
        assert!(prefetch.failure().is_some() && prefetch.failure().is_none());
        assert_eq!(prefetch.next_poll(now + FIRST_PAUSE), Some(10));
    }
}
