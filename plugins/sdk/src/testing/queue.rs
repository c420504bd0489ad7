//! Queues in memory. A binding is granted once a test has called [`grant`], [`put`] or [`take`] for it. What is sent with
//! `delay_secs` can be received when the test's clock has moved so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use crate::bindings::capability::Error;
use crate::bindings::queue::{Backlog, ItemError, Message, Messages, Outgoing};

thread_local! {
    static QUEUES: RefCell<BTreeMap<String, Queue>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Default)]
struct Queue {
    next_handle: u64,
    visible: VecDeque<(u64, String, Vec<u8>)>,
    /// Sent with a delay: visible from this time on.
    delayed: Vec<(u64, String, Vec<u8>)>,
    received: BTreeMap<u64, (String, Vec<u8>)>,
}

/// Grants the binding an empty queue.
pub fn grant(binding: &str) {
    with(binding, |_| ());
}

/// Puts a message into the binding's queue, as if it had been sent. `attrs` is what a reader gets to see; where it comes
/// again, with `receive_count`.
pub fn put(binding: &str, attrs: &str, body: &[u8]) {
    with(binding, |queue| queue.push(attrs.to_owned(), body.to_vec()));
}

/// Takes the messages that are visible: attributes, as they were given, and body.
pub fn take(binding: &str) -> Vec<(String, Vec<u8>)> {
    with(binding, |queue| {
        queue.ripen();
        queue.visible.drain(..).map(|(_, attrs, body)| (attrs, body)).collect()
    })
}

/// Makes all that was received and neither deleted nor released visible again, as after a crash of the reader.
pub fn crash(binding: &str) {
    with(binding, |queue| {
        for (_, (attrs, body)) in std::mem::take(&mut queue.received) {
            queue.push_again(&attrs, body);
        }
    });
}

/// The messages that are delayed: attributes, as they were given, and body. They stay.
pub fn delayed(binding: &str) -> Vec<(String, Vec<u8>)> {
    with(binding, |queue| queue.delayed.iter().map(|(_, attrs, body)| (attrs.clone(), body.clone())).collect())
}

/// How many messages have been received and neither deleted nor released.
pub fn held(binding: &str) -> usize {
    with(binding, |queue| queue.received.len())
}

impl Queue {
    fn push(&mut self, attrs: String, body: Vec<u8>) {
        self.next_handle += 1;
        self.visible.push_back((self.next_handle, attrs, body));
    }

    /// What was received comes again, and says so.
    fn push_again(&mut self, attrs: &str, body: Vec<u8>) {
        let mut attrs: serde_json::Map<String, serde_json::Value> = serde_json::from_str(attrs).unwrap_or_default();
        let count = attrs.get("receive_count").and_then(serde_json::Value::as_u64).unwrap_or(1);
        attrs.insert("receive_count".to_owned(), (count + 1).into());
        self.push(serde_json::Value::from(attrs).to_string(), body);
    }

    /// Puts what is no longer delayed where it can be received.
    fn ripen(&mut self) {
        let now = super::clock::now();
        self.delayed.sort_by_key(|(at, ..)| *at);
        let ripe = self.delayed.partition_point(|(at, ..)| *at <= now);
        for (_, attrs, body) in self.delayed.drain(..ripe).collect::<Vec<_>>() {
            self.push(attrs, body);
        }
    }
}

pub(crate) fn receive(binding: &str, max_messages: u32, max_bytes: u32, _max_wait_ms: u32) -> Result<Messages, Error> {
    granted(binding, |queue| {
        queue.ripen();
        let mut messages = Messages { entries: Vec::new(), attrs: String::new(), bodies: Vec::new() };
        while messages.entries.len() < max_messages as usize && messages.bodies.len() < max_bytes as usize {
            let Some((handle, attrs, body)) = queue.visible.pop_front() else { break };
            messages.attrs.push_str(&attrs);
            messages.bodies.extend_from_slice(&body);
            let (attr_end, body_end) = (messages.attrs.len() as u32, messages.bodies.len() as u32);
            messages.entries.push(Message { handle, attr_end, body_end });
            queue.received.insert(handle, (attrs, body));
        }
        messages
    })
}

pub(crate) fn delete(binding: &str, handles: &[u64]) -> Result<Vec<ItemError>, Error> {
    granted(binding, |queue| take_back(queue, handles, |_, _, _| ()))
}

pub(crate) fn release(binding: &str, handles: &[u64]) -> Result<Vec<ItemError>, Error> {
    granted(binding, |queue| take_back(queue, handles, |queue, attrs, body| queue.push_again(&attrs, body)))
}

pub(crate) fn send(binding: &str, messages: &Outgoing) -> Result<Vec<ItemError>, Error> {
    granted(binding, |queue| {
        let (mut attrs, mut body) = (0, 0);
        for entry in &messages.entries {
            let (attr_end, body_end) = (entry.attr_end as usize, entry.body_end as usize);
            let attrs_of = messages.attrs.get(attrs..attr_end).unwrap_or_default();
            let body_of = messages.bodies.get(body..body_end).unwrap_or_default();
            match delay_secs(attrs_of) {
                0 => queue.push(attrs_of.to_owned(), body_of.to_vec()),
                secs => {
                    let at = super::clock::now() + secs * 1_000_000_000;
                    queue.delayed.push((at, attrs_of.to_owned(), body_of.to_vec()));
                }
            }
            (attrs, body) = (attr_end, body_end);
        }
        Vec::new()
    })
}

pub(crate) fn depth(binding: &str) -> Result<Backlog, Error> {
    granted(binding, |queue| {
        queue.ripen();
        Backlog {
            visible: queue.visible.len() as u64,
            invisible: queue.received.len() as u64,
            delayed: queue.delayed.len() as u64,
        }
    })
}

fn delay_secs(attrs: &str) -> u64 {
    let attrs: serde_json::Value = serde_json::from_str(attrs).unwrap_or_default();
    attrs.get("delay_secs").and_then(serde_json::Value::as_u64).unwrap_or(0)
}

fn take_back(queue: &mut Queue, handles: &[u64], mut then: impl FnMut(&mut Queue, String, Vec<u8>)) -> Vec<ItemError> {
    let mut failed = Vec::new();
    for (index, handle) in handles.iter().enumerate() {
        match queue.received.remove(handle) {
            Some((attrs, body)) => then(queue, attrs, body),
            None => failed.push(ItemError { index: index as u32, error: Error::NotFound(handle.to_string()) }),
        }
    }
    failed
}

fn with<R>(binding: &str, call: impl FnOnce(&mut Queue) -> R) -> R {
    QUEUES.with_borrow_mut(|queues| call(queues.entry(binding.to_owned()).or_default()))
}

fn granted<R>(binding: &str, call: impl FnOnce(&mut Queue) -> R) -> Result<R, Error> {
    QUEUES.with_borrow_mut(|queues| match queues.get_mut(binding) {
        Some(queue) => Ok(call(queue)),
        None => Err(Error::NotGranted(binding.to_owned())),
    })
}
