//! A lean transform, for the benches: a dozen fields of each segment and subsegment, as a Lambda function in front of an
//! index would keep them.

use rayline_sdk::{Context, Event, Failure, NewEvent, NewLabels, NoOptions, Output, Transform};
use serde::{Deserialize, Serialize};
use simd_json::Buffers;

/// Keeps a dozen fields.
pub struct Lean {
    buffers: Buffers,
    message: Vec<u8>,
    segment: Vec<u8>,
    id: String,
}

/// A message, as far as it is read.
#[derive(Deserialize)]
struct Message<'a> {
    account_id: Option<&'a str>,
    region: Option<&'a str>,
    #[serde(borrow)]
    trace: Option<Trace<'a>>,
}

#[derive(Deserialize)]
struct Trace<'a> {
    #[serde(rename = "Id")]
    id: &'a str,
    #[serde(rename = "Segments", borrow)]
    segments: Vec<Member<'a>>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(rename = "Document")]
    document: &'a str,
}

/// A segment or subsegment, as far as it is read.
#[derive(Deserialize)]
struct Node<'a> {
    id: &'a str,
    name: &'a str,
    parent_id: Option<&'a str>,
    origin: Option<&'a str>,
    namespace: Option<&'a str>,
    start_time: f64,
    end_time: Option<f64>,
    #[serde(default)]
    error: bool,
    #[serde(default)]
    fault: bool,
    #[serde(default)]
    throttle: bool,
    http: Option<Http>,
    #[serde(borrow, default)]
    subsegments: Vec<Node<'a>>,
}

#[derive(Deserialize)]
struct Http {
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    status: Option<u16>,
}

/// What is kept.
#[derive(Serialize)]
struct Document<'a> {
    account: &'a str,
    region: &'a str,
    trace_id: &'a str,
    id: &'a str,
    parent_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    start_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    error: bool,
    fault: bool,
    throttle: bool,
}

/// Where documents go.
pub trait Documents {
    /// Where the next body is appended.
    fn body(&mut self) -> &mut Vec<u8>;

    /// Completes the document of this id.
    fn finish(&mut self, id: &str);
}

impl Lean {
    /// With empty buffers.
    pub fn new() -> Lean {
        Lean { buffers: Buffers::new(0), message: Vec::new(), segment: Vec::new(), id: String::new() }
    }

    /// Writes the documents of one message.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn keep(&mut self, message: &[u8], out: &mut impl Documents) -> simd_json::Result<()> {
        let Lean { buffers, message: text, segment, id } = self;
        text.clear();
        text.extend_from_slice(message);
        let message: Message<'_> = simd_json::serde::from_slice_with_buffers(text, buffers)?;
        let Some(trace) = &message.trace else { return Ok(()) };
        for member in &trace.segments {
            segment.clear();
            segment.extend_from_slice(member.document.as_bytes());
            let root: Node<'_> = simd_json::serde::from_slice_with_buffers(segment, buffers)?;
            let mut open = vec![(&root, root.parent_id.unwrap_or_default())];
            while let Some((node, parent_id)) = open.pop() {
                let document = Document {
                    account: message.account_id.unwrap_or_default(),
                    region: message.region.unwrap_or_default(),
                    trace_id: trace.id,
                    id: node.id,
                    parent_id,
                    name: node.name,
                    origin: node.origin,
                    namespace: node.namespace,
                    start_time: node.start_time,
                    duration: node.end_time.map(|end| end - node.start_time),
                    status: node.http.as_ref().and_then(|http| http.response.as_ref()?.status),
                    error: node.error,
                    fault: node.fault,
                    throttle: node.throttle,
                };
                // Writing to memory does not fail.
                let _ = serde_json::to_writer(out.body(), &document);
                id.clear();
                id.extend([trace.id, ":", node.id]);
                out.finish(id);
                open.extend(node.subsegments.iter().map(|child| (child, node.id)));
            }
        }
        Ok(())
    }
}

impl Default for Lean {
    fn default() -> Lean {
        Lean::new()
    }
}

impl Transform for Lean {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Keeps a dozen fields of each segment and subsegment";

    fn open(_: NoOptions, _: &Context) -> Result<Lean, Failure> {
        Ok(Lean::new())
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        self.keep(event.body, &mut Out { event, out }).map_err(|error| Failure::reject(error.to_string()))
    }
}

struct Out<'a> {
    event: &'a Event<'a>,
    out: &'a mut Output,
}

impl Documents for Out<'_> {
    fn body(&mut self) -> &mut Vec<u8> {
        self.out.body()
    }

    fn finish(&mut self, id: &str) {
        self.out.finish(&NewEvent { labels: NewLabels::Same, id, time: self.event.time, version: self.event.version });
    }
}

rayline_sdk::export_transform!(Lean);
