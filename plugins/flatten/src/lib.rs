//! The `flatten` transform: what one raw X-Ray message becomes in Elasticsearch or OpenSearch.
//!
//! `docs/documents.md` is the specification; where code follows one of its sections, the module says which.
//!
//! - `message`, `node`, `tree`: what a message holds: units, traces, segments and what is below them.
//! - `span`, `path`, `cause`, `annotation`, `url`: a node's document.
//! - `described`, `part`, `execution`, `trace`, `tally`: what is said of executions and of traces as a whole.
//! - `unit`, `version`: all documents of a unit, their ids, versions and index times.
//! - `json`, `mend`, `members`, `coerce`, `time`, `arn`: reading. `body`, `writer`, `stored`, `ids`: writing.
//! - `stage`: what the host calls.
//!
//! What holds:
//!
//! - **A document is a pure function of the payload and its account and region.** No clock, no random number, no hash
//!   table; whatever is sorted is sorted by content.
//! - **No recursion over the input**: the stack is 1 MiB, and JSON may nest as deep as it likes.
//! - **A bad part never fails its message**: it is rejected by itself, with its bytes.

mod annotation;
mod arn;
mod body;
mod cause;
mod coerce;
mod described;
mod execution;
mod ids;
mod json;
mod members;
mod mend;
mod message;
mod node;
mod part;
mod path;
mod span;
mod stage;
mod stored;
mod tally;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod tree;
mod unit;
mod url;
mod version;
mod writer;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::Warning;
use crate::json::{Parser, Scratch, Value};
use crate::message::{Document, NOT_A_MESSAGE};
use crate::time::{Calendar, Micros};

/// One raw message and what is known of it besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Input<'a> {
    /// The message after transport decoding.
    pub payload: &'a [u8],
    /// The event's id: the lower-case hexadecimal SHA-256 of the payload.
    pub sha256: &'a str,
    /// The collector's account, where the payload does not say it.
    pub account: Option<&'a str>,
    /// The collector's region, where the payload does not say it.
    pub region: Option<&'a str>,
    /// The account that the sender belongs to for sure.
    pub sender_account: Option<&'a str>,
    /// When the message was sent, in milliseconds since 1970-01-01T00:00:00Z.
    pub sent_at_ms: Option<i64>,
}

/// The options of the stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How much of an execution's input and output its document holds.
    #[serde(default)]
    pub payloads: Payloads,
}

/// How much of an execution's input and output its document holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payloads {
    /// All, however long.
    Full,
    /// Up to 262,144 bytes of each.
    #[default]
    Truncated,
    /// Nothing but their lengths.
    None,
}

/// Where documents and rejections go.
pub trait Output {
    /// Where the next document's body is appended. What is there already belongs to earlier documents.
    fn body(&mut self) -> &mut Vec<u8>;

    /// Completes the document whose body was appended.
    fn finish(&mut self, head: &Head<'_>);

    /// Rejects the message, or a part of it.
    fn reject(&mut self, reason: &str, part: Option<&[u8]>);
}

/// A document but for its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// `execution`, `trace`, `segment` or `subsegment`.
    pub kind: &'static str,
    /// Its `_id`.
    pub id: &'a str,
    /// What its index is named after, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// A later state of the document has a higher one.
    pub version: u64,
    /// The collector's account.
    pub account: Option<&'a str>,
    /// The collector's region.
    pub region: Option<&'a str>,
}

/// Flattens messages. Keeps nothing from one to the next but memory to use again.
pub struct Flattener {
    options: Options,
    parser: Parser,
    payload: Scratch,
    traces: Scratch,
    documents: Scratch,
    tools: Tools,
}

/// What every document is written with.
struct Tools {
    calendar: Calendar,
    warnings: Vec<Warning>,
    id: String,
}

impl Flattener {
    /// A flattener with these options.
    pub fn new(options: Options) -> Flattener {
        let tools = Tools { calendar: Calendar::new(), warnings: Vec::new(), id: String::new() };
        let (payload, traces, documents) = (Scratch::default(), Scratch::default(), Scratch::default());
        Flattener { options, parser: Parser::new(), payload, traces, documents, tools }
    }

    /// Writes the documents and rejections of one message.
    pub fn flatten(&mut self, input: &Input<'_>, out: &mut impl Output) {
        let payload = self.parser.parse(&[input.payload], &mut self.payload);
        let Some(Some(payload)) = payload.first() else { return out.reject(NOT_A_MESSAGE, None) };
        let root = Value::new(&payload.0);
        let traces = self.parser.parse(&message::trace_texts(root), &mut self.traces);
        let traces = traces.iter().map(|tape| tape.as_ref().map(|tape| Value::new(&tape.0)));
        let Some(mut units) = message::units(root, traces) else { return out.reject(NOT_A_MESSAGE, None) };

        let is_early = |collected_at: Micros| {
            input.sent_at_ms.is_none_or(|sent_at| collected_at / 1000 <= sent_at.saturating_add(10 * 60 * 1000))
        };
        if units.iter().filter_map(|unit| unit.collected_at).any(|collected_at| !is_early(collected_at)) {
            return out.reject("collected_at is more than 10 minutes after sent_at", None);
        }

        let texts: Vec<&[u8]> = units
            .iter()
            .flat_map(|unit| &unit.traces)
            .flat_map(|trace| &trace.members)
            .filter_map(|member| match member.document {
                Document::Text(text) => Some(text.as_bytes()),
                _ => None,
            })
            .collect();
        let documents = self.parser.parse(&texts, &mut self.documents);
        let mut documents = documents.iter();
        let texts = units.iter_mut().flat_map(|unit| &mut unit.traces).flat_map(|trace| &mut trace.members);
        for member in texts.filter(|member| matches!(member.document, Document::Text(_))) {
            member.document = match documents.next() {
                Some(Some(tape)) if Value::new(&tape.0).is_object() => Document::Parsed(Value::new(&tape.0)),
                Some(Some(_)) => Document::Missing("Document is not an object"),
                _ => Document::Missing("Document is not JSON"),
            };
        }
        for mut unit in units {
            unit.join_traces();
            unit.account = unit.account.or(input.account.map(Into::into));
            unit.region = unit.region.or(input.region.map(Into::into));
            unit::write(&unit, input, self.options, &mut self.tools, out);
        }
    }
}
