//! The forms of a message, section 2.

use serde_json::Value;

use super::described::Described;
use super::json::{self, Object, Reader, Warnings};
use super::node::{Node, Position};
use super::time::Micros;
use super::{Input, Rejection, duplicate};

/// One message: a payload, or one member of a payload that is a list.
#[derive(Default)]
pub struct Message {
    /// Only a `rayline.raw/1` message has one.
    pub envelope: Option<Envelope>,
    /// The collector's, as the message says.
    pub account: Option<String>,
    pub region: Option<String>,
    pub executions: Vec<Described>,
    pub traces: Vec<Trace>,
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
}

/// A trace, or the lone segment documents of one trace id.
#[derive(Default)]
pub struct Trace {
    /// `Id`; of lone segment documents their `trace_id`.
    pub id: Option<String>,
    /// Not a trace but segment documents by themselves: there is no document for it.
    pub lone: bool,
    /// Seconds.
    pub duration: Option<f64>,
    pub limit_exceeded: bool,
    /// Members of `Segments` that are no segment documents.
    pub unparsed: usize,
    /// Every node that is an object, in the order of the message: also those that become no documents.
    pub nodes: Vec<Node>,
    /// The envelope's, of which a node's time may be made.
    pub collected_at: Option<Micros>,
    pub warnings: Warnings,
}

impl Trace {
    /// The nodes that become documents.
    pub fn documented(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_documented())
    }

    /// The trace's own id, else the first that one of its nodes has.
    pub fn trace_id(&self) -> Option<&String> {
        self.id.as_ref().or_else(|| self.nodes.iter().find_map(|node| node.trace_id.as_ref()))
    }
}

/// What a payload holds, and what of it cannot be used.
pub fn read(input: &Input) -> (Vec<Message>, Vec<Rejection>) {
    let mut reader = MessageReader { sent_at_ms: input.sent_at_ms, rejections: Vec::new() };
    let messages = match json::parse(input.payload) {
        Some(Value::Array(members)) => reader.list(&members),
        Some(value) => reader.message(&value, None).into_iter().collect(),
        None => {
            reader.reject("not an X-Ray message", None);
            Vec::new()
        }
    };
    (messages, reader.rejections)
}

struct MessageReader {
    sent_at_ms: Option<i64>,
    rejections: Vec<Rejection>,
}

