use serde::{Deserialize, Serialize};

/// What travels beside a message: the event's `attrs`. All that is unknown is absent.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Attributes {
    /// The queue's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// When it was sent, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    /// When it was taken from the queue, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// How often it was taken from the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_count: Option<u64>,
    /// Who sent it, as the queue says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
    /// The account that the sender belongs to, as the operator says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_account: Option<String>,
    /// Why the body is only a pointer to the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unresolved: Option<String>,
    /// The object it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

impl Attributes {
    /// Reads an event's `attrs`. What is not such an object says nothing.
    pub fn parse(attrs: &str) -> Self {
        serde_json::from_str(attrs).unwrap_or_default()
    }

    /// Writes them as an event's `attrs`.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
