//! Which of the accepted forms a message has, and what it holds: units, their traces, their segment documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use crate::body::Warning;
use crate::coerce::{self, Coerced};
use crate::json::{Shape, Value};
use crate::members::{self, Message};
use crate::time::{self, Micros};

/// The reason for which a message is rejected whole.
pub const NOT_A_MESSAGE: &str = "not an X-Ray message";

/// What has one collector: an envelope, an older `{account, trace}` message, or everything else in the message.
#[derive(Default)]
pub struct Unit<'t> {
    /// Whether it is a `rayline.raw/1` envelope.
    pub is_envelope: bool,
    pub account: Option<Cow<'t, str>>,
    pub region: Option<Cow<'t, str>>,
    pub collected_at: Option<Micros>,
    pub discovered_at: Option<Micros>,
    pub verdict: Option<Cow<'t, str>>,
    /// What DescribeExecution or status events say.
    pub executions: Vec<Value<'t>>,
    pub traces: Vec<TraceSource<'t>>,
    /// What of it cannot be used, and why.
    pub rejected: Vec<(&'static str, Part<'t>)>,
    pub warnings: Vec<Warning>,
}

/// One trace of a unit. Lone segment documents of one trace id count as one, which gets no document of its own.
#[derive(Default)]
pub struct TraceSource<'t> {
    pub is_lone: bool,
    /// `Id`, else the first that its segment documents have.
    pub id: Option<Cow<'t, str>>,
    pub members: Vec<Member<'t>>,
    /// In seconds.
    pub duration: Option<f64>,
    pub limit_exceeded: bool,
    pub warnings: Vec<Warning>,
}

/// One member of `Segments`, or a lone segment document.
#[derive(Clone, Copy)]
pub struct Member<'t> {
    /// The member itself.
    pub whole: Value<'t>,
    pub document: Document<'t>,
    /// Whether the trace that it stands in has an `Id`: one that has none lends its segments no id of another segment.
    pub is_named: bool,
}

/// A part of a message that is rejected.
#[derive(Clone, Copy)]
pub enum Part<'t> {
    /// What should be JSON and stands in the message as text.
    Text(&'t str),
    Value(Value<'t>),
}

/// Where the segment document is.
#[derive(Clone, Copy)]
pub enum Document<'t> {
    Parsed(Value<'t>),
    Text(&'t str),
    /// There is none, for this reason.
    Missing(&'static str),
}

/// The traces that stand in the message as JSON text, in the order in which [`units`] wants them parsed.
pub fn trace_texts<'t>(root: Value<'t>) -> Vec<&'t [u8]> {
    let text = |value| match wrapper(value)?.trace?.shape() {
        Shape::Text(text) => Some(text.as_bytes()),
        _ => None,
    };
    text(root).into_iter().chain(root.elements().filter_map(text)).collect()
}

/// Takes a message apart. `None`: it is not an X-Ray message.
pub fn units<'t>(root: Value<'t>, mut texts: impl Iterator<Item = Option<Value<'t>>>) -> Option<Vec<Unit<'t>>> {
    let mut wrapped = Vec::new();
    let mut plain = Unit::default();
    let mut take = |value: Value<'t>| match wrapper(value) {
        Some(message) => {
            wrapped.push(Unit::unwrap(&message, &mut texts));
            true
        }
        None => plain.add(value),
    };
    if root.shape() == Shape::Array {
        let strangers: Vec<Value<'t>> = root.elements().filter(|element| !take(*element)).collect();
        if strangers.len() == root.len() {
            return None;
        }
        plain.rejected.extend(strangers.into_iter().map(|stranger| (NOT_A_MESSAGE, Part::Value(stranger))));
    } else if !take(root) {
        return None;
    }
    wrapped.push(plain);
    Some(wrapped)
}