impl MessageReader {
    /// Each member is a message by itself, but lone segment documents of one trace belong together.
    fn list(&mut self, members: &[Value]) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut lone: Vec<(Option<String>, Vec<&Value>)> = Vec::new();
        for member in members {
            match member {
                Value::Array(members) => messages.extend(self.list(members)),
                Value::Object(object) if form(object) == Some(Form::Segment) => {
                    let id = Reader::new(object, &Warnings::default()).text("trace_id");
                    match lone.iter_mut().find(|(other, _)| *other == id) {
                        Some((_, documents)) => documents.push(member),
                        None => lone.push((id, vec![member])),
                    }
                }
                _ => messages.extend(self.message(member, Some(member))),
            }
        }
        let traces = lone.into_iter().map(|(id, documents)| self.lone(id, None, &documents));
        let traces: Vec<Trace> = traces.collect();
        messages.extend((!traces.is_empty()).then(|| Message { traces, ..Message::default() }));
        messages
    }

    /// `part` is what a rejection of the whole message names: nothing, or the member of a list.
    fn message(&mut self, value: &Value, part: Option<&Value>) -> Option<Message> {
        let object = value.as_object().and_then(|object| Some((object, form(object)?)));
        let Some((object, form)) = object else {
            self.reject("not an X-Ray message", part);
            return None;
        };
        let reader = Reader::new(object, &Warnings::default());
        match form {
            Form::Raw | Form::Account => self.enveloped(form, &reader, part),
            Form::Traces | Form::Trace => Some(Message { traces: self.traces(value, None), ..Message::default() }),
            Form::Segment => {
                let trace = self.lone(reader.text("trace_id"), None, &[value]);
                Some(Message { traces: vec![trace], ..Message::default() })
            }
        }
    }

    fn enveloped(&mut self, form: Form, reader: &Reader, part: Option<&Value>) -> Option<Message> {
        let mut message = Message {
            account: ["account_id", "account", "accountId"].iter().find_map(|key| reader.text(key)),
            region: reader.text("region"),
            ..Message::default()
        };
        if form == Form::Raw {
            let collected_at = reader.read("collected_at", Micros::from_date);
            if let (Some(collected_at), Some(sent_at_ms)) = (collected_at, self.sent_at_ms)
                && collected_at.millis() - sent_at_ms > 10 * 60 * 1000
            {
                self.reject("collected_at is more than 10 minutes after sent_at", part);
                return None;
            }
            message.envelope = Some(Envelope {
                collected_at,
                discovered_at: reader.read("discovered_at", Micros::from_date),
                verdict: reader.text("verdict"),
            });
        }
        let trace = match reader.get("trace") {
            Some(Value::String(text)) => json::parse(text.as_bytes()),
            trace => trace.cloned(),
        };
        match trace {
            Some(trace @ Value::Object(_)) => message.traces = self.traces(&trace, message.collected_at()),
            Some(Value::Null) | None if reader.get("trace").is_none() => {}
            _ => self.reject("trace is not an object", reader.get("trace")),
        }
        let executions = reader.list("executions").into_iter().flatten().chain(reader.get("execution"));
        for execution in executions.filter(|execution| !execution.is_null()) {
            match Described::read(execution) {
                Ok(described) => message.executions.push(described),
                Err(reason) => self.reject(reason, Some(execution)),
            }
        }
        Some(message)
    }

    /// A BatchGetTraces answer, one trace, or a segment document in the place of a trace.
    fn traces(&mut self, value: &Value, collected_at: Option<Micros>) -> Vec<Trace> {
        let Some(object) = value.as_object() else {
            self.reject("trace is not an object", Some(value));
            return Vec::new();
        };
        let warnings = Warnings::default();
        let reader = Reader::new(object, &warnings);
        match form(object) {
            Some(Form::Traces) => {
                let traces = reader.list("Traces").into_iter().flatten().filter(|trace| !trace.is_null());
                traces.flat_map(|trace| self.traces(trace, collected_at)).collect()
            }
            Some(Form::Segment) => vec![self.lone(reader.text("trace_id"), collected_at, &[value])],
            _ => vec![self.trace(&reader, collected_at, warnings)],
        }
    }

    fn trace(&mut self, reader: &Reader, collected_at: Option<Micros>, warnings: Warnings) -> Trace {
        let mut trace = Trace {
            id: reader.text("Id"),
            duration: reader.read("Duration", json::number),
            limit_exceeded: reader.flag("LimitExceeded"),
            collected_at,
            warnings,
            ..Trace::default()
        };
        for member in reader.list("Segments").into_iter().flatten() {
            match segment_document(member) {
                Ok(document) => self.nodes(&mut trace, &document),
                Err(reason) => {
                    trace.unparsed += 1;
                    self.reject(reason, Some(member));
                }
            }
        }
        duplicate::within(&mut trace);
        trace
    }

    fn lone(&mut self, id: Option<String>, collected_at: Option<Micros>, documents: &[&Value]) -> Trace {
        let mut trace = Trace { id, lone: true, collected_at, ..Trace::default() };
        for document in documents {
            self.nodes(&mut trace, document);
        }
        duplicate::within(&mut trace);
        trace
    }

    fn nodes(&mut self, trace: &mut Trace, document: &Value) {
        let rejected = Node::read(trace, document, Position::Outermost);
        self.rejections.extend(rejected);
    }

    fn reject(&mut self, reason: &str, part: Option<&Value>) {
        self.rejections.push(Rejection::new(reason, part));
    }
}

impl Rejection {
    pub fn new(reason: &str, part: Option<&Value>) -> Self {
        Rejection { reason: reason.to_owned(), part: part.map(|part| part.to_string().into_bytes()) }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `rayline.raw/1`
    Raw,
    /// A trace with an account, as older set-ups send.
    Account,
    /// A BatchGetTraces answer.
    Traces,
    /// One trace.
    Trace,
    /// One segment document.
    Segment,
}

fn form(object: &Object) -> Option<Form> {
    let has = |key: &str| object.get(key).is_some_and(|value| !value.is_null());
    if object.get("schema").is_some_and(|schema| schema == "rayline.raw/1") {
        return Some(Form::Raw);
    }
    let trace = match object.get("trace") {
        Some(Value::String(text)) => json::parse(text.as_bytes()).is_some_and(|trace| trace.is_object()),
        trace => trace.is_some_and(Value::is_object),
    };
    if trace && (has("account") || has("account_id") || has("accountId")) {
        Some(Form::Account)
    } else if object.contains_key("Traces") {
        Some(Form::Traces)
    } else if object.contains_key("Segments") {
        Some(Form::Trace)
    } else if (has("id") || has("name")) && has("start_time") {
        Some(Form::Segment)
    } else {
        None
    }
}

/// The segment document of a member of `Segments`.
fn segment_document(member: &Value) -> Result<Value, &'static str> {
    let object = member.as_object().ok_or("segment is not an object")?;
    match object.get("Document").filter(|document| !document.is_null()) {
        Some(Value::String(text)) => match json::parse(text.as_bytes()) {
            Some(document @ Value::Object(_)) => Ok(document),
            Some(_) => Err("Document is not an object"),
            None => Err("Document is not JSON"),
        },
        Some(document @ Value::Object(_)) => Ok(document.clone()),
        Some(_) => Err("Document is not an object"),
        None if ["id", "name", "start_time"].iter().any(|key| object.contains_key(*key)) => Ok(member.clone()),
        None => Err("no Document"),
    }
}
