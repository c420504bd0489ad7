use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;
use rayline_sdk::Event;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::line::string;
use crate::time::rfc3339;

/// How an event becomes one line of text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ndjson {
    /// The body alone. Line breaks in it become spaces, which changes no JSON value.
    #[default]
    Body,
    /// `{"id","labels","attrs","time","version","body"}`. `time` is RFC 3339 and absent where unknown. A body that is
    /// not JSON stands in `body_base64` instead of `body`.
    Event,
}

impl Ndjson {
    /// Appends the event and a line feed.
    pub fn write(self, event: &Event<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Body => out.extend_from_slice(event.body),
            Self::Event => whole(event, out),
        }
        let mut line = out.get_mut(start..).unwrap_or_default();
        while let Some(at) = memchr2(b'\n', b'\r', line) {
            line = line.get_mut(at..).unwrap_or_default();
            if let Some(byte) = line.first_mut() {
                *byte = b' ';
            }
        }
        out.push(b'\n');
    }
}

fn whole(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    string(out, event.id);
    out.extend_from_slice(b",\"labels\":{");
    for (place, (name, value)) in event.labels.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.extend_from_slice(b"},\"attrs\":");
    out.extend_from_slice(if event.attrs.is_empty() { "{}" } else { event.attrs }.as_bytes());
    if let Some(time) = rfc3339(event.time) {
        out.extend_from_slice(b",\"time\":");
        string(out, &time);
    }
    out.extend_from_slice(b",\"version\":");
    out.extend_from_slice(event.version.to_string().as_bytes());
    match std::str::from_utf8(event.body) {
        Ok(body) if serde_json::from_str::<IgnoredAny>(body).is_ok() => {
            out.extend_from_slice(b",\"body\":");
            out.extend_from_slice(body.as_bytes());
        }
        _ => {
            out.extend_from_slice(b",\"body_base64\":");
            string(out, &STANDARD.encode(event.body));
        }
    }
    out.push(b'}');
}