/// The message around a trace: an envelope, or an object with a trace and an account.
fn wrapper(value: Value<'_>) -> Option<Message<'_>> {
    if !value.is_object() {
        return None;
    }
    let message = Message::read(value);
    let has_any = |members: &[Option<Value<'_>>]| members.iter().any(Option::is_some);
    let is_wrapper = is_envelope(&message)
        || value.get("trace").is_some()
            && has_any(&[message.account, message.account_id, message.account_id_camel])
            && has_any(&[message.trace, message.execution, message.executions]);
    is_wrapper.then_some(message)
}

fn is_envelope(message: &Message<'_>) -> bool {
    message.schema.is_some_and(|schema| schema.shape() == Shape::Text("rayline.raw/1"))
}

/// Whether it is one segment document.
fn is_segment_document(value: Value<'_>) -> bool {
    (value.get("id").is_some() || value.get("name").is_some()) && value.get("start_time").is_some()
}

impl<'t> Unit<'t> {
    fn unwrap(message: &Message<'t>, texts: &mut impl Iterator<Item = Option<Value<'t>>>) -> Unit<'t> {
        let mut unit = Unit { is_envelope: is_envelope(message), ..Unit::default() };
        let mut accounts = [
            ("dropped:account", message.account),
            ("dropped:account_id", message.account_id),
            ("dropped:accountId", message.account_id_camel),
        ];
        if unit.is_envelope {
            // Its own name for it comes first.
            accounts.swap(0, 1);
        }
        for (dropped, account) in accounts {
            if unit.account.is_none() {
                unit.account = unit.text(dropped, account);
            }
        }
        unit.region = unit.text("dropped:region", message.region);
        if unit.is_envelope {
            unit.collected_at = unit.date("dropped:collected_at", message.collected_at);
            unit.discovered_at = unit.date("dropped:discovered_at", message.discovered_at);
            unit.verdict = unit.text("dropped:verdict", message.verdict);
        }
        for described in [message.execution, message.executions].into_iter().flatten() {
            match described.shape() {
                Shape::Array => unit.executions.extend(described.elements()),
                _ => unit.executions.push(described),
            }
        }
        let trace = match message.trace.map(Value::shape) {
            Some(Shape::Text(text)) => {
                let parsed = texts.next().flatten();
                if parsed.is_none() {
                    unit.rejected.push(("trace is not JSON", Part::Text(text)));
                }
                parsed
            }
            _ => message.trace,
        };
        if let Some(trace) = trace.filter(|trace| !trace.is_null()) {
            let is_list = trace.shape() == Shape::Array;
            let parts = trace.elements().chain((!is_list).then_some(trace));
            for part in parts {
                if !unit.add(part) {
                    unit.rejected.push(("trace is not an X-Ray trace", Part::Value(part)));
                }
            }
        }
        unit
    }

    /// Adds a BatchGetTraces answer, a trace or a segment document; `false` if it is none of them.
    fn add(&mut self, value: Value<'t>) -> bool {
        let list = |key| value.get(key).filter(|list| list.is_null() || list.shape() == Shape::Array);
        if let Some(traces) = list("Traces") {
            for trace in traces.elements() {
                if trace.is_object() {
                    self.add_trace(trace);
                } else {
                    self.rejected.push(("trace is not an object", Part::Value(trace)));
                }
            }
        } else if list("Segments").is_some() {
            self.add_trace(value);
        } else if is_segment_document(value) {
            let member = Member { whole: value, document: Document::Parsed(value), is_named: false };
            self.traces.push(TraceSource { is_lone: true, members: vec![member], ..TraceSource::default() });
        } else {
            return false;
        }
        true
    }

    fn add_trace(&mut self, value: Value<'t>) {
        let source = members::Trace::read(value);
        let mut warnings = Vec::new();
        let id = checked(&mut warnings, "dropped:Id", source.id.map_or(Ok(None), coerce::text));
        let duration = checked(&mut warnings, "dropped:Duration", source.duration.map_or(Ok(None), coerce::number));
        let limit = source.limit_exceeded.map_or(Ok(None), coerce::boolean);
        let limit = checked(&mut warnings, "dropped:LimitExceeded", limit);
        match source.segments.map(Value::shape) {
            None | Some(Shape::Array) => {}
            Some(_) => warnings.push(Cow::Borrowed("dropped:Segments")),
        }
        self.traces.push(TraceSource {
            is_lone: false,
            members: source
                .segments
                .into_iter()
                .flat_map(Value::elements)
                .map(|it| Member::new(it, id.is_some()))
                .collect(),
            id,
            duration: duration.map(|(number, _)| number.to_f64()),
            limit_exceeded: limit == Some(true),
            warnings,
        });
    }

    /// Gives traces that lack an id the first that their segment documents have, and makes traces of one id, or of
    /// none, one; lone segment documents by themselves. Once, after the documents are parsed.
    pub fn join_traces(&mut self) {
        let mut by_id = BTreeMap::new();
        let mut joined: Vec<TraceSource<'t>> = Vec::with_capacity(self.traces.len());
        for mut trace in mem::take(&mut self.traces) {
            trace.id = trace.id.or_else(|| trace.members.iter().find_map(Member::trace_id));
            let position = *by_id.entry((trace.is_lone, trace.id.clone())).or_insert(joined.len());
            match joined.get_mut(position) {
                Some(first) => first.join(trace),
                None => joined.push(trace),
            }
        }
        self.traces = joined;
    }

    fn text(&mut self, dropped: &'static str, value: Option<Value<'t>>) -> Option<Cow<'t, str>> {
        checked(&mut self.warnings, dropped, coerce::text(value?))
    }

    fn date(&mut self, dropped: &'static str, value: Option<Value<'t>>) -> Option<Micros> {
        let read = checked(&mut self.warnings, dropped, time::date(value?))?;
        if read.was_number_text {
            self.warnings.push(Cow::Borrowed("time_string"));
        }
        Some(read.time)
    }
}

