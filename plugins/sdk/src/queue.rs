//! A queue with at-least-once delivery: Amazon SQS, or a durable queue in a file.
//!
//! `binding` is always the name that the stage's bindings list. Calls take and return lists: the host does the
//! concurrency.

use std::time::Duration;

use crate::CapabilityError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::queue as host;
pub use crate::bindings::queue::Backlog;
use crate::bindings::queue::{self as wire, OutgoingMessage};
use crate::failure::millis;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::queue as host;

/// Waits at most `max_wait` for the first message; returns what is there, at most `max_messages` and about `max_bytes`
/// of bodies. Returns early, perhaps with nothing, on a settlement and on shutdown. The host keeps the messages
/// invisible to others until they are deleted or released.
pub fn receive(
    binding: &str,
    max_messages: usize,
    max_bytes: usize,
    max_wait: Duration,
) -> Result<Messages, CapabilityError> {
    let flat = host::receive(binding, saturate(max_messages), saturate(max_bytes), millis(max_wait))?;
    Ok(Messages { flat })
}

/// Deletes received messages. Returns those that failed.
pub fn delete(binding: &str, handles: &[u64]) -> Result<Vec<ItemError>, CapabilityError> {
    Ok(item_errors(host::delete(binding, handles)?))
}

/// Makes received messages visible again at once. Returns those that failed.
pub fn release(binding: &str, handles: &[u64]) -> Result<Vec<ItemError>, CapabilityError> {
    Ok(item_errors(host::release(binding, handles)?))
}

/// Sends messages. What is not in the answer is durable. Returns those that failed.
pub fn send(binding: &str, messages: &Outgoing) -> Result<Vec<ItemError>, CapabilityError> {
    Ok(item_errors(host::send(binding, &messages.flat)?))
}

/// About how many messages wait, are invisible, and are delayed.
pub fn depth(binding: &str) -> Result<Backlog, CapabilityError> {
    Ok(host::depth(binding)?)
}

/// Messages received.
pub struct Messages {
    flat: wire::Messages,
}

/// One message received. A view: copying it copies no text and no body.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// For [`delete`] and [`release`]. Valid for this instance.
    pub handle: u64,
    /// A JSON object: `message_id`, `sent_at` (RFC 3339), `receive_count`; where known `sender_id`, `sender_account` (as the
    /// operator says), `trace_header` and `group_id`; `unresolved`, why the body is only a pointer to what was sent; and
    /// `attributes`, an object of the message's own text attributes, where it has any.
    pub attrs: &'a str,
    /// What was sent.
    pub body: &'a [u8],
}

impl Messages {
    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.flat.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flat.entries.is_empty()
    }

    /// The messages, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        let (mut attr_end, mut body_end) = (0, 0);
        self.flat.entries.iter().map(move |entry| {
            let attrs = attr_end..entry.attr_end as usize;
            let body = body_end..entry.body_end as usize;
            (attr_end, body_end) = (attrs.end, body.end);
            Message {
                handle: entry.handle,
                attrs: self.flat.attrs.get(attrs).unwrap_or_default(),
                body: self.flat.bodies.get(body).unwrap_or_default(),
            }
        })
    }
}

/// Messages to send.
pub struct Outgoing {
    flat: wire::Outgoing,
}

impl Outgoing {
    /// No messages yet.
    pub fn new() -> Outgoing {
        Outgoing { flat: wire::Outgoing { entries: Vec::new(), attrs: String::new(), bodies: Vec::new() } }
    }

    /// Adds a message. `attrs` is a JSON object or nothing: `delay_secs`, `group_id` and `deduplication_id` (FIFO
    /// queues), `attributes`, an object of text attributes.
    pub fn push(&mut self, attrs: &str, body: &[u8]) {
        self.flat.attrs.push_str(attrs);
        self.flat.bodies.extend_from_slice(body);
        let (attr_end, body_end) = (saturate(self.flat.attrs.len()), saturate(self.flat.bodies.len()));
        self.flat.entries.push(OutgoingMessage { attr_end, body_end });
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.flat.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flat.entries.is_empty()
    }

    /// How many bytes all bodies have.
    pub fn body_bytes(&self) -> usize {
        self.flat.bodies.len()
    }
}

impl Default for Outgoing {
    fn default() -> Outgoing {
        Outgoing::new()
    }
}

/// One message of a list that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Its place in the list of the call.
    pub index: usize,
    /// Why.
    pub error: CapabilityError,
}

fn item_errors(list: Vec<wire::ItemError>) -> Vec<ItemError> {
    list.into_iter().map(|item| ItemError { index: item.index as usize, error: item.error.into() }).collect()
}

/// A component's memory ends at 4 GiB, so nothing there is larger.
fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
