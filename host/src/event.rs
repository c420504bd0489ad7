//! What flows between stages: events whose ids, attributes and bodies lie in the buffers of the batch they crossed in.
//!
//! An [`Event`] shares its buffers with the other events of its batch and with its copies on other branches: a body is
//! never copied until it crosses into the next guest.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Label key and value pairs, sorted by key.
pub type Labels = Arc<[(String, String)]>;

/// One event, without what settles it (that is `delivery::Claim`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Shared by events: kind, account, region, format.
    pub labels: Labels,
    /// Lower-case hexadecimal SHA-256 of the body where the stage gave none. UTF-8.
    pub id: Bytes,
    /// A small JSON object, or nothing. UTF-8.
    pub attrs: Bytes,
    /// JSON, unless the label `format` says otherwise.
    pub body: Bytes,
    /// The event's own time: nanoseconds since the epoch, 0 if unknown.
    pub time: u64,
    /// A later state of the same id has a higher version.
    pub version: u64,
}

impl Event {
    /// The value of one label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Bytes that this event holds, for budgets and batches.
    pub fn bytes(&self) -> usize {
        self.id.len() + self.attrs.len() + self.body.len()
    }
}

impl AsRef<Event> for Event {
    fn as_ref(&self) -> &Event {
        self
    }
}

/// Lower-case hexadecimal SHA-256.
pub fn digest(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let hash = Sha256::digest(bytes);
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| DIGITS.get(usize::from(digit)).copied().map(char::from)).collect()
}