impl<'t> TraceSource<'t> {
    fn join(&mut self, other: TraceSource<'t>) {
        self.members.extend(other.members);
        self.duration = self.duration.or(other.duration);
        self.limit_exceeded |= other.limit_exceeded;
        self.warnings.extend(other.warnings);
    }
}

impl<'t> Member<'t> {
    fn new(whole: Value<'t>, is_named: bool) -> Member<'t> {
        let document = if !whole.is_object() {
            Document::Missing("segment is not an object")
        } else {
            match whole.get("Document").map(|document| (document, document.shape())) {
                Some((document, Shape::Object)) => Document::Parsed(document),
                Some((_, Shape::Text(text))) => Document::Text(text),
                None | Some((_, Shape::Null)) if is_segment_document(whole) => Document::Parsed(whole),
                None | Some((_, Shape::Null)) => Document::Missing("no Document"),
                Some(_) => Document::Missing("Document is not an object"),
            }
        };
        Member { whole, document, is_named }
    }

    fn trace_id(&self) -> Option<Cow<'t, str>> {
        let Document::Parsed(document) = self.document else { return None };
        coerce::text(document.get("trace_id")?).ok().flatten()
    }

    /// What is rejected if the segment document cannot be used: its text, or what there is instead.
    pub fn part(&self) -> Part<'t> {
        match (self.whole.get("Document").map(Value::shape), self.document) {
            (Some(Shape::Text(text)), _) => Part::Text(text),
            (_, Document::Parsed(document)) => Part::Value(document),
            _ => Part::Value(self.whole),
        }
    }
}

/// The value, or a warning.
pub fn checked<T>(warnings: &mut Vec<Warning>, dropped: &'static str, coerced: Coerced<T>) -> Option<T> {
    coerced.unwrap_or_else(|_| {
        warnings.push(Cow::Borrowed(dropped));
        None
    })
}
