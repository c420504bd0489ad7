//! Messages to send, as a guest lays them out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Outgoing;
use super::bound::QueueError;

/// What a sender may say of a message.
#[derive(Default, Deserialize)]
pub(super) struct Sending {
    #[serde(default)]
    pub(super) delay_secs: u64,
    #[serde(default)]
    pub(super) attributes: Map<String, Value>,
    /// For FIFO queues; others ignore it.
    pub(super) group_id: Option<String>,
    /// For FIFO queues; others ignore it.
    pub(super) deduplication_id: Option<String>,
}

/// SQS's own limit.
const LONGEST_DELAY_SECS: u64 = 900;

impl Sending {
    /// Reads a message's attributes.
    pub(super) fn parse(attrs: &str) -> Result<Sending, String> {
        if attrs.is_empty() {
            return Ok(Sending::default());
        }
        let sending: Sending =
            serde_json::from_str(attrs).map_err(|error| format!("the message's attributes are malformed: {error}"))?;
        if sending.delay_secs > LONGEST_DELAY_SECS {
            return Err(format!("delay_secs is {}, and at most {LONGEST_DELAY_SECS}", sending.delay_secs));
        }
        match sending.attributes.iter().find(|(_, value)| !value.is_string()) {
            Some((key, value)) => Err(format!("the attribute {} is {value}, and must be text", json!(key))),
            None => Ok(sending),
        }
    }
}

/// Refuses messages whose layout breaks the contract.
pub(super) fn check(messages: &Outgoing) -> Result<(), QueueError> {
    let (mut attr_from, mut body_from) = (0, 0);
    for (index, entry) in messages.entries.iter().enumerate() {
        let (attr_end, body_end) = (entry.attr_end as usize, entry.body_end as usize);
        let attrs = messages.attrs.get(attr_from..attr_end);
        let body = messages.bodies.get(body_from..body_end);
        if attrs.is_none() || body.is_none() {
            return Err(QueueError::Malformed(format!("the ends of message {index} do not fit the buffers")));
        }
        (attr_from, body_from) = (attr_end, body_end);
    }
    if (attr_from, body_from) != (messages.attrs.len(), messages.bodies.len()) {
        return Err(QueueError::Malformed("the last message does not end where the buffers end".to_owned()));
    }
    Ok(())
}

/// Index, attributes and body of each message whose layout [`check`] accepted.
pub(super) fn iter(messages: &Outgoing) -> impl Iterator<Item = (u32, &str, &[u8])> {
    let (mut attr_from, mut body_from) = (0, 0);
    (0..).zip(&messages.entries).map(move |(index, entry)| {
        let (attr_end, body_end) = (entry.attr_end as usize, entry.body_end as usize);
        let attrs = messages.attrs.get(attr_from..attr_end).unwrap_or_default();
        let body = messages.bodies.get(body_from..body_end).unwrap_or_default();
        (attr_from, body_from) = (attr_end, body_end);
        (index, attrs, body)
    })
}
