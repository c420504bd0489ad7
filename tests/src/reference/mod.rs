//! `docs/documents.md` as a plain program: slow, and in the order of the specification. The fast `flatten` is tested
//! against it.
//!
//! | file | section |
//! |---|---|
//! | `text`, `json`, `time`, `body` | 1. Form |
//! | `input`, `node`, `duplicate` | 2. Input |
//! | `common` | 3. Every document |
//! | `segment`, `http`, `cause` | 4. Segments and subsegments |
//! | `described`, `execution`, `names`, `part` | 5. Executions |
//! | `trace` | 6. Traces |
//! | `id` | 7. Ids, index, versions |

mod body;
mod cause;
mod common;
mod described;
mod duplicate;
mod execution;
mod http;
mod id;
mod input;
mod json;
mod names;
mod node;
mod part;
mod segment;
mod text;
mod time;
mod trace;

use serde_json::{Map, Value};

pub use id::sha256;
pub use time::Micros;

/// A raw message and what is known of it from outside.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub payload: &'a [u8],
    /// The event's labels.
    pub account: Option<&'a str>,
    pub region: Option<&'a str>,
    /// The account that the sender belongs to, as the operator says.
    pub sender_account: Option<&'a str>,
    /// When the queue got the message, milliseconds since the epoch.
    pub sent_at_ms: Option<i64>,
    pub payloads: Payloads,
}

/// How much of an execution's input and output a document holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Payloads {
    Full,
    /// 262,144 bytes of each.
    Truncated,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub kind: Kind,
    pub id: String,
    pub time_ns: u64,
    pub version: u64,
    pub body: Map<String, Value>,
}

/// In the order in which documents of one id are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Execution,
    Segment,
    Subsegment,
    Trace,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Execution => "execution",
            Kind::Segment => "segment",
            Kind::Subsegment => "subsegment",
            Kind::Trace => "trace",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    pub reason: String,
    /// What was rejected, as JSON; absent: the message as a whole.
    pub part: Option<Vec<u8>>,
}

/// The documents and rejections of one message.
pub fn reference(input: &Input) -> (Vec<Document>, Vec<Rejection>) {
    // The reader and the walk over nodes recurse, and a message may nest as deep as it is long.
    const STACK_BYTES: usize = 1 << 30;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || flatten(input)).expect("spawn").join().expect("the reference does not panic")
    })
}

fn flatten(input: &Input) -> (Vec<Document>, Vec<Rejection>) {
    let (messages, mut rejections) = input::read(input);
    let mut documents = Vec::new();
    for message in &messages {
        let source = common::Source { input, message };
        let mut drafts = Vec::new();
        drafts.extend(message.documented().map(|(_, node)| segment::document(&source, node)));
        drafts.extend((0..message.traces.len()).filter_map(|trace| trace::document(&source, trace)));
        let (executions, rejected) = execution::documents(&source);
        drafts.extend(executions);
        rejections.extend(rejected);
        documents.extend(id::number(drafts));
    }
    (documents, rejections)
}
