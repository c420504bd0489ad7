//! The forms of a message, section 2.

use serde_json::Value;

use super::described::Described;
use super::json::{self, Object, Reader, Warnings};
use super::node::{Node, Position};
use super::time::Micros;
use super::{Input, Rejection, described, duplicate, text};

/// One message: a payload, or a part of one that is a list.
#[derive(Default)]
pub struct Message {
    /// Only a `rayline.raw/1` message has one.
    pub envelope: Option<Envelope>,
    /// The collector's, as the message says.
    pub account: Option<String>,
    pub region: Option<String>,
    pub executions: Vec<Described>,
    pub traces: Vec<Trace>,
    /// Every accepted node of each trace after the other, also those that others replace.
    pub nodes: Vec<Node>,
    /// Of the envelope: they stand on every document.
    pub warnings: Warnings,
}

pub struct Envelope {
    pub collected_at: Option<Micros>,
    pub discovered_at: Option<Micros>,
    pub verdict: Option<String>,
}

impl Message {
    pub fn collected_at(&self) -> Option<Micros> {
        self.envelope.as_ref()?.collected_at
    }

    pub fn verdict(&self) -> Option<&str> {
        self.envelope.as_ref()?.verdict.as_deref()
    }

    /// The nodes that become documents, by index.
    pub fn documented(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.is_documented())
    }

    /// Those of one trace.
    pub fn documented_of(&self, trace: usize) -> impl Iterator<Item = &Node> {
        self.documented().map(|(_, node)| node).filter(move |node| node.trace == trace)
    }
}

/// A trace, or the lone segment documents of a message.
#[derive(Default)]
pub struct Trace {
    /// `Id`, else the first that its segment documents have.
    pub id: Option<String>,
    /// Not a trace but segment documents by themselves: there is no document for it.
    pub lone: bool,
    /// Seconds.
    pub duration: Option<f64>,
    pub limit_exceeded: bool,
    /// Members of `Segments` that gave no node.
    pub unparsed: usize,
    /// Segment documents that were not read yet, each with the `Id` of the trace that it stands in.
    documents: Vec<(Value, Option<String>)>,
    pub warnings: Warnings,
}

/// What a payload holds, and what of it cannot be used.
pub fn read(input: &Input) -> (Vec<Message>, Vec<Rejection>) {
    let Some((messages, rejections)) = text::read(input.payload).and_then(|payload| messages(&payload)) else {
        return (Vec::new(), vec![Rejection::new("not an X-Ray message", None)]);
    };
    let sent_at_ms = input.sent_at_ms.unwrap_or(i64::MAX);
    let latest = sent_at_ms.saturating_add(10 * 60 * 1000);
    if messages.iter().filter_map(Message::collected_at).any(|collected_at| collected_at.millis() > latest) {
        return (Vec::new(), vec![Rejection::new("collected_at is more than 10 minutes after sent_at", None)]);
    }
    (messages, rejections)
}

/// Of a list each message with an account is one by itself, all others are one together. Absent: there is none.
fn messages(payload: &Value) -> Option<(Vec<Message>, Vec<Rejection>)> {
    let (mut messages, mut rejections) = (Vec::new(), Vec::new());
    let mut together = MessageReader::default();
    let mut take = |value: &Value| match value.as_object() {
        Some(object) if is_enveloped(object) => {
            let mut reader = MessageReader::default();
            reader.enveloped(object);
            reader.finish(&mut messages, &mut rejections);
            true
        }
        _ => together.traces(value),
    };
    match payload {
        Value::Array(members) => {
            let strangers: Vec<&Value> = members.iter().filter(|member| !take(member)).collect();
            if strangers.len() == members.len() {
                return None;
            }
            rejections.extend(strangers.into_iter().map(|member| Rejection::new("not an X-Ray message", Some(member))));
        }
        value => take(value).then_some(())?,
    }
    together.finish(&mut messages, &mut rejections);
    Some((messages, rejections))
}

#[derive(Default)]
struct MessageReader {
    message: Message,
    rejections: Vec<Rejection>,
}

impl MessageReader {
    fn enveloped(&mut self, object: &Object) {
        let reader = Reader::new(object, &self.message.warnings);
        let mut keys = ["account", "account_id", "accountId"];
        if is_raw(object) {
            keys = ["account_id", "account", "accountId"];
        }
        self.message.account = keys.iter().find_map(|key| reader.text(key));
        self.message.region = reader.text("region");
        if is_raw(object) {
            self.message.envelope = Some(Envelope {
                collected_at: described::date(&reader, "collected_at"),
                discovered_at: described::date(&reader, "discovered_at"),
                verdict: reader.text("verdict"),
            });
        }
        match reader.get("trace") {
            None => {}
            Some(Value::String(text)) => match text::read(text.as_bytes()) {
                Some(Value::Null) => {}
                Some(trace) => self.traces_or_reject(&trace),
                None => self.reject("trace is not JSON", &Value::Object(object.clone())),
            },
            Some(trace) => self.traces_or_reject(trace),
        }
        for executions in [reader.get("execution"), reader.get("executions")].into_iter().flatten() {
            let one = std::slice::from_ref(executions);
            for execution in executions.as_array().map_or(one, Vec::as_slice) {
                match Described::read(execution) {
                    Ok(described) => self.message.executions.push(described),
                    Err(reason) => self.reject(reason, execution),
                }
            }
        }
    }

