//! The `flatten` that is shipped.

use flatten::{Flattener, Head, Options, Output};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Outcome;
use crate::reference::{Document, Input, Kind, Payloads, Rejection, sha256};

pub fn flatten(input: &Input) -> Outcome {
    let payloads = match input.payloads {
        Payloads::Full => flatten::Payloads::Full,
        Payloads::Truncated => flatten::Payloads::Truncated,
        Payloads::None => flatten::Payloads::None,
    };
    let mut collected = Collected::default();
    let sha256 = sha256(input.payload);
    let input = flatten::Input {
        payload: input.payload,
        sha256: &sha256,
        account: input.account.filter(|text| !text.is_empty()),
        region: input.region.filter(|text| !text.is_empty()),
        sender_account: input.sender_account,
        sent_at_ms: input.sent_at_ms,
    };
    Flattener::new(Options { payloads }).flatten(&input, &mut collected);
    Outcome::new(collected.documents, collected.rejections)
}

#[derive(Default)]
struct Collected {
    bodies: Vec<u8>,
    /// Where the next body begins.
    begin: usize,
    documents: Vec<Document>,
    rejections: Vec<Rejection>,
}

impl Output for Collected {
    fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bodies
    }

    fn finish(&mut self, head: &Head<'_>) {
        let kind = match head.kind {
            "execution" => Kind::Execution,
            "segment" => Kind::Segment,
            "subsegment" => Kind::Subsegment,
            "trace" => Kind::Trace,
            other => panic!("a document of kind {other}"),
        };
        let body = &self.bodies[self.begin..];
        let text = String::from_utf8_lossy(body);
        self.documents.push(Document {
            kind,
            id: head.id.to_owned(),
            time_ns: u64::try_from(head.time).expect("a time since 1970") * 1000,
            version: head.version,
            body: read(body).unwrap_or_else(|error| panic!("a body is not JSON, {error}: {text}")),
        });
        self.begin = self.bodies.len();
    }

    fn reject(&mut self, reason: &str, part: Option<&[u8]>) {
        self.rejections.push(Rejection { reason: reason.to_owned(), part: part.map(<[u8]>::to_vec) });
    }
}

/// Bodies nest as deep as their messages.
fn read(body: &[u8]) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    deserializer.disable_recursion_limit();
    let body = Map::deserialize(&mut deserializer)?;
    deserializer.end().map(|()| body)
}
