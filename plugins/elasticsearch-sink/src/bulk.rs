//! The request: two lines for each document.

use std::io::Write;

use rayline_sdk::Event;
use rayline_sdk::http::{Method, Request};

use crate::index::{Indexes, family};

/// Only what is read of the answer: on a replay most documents are conflicts, and the server explains each at length.
const PATH: &str = "/_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason,\
                    items.*.error.caused_by.type,items.*.error.caused_by.reason";

/// Longer ids are refused by every server, and with them the whole bulk.
const MAX_ID_BYTES: usize = 512;
/// Servers count versions in 63 bits.
const MAX_VERSION: u64 = i64::MAX as u64;
/// About what the line before a document takes, without its id.
const ACTION_BYTES: usize = 120;

/// Why this event cannot stand in a bulk, if so. Most of these would make the server refuse the bulk as a whole.
pub fn refusal(event: &Event<'_>) -> Option<String> {
    let kind = event.label("kind");
    if family(kind).is_none() {
        let kind = kind.map_or("it has no label `kind`".to_owned(), |kind| format!("its kind is `{kind}`"));
        return Some(format!("{kind}, and only execution, trace, segment and subsegment have an index"));
    }
    if event.id.is_empty() || event.id.len() > MAX_ID_BYTES {
        return Some(format!("its id has {} bytes, an id has 1 to {MAX_ID_BYTES}", event.id.len()));
    }
    if event.version > MAX_VERSION {
        return Some(format!("its version {} is above {MAX_VERSION}, the highest there is", event.version));
    }
    event.body.is_empty().then(|| "its body is empty".to_owned())
}

/// The bulk of these events, none of which has a [`refusal`].
pub fn request(indexes: &mut Indexes, events: &[Event<'_>]) -> Request {
    let bytes = events.iter().map(|event| event.body.len() + event.id.len() + ACTION_BYTES).sum();
    let mut body = Vec::with_capacity(bytes);
    for event in events {
        body.extend_from_slice(b"{\"index\":{\"_index\":\"");
        indexes.write(family(event.label("kind")).unwrap_or_default(), event.time, &mut body);
        body.extend_from_slice(b"\",\"_id\":");
        // Writing into memory does not fail.
        let _ = serde_json::to_writer(&mut body, event.id);
        let _ = writeln!(body, ",\"version\":{},\"version_type\":\"external_gte\"}}}}", event.version);
        append_line(event.body, &mut body);
    }
    Request {
        method: Method::Post,
        path: PATH.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-ndjson".to_owned())],
        body,
        gzip: true,
    }
}

/// One document, one line: a line feed in it becomes a carriage return, which means the same where JSON has white space,
/// and is as wrong as the line feed was elsewhere.
fn append_line(document: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(document);
    if memchr::memchr(b'\n', document).is_some() {
        out.iter_mut().skip(start).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'\r');
    }
    out.push(b'\n');
}