    fn traces_or_reject(&mut self, trace: &Value) {
        let one = std::slice::from_ref(trace);
        for trace in trace.as_array().map_or(one, Vec::as_slice) {
            if !self.traces(trace) {
                self.reject("trace is not an X-Ray trace", trace);
            }
        }
    }

    /// Takes a BatchGetTraces answer, a trace, or a segment document. Returns whether it is one.
    fn traces(&mut self, value: &Value) -> bool {
        let Some(object) = value.as_object() else { return false };
        let list = |key| object.get(key).filter(|list| list.is_null() || list.is_array());
        if let Some(traces) = list("Traces") {
            for trace in traces.as_array().into_iter().flatten() {
                match trace.as_object() {
                    Some(trace) => self.trace(trace),
                    None => self.reject("trace is not an object", trace),
                }
            }
        } else if list("Segments").is_some() {
            self.trace(object);
        } else if is_segment_document(object) {
            let lone = self.trace_of(trace_id(value), true);
            self.message.traces[lone].documents.push((value.clone(), None));
        } else {
            return false;
        }
        true
    }

    /// A trace, or more of the one with its id.
    fn trace(&mut self, object: &Object) {
        let warnings = Warnings::default();
        let reader = Reader::new(object, &warnings);
        let members = reader.list("Segments").into_iter().flatten();
        let documents: Vec<_> = members.map(|member| (member, segment_document(member))).collect();
        let own = reader.text("Id");
        let of_segments = || documents.iter().find_map(|(_, document)| trace_id(document.as_ref().ok()?));
        let index = self.trace_of(own.clone().or_else(of_segments), false);
        let trace = &mut self.message.traces[index];
        let duration = reader.read("Duration", json::number);
        trace.duration = trace.duration.or(duration);
        trace.limit_exceeded |= reader.flag("LimitExceeded");
        warnings.list().into_iter().for_each(|warning| trace.warnings.add(warning));
        for (member, document) in documents {
            match document {
                Ok(document) => self.message.traces[index].documents.push((document, own.clone())),
                Err(reason) => {
                    self.message.traces[index].unparsed += 1;
                    self.reject(reason, member);
                }
            }
        }
    }

    /// Index of the trace with the id (or of the one without), of the lone documents with it, or of a new trace.
    fn trace_of(&mut self, id: Option<String>, lone: bool) -> usize {
        let traces = &mut self.message.traces;
        let known = traces.iter().position(|trace| trace.lone == lone && trace.id == id);
        known.unwrap_or_else(|| {
            traces.push(Trace { id, lone, ..Trace::default() });
            traces.len() - 1
        })
    }

    /// Reads the nodes of all traces.
    fn finish(self, messages: &mut Vec<Message>, rejections: &mut Vec<Rejection>) {
        let MessageReader { mut message, rejections: rejected } = self;
        rejections.extend(rejected);
        for trace in 0..message.traces.len() {
            for (document, id) in std::mem::take(&mut message.traces[trace].documents) {
                let nodes = message.nodes.len();
                rejections.extend(Node::read(
                    &mut message,
                    &document,
                    Position::Outermost { trace, id: id.as_deref() },
                ));
                message.traces[trace].unparsed += usize::from(message.nodes.len() == nodes);
            }
        }
        duplicate::find(&mut message);
        messages.push(message);
    }

    fn reject(&mut self, reason: &str, part: &Value) {
        self.rejections.push(Rejection::new(reason, Some(part)));
    }
}

impl Rejection {
    pub fn new(reason: &str, part: Option<&Value>) -> Self {
        Rejection { reason: reason.to_owned(), part: part.map(|part| part.to_string().into_bytes()) }
    }
}

/// `rayline.raw/1`, or a trace with an account, as older set-ups send.
fn is_enveloped(object: &Object) -> bool {
    let has_any = |keys: &[&str]| keys.iter().any(|key| object.get(*key).is_some_and(|value| !value.is_null()));
    is_raw(object)
        || object.contains_key("trace")
            && has_any(&["account", "account_id", "accountId"])
            && has_any(&["trace", "execution", "executions"])
}

fn is_raw(object: &Object) -> bool {
    object.get("schema").is_some_and(|schema| schema == "rayline.raw/1")
}

fn is_segment_document(object: &Object) -> bool {
    (object.contains_key("id") || object.contains_key("name")) && object.contains_key("start_time")
}

fn trace_id(document: &Value) -> Option<String> {
    Reader::new(document.as_object()?, &Warnings::default()).text("trace_id")
}

/// The segment document of a member of `Segments`.
fn segment_document(member: &Value) -> Result<Value, &'static str> {
    let object = member.as_object().ok_or("segment is not an object")?;
    match object.get("Document").filter(|document| !document.is_null()) {
        Some(Value::String(text)) => match text::read(text.as_bytes()) {
            Some(document @ Value::Object(_)) => Ok(document),
            Some(_) => Err("Document is not an object"),
            None => Err("Document is not JSON"),
        },
        Some(document @ Value::Object(_)) => Ok(document.clone()),
        Some(_) => Err("Document is not an object"),
        None if is_segment_document(object) => Ok(member.clone()),
        None => Err("no Document"),
    }
}
