//! All documents of a unit: what every one of them has (section 3), their ids, versions and index times (section 7).

use crate::body::{Body, Times, Warning};
use crate::execution::{Counts, Subject};
use crate::ids;
use crate::json::Value;
use crate::message::{Document, Part, Unit};
use crate::part::Parts;
use crate::path::Path;
use crate::span::{self, Facts};
use crate::stored;
use crate::time::{self, Micros};
use crate::trace::Summary;
use crate::tree::{Around, Root, Tree};
use crate::version;
use crate::writer::key;
use crate::{Head, Input, Options, Output, Tools};

/// How many traces an execution names that is found in none of them.
const MOST_TRACES: usize = 200;

/// Writes the documents and rejections of one unit.
pub fn write<'t>(unit: &Unit<'t>, input: &Input<'_>, options: Options, tools: &mut Tools, out: &mut impl Output) {
    for (reason, part) in &unit.rejected {
        reject(out, reason, *part);
    }
    let mut tree = Tree::new();
    let mut unparsed = vec![0; unit.traces.len()];
    for ((index, trace), unparsed) in unit.traces.iter().enumerate().zip(&mut unparsed) {
        for member in &trace.members {
            let around = Around {
                trace: index,
                trace_id: trace.id.as_ref().filter(|_| member.is_named),
                collected_at: unit.collected_at,
                account: unit.account.as_ref(),
                region: unit.region.as_ref(),
            };
            let accepted = match member.document {
                Document::Parsed(document) => {
                    let mut below = |reason, value| reject(out, reason, Part::Value(value));
                    tree.add(document, around, &mut below).then_some(()).ok_or("no time")
                }
                Document::Text(_) => Err("Document is not JSON"),
                Document::Missing(reason) => Err(reason),
            };
            if let Err(reason) = accepted {
                reject(out, reason, member.part());
                *unparsed += 1;
            }
        }
    }
    tree.resolve();
    let writing = Writing {
        unit,
        input,
        tree: &tree,
        times: version::Times::find(unit, &tree),
        header: header(unit, input, tools),
    };
    let facts = writing.nodes(tools, out);
    let parts = Parts::find(unit, &tree, &facts, &mut |reason, value| reject(out, reason, Part::Value(value)));
    for unusable in writing.executions(&parts, &facts, options, tools, out) {
        reject(out, "no time", Part::Value(unusable));
    }
    writing.traces(&facts, &unparsed, tools, out);
}

/// Rejects a part: what came as text as it came, anything else written anew.
fn reject(out: &mut impl Output, reason: &str, part: Part<'_>) {
    match part {
        Part::Text(text) => out.reject(reason, Some(text.as_bytes())),
        Part::Value(value) => {
            let mut json = Vec::new();
            stored::write(&mut json, value);
            out.reject(reason, Some(&json));
        }
    }
}

/// A unit whose documents are being written.
struct Writing<'a, 't> {
    unit: &'a Unit<'t>,
    input: &'a Input<'a>,
    tree: &'a Tree<'t>,
    times: version::Times,
    /// The beginning of every document.
    header: Vec<u8>,
}

impl<'t> Writing<'_, 't> {
    fn nodes(&self, tools: &mut Tools, out: &mut impl Output) -> Vec<Facts<'t>> {
        let mut facts = Vec::with_capacity(self.tree.nodes.len());
        let mut path = Path::default();
        let mut shared = Shared::default();
        for (index, node) in self.tree.nodes.iter().enumerate() {
            path.enter(node.depth, node.name.as_deref());
            let Some(root) = self.tree.root(node).filter(|_| node.stands_for == index) else {
                facts.push(Facts::default());
                continue;
            };
            let trace_id = root.trace_id.as_deref();
            if shared.root != Some(node.root) {
                shared = self.shared(node.root, root, tools);
            }
            let mut body = self.begin(node.kind.as_str(), tools, out);
            body.raw(&shared.fields);
            body.warnings.extend(node.warnings.iter().chain(&shared.warnings).cloned());
            let collected_at = self.unit.collected_at;
            body.times(node.timestamp, Times { start: node.start, end: node.end, duration: None, collected_at });
            body.string(key!("event.outcome"), node.outcome());
            facts.push(span::write(&mut body, self.tree, index, node, &path.text));
            body.close();
            tools.id.clear();
            tools.id.push_str(self.trace_part(trace_id));
            tools.id.push(':');
            tools.id.push_str(&node.id_or_hash);
            ids::finish(&mut tools.id, node.number);
            let version = u64::from(node.end.is_some()) << 43 | self.trace_version(root.trace);
            self.finish(node.kind.as_str(), time::index_time(node.timestamp, root.epoch), version, tools, out);
        }
        facts
    }

    fn shared(&self, index: usize, root: &Root<'t>, tools: &mut Tools) -> Shared {
        let mut shared = Shared { root: Some(index), ..Shared::default() };
        let (out, warnings) = (&mut shared.fields, &mut shared.warnings);
        let mut body = Body { out, calendar: &mut tools.calendar, warnings };
        trace_ids(&mut body, root.trace_id.as_deref());
        span::write_shared(&mut body, self.tree, root);
        shared
    }

    /// Returns what was said of executions that have no time at all.
    fn executions(
        &self,
        parts: &Parts<'t>,
        facts: &[Facts<'t>],
        options: Options,
        tools: &mut Tools,
        out: &mut impl Output,
    ) -> Vec<Value<'t>> {
        let mut unusable = Vec::new();
        let counts = Counts::gather(parts, self.tree, facts);
        let traces = &self.unit.traces;
        let all_ids: Vec<&str> = traces.iter().filter_map(|trace| trace.id.as_deref()).take(MOST_TRACES).collect();
        let any_limit_exceeded = traces.iter().any(|trace| trace.limit_exceeded);
        for ((index, execution), counts) in parts.executions.iter().enumerate().zip(counts) {
            let subject = Subject::new(execution, self.tree);
            let Some(timestamp) = subject.timestamp(self.unit) else {
                unusable.extend(execution.described.as_ref().map(|described| described.whole));
                continue;
            };
            let own_root = subject.own.and_then(|own| self.tree.root(own));
            let own_trace = own_root.and_then(|root| traces.get(root.trace));
            let mut trace_ids = match own_root {
                Some(root) => root.trace_id.as_deref().into_iter().collect(),
                None => all_ids.clone(),
            };
            let header = execution.described.as_ref().and_then(|described| described.trace_id.as_deref());
            trace_ids.extend(header.filter(|header| !trace_ids.contains(header)));

            let mut body = self.begin("execution", tools, out);
            body.strings(key!("trace.id"), &trace_ids);
            w3c_id(&mut body, trace_ids.first().copied());
            subject.write(&mut body, self.unit, parts, index, self.tree);
            subject.write_described(&mut body, options.payloads);
            if subject.own.is_some() {
                counts.write(&mut body, execution.arn.is_some());
            }
            self.flags(&mut body, own_trace.map_or(any_limit_exceeded, |trace| trace.limit_exceeded));
            body.close();
            self.execution_id(parts, index, &mut tools.id);
            ids::finish(&mut tools.id, execution.number);
            let version = subject.precedence() | self.execution_version(own_root, &subject);
            self.finish("execution", timestamp, version, tools, out);
        }
        unusable
    }

    fn traces(&self, facts: &[Facts<'t>], unparsed: &[i64], tools: &mut Tools, out: &mut impl Output) {
        let summaries = Summary::gather(self.tree, facts, self.unit.traces.len());
        for (index, (summary, source)) in summaries.into_iter().zip(&self.unit.traces).enumerate() {
            let Some(summary) = summary.filter(|_| !source.is_lone) else { continue };
            let trace_id = source.id.as_deref();
            let epoch = trace_id.and_then(time::epoch);
            let timestamp = summary.timestamp();
            let mut body = self.begin("trace", tools, out);
            trace_ids(&mut body, trace_id);
            summary.write(&mut body, self.unit, source, unparsed.get(index).copied().unwrap_or(0));
            self.flags(&mut body, source.limit_exceeded);
            body.close();
            tools.id.clear();
            for part in [self.unit.account.as_deref(), self.unit.region.as_deref()] {
                tools.id.push_str(part.unwrap_or_default());
                tools.id.push(':');
            }
            tools.id.push_str(self.trace_part(trace_id));
            ids::finish(&mut tools.id, 0);
            self.finish("trace", time::index_time(timestamp, epoch), self.trace_version(index), tools, out);
        }
    }

    /// Begins a document with what every one has.
    fn begin<'b>(&self, kind: &str, tools: &'b mut Tools, out: &'b mut impl Output) -> Body<'b> {
        tools.warnings.clear();
        tools.warnings.extend(self.unit.warnings.iter().cloned());
        let mut body = Body { out: out.body(), calendar: &mut tools.calendar, warnings: &mut tools.warnings };
        body.raw(&self.header);
        body.string(key!("doc.kind"), kind);
        body
    }

    fn finish(&self, kind: &'static str, time: Micros, version: u64, tools: &Tools, out: &mut impl Output) {
        let (account, region) = (self.unit.account.as_deref(), self.unit.region.as_deref());
        out.finish(&Head { kind, id: &tools.id, time, version, account, region });
    }

    fn flags(&self, body: &mut Body<'_>, limit_exceeded: bool) {
        body.flag(key!("xray.limit_exceeded"), limit_exceeded);
        body.flag(key!("xray.partial"), self.unit.verdict.as_deref() == Some("partial"));
    }

    /// What stands for the trace in an id.
    fn trace_part<'s>(&'s self, trace_id: Option<&'s str>) -> &'s str {
        trace_id.or(self.input.sha256.get(..32)).unwrap_or(self.input.sha256)
    }

    fn time(&self, trace: usize) -> Option<Micros> {
        self.times.of_traces.get(trace).copied().flatten()
    }

    /// The `t` of a trace and its nodes.
    fn trace_version(&self, trace: usize) -> u64 {
        self.time(trace).map_or(0, version::milliseconds)
    }

    /// The `t` of an execution: that of its trace, without one that of the unit, else its own.
    fn execution_version(&self, own: Option<&Root<'t>>, subject: &Subject<'_, 't>) -> u64 {
        let time = own.map_or(self.times.of_unit, |root| self.time(root.trace));
        time.or(subject.stop).or(subject.start).map_or(0, version::milliseconds)
    }

    fn execution_id(&self, parts: &Parts<'t>, index: usize, id: &mut String) {
        id.clear();
        let Some(execution) = parts.executions.get(index) else { return };
        match &execution.arn {
            Some(arn) => id.push_str(arn),
            None => {
                let own = execution.own.and_then(|own| self.tree.nodes.get(own));
                let trace_id = own.and_then(|own| self.tree.root(own)).and_then(|root| root.trace_id.as_deref());
                id.push_str(self.trace_part(trace_id));
                id.push(':');
                id.push_str(own.map(|own| own.id_or_hash.as_ref()).unwrap_or_default());
                id.push_str(":execution");
            }
        }
    }
}

/// What all nodes of a segment document share.
#[derive(Default)]
struct Shared {
    root: Option<usize>,
    fields: Vec<u8>,
    warnings: Vec<Warning>,
}

/// The beginning of every document: what all of a unit share.
fn header(unit: &Unit<'_>, input: &Input<'_>, tools: &mut Tools) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(br#"{"cloud.provider":"aws","ecs.version":"8.17","xray.schema_version":1"#);
    let mut body = Body { out: &mut out, calendar: &mut tools.calendar, warnings: &mut tools.warnings };
    body.optional(key!("xray.collector.account.id"), unit.account.as_deref());
    body.optional(key!("xray.collector.region"), unit.region.as_deref());
    let is_senders = input.sender_account.is_some() && input.sender_account == unit.account.as_deref();
    body.boolean(key!("xray.collector.account.verified"), is_senders);
    body.time(key!("xray.collected_at"), unit.collected_at);
    body.optional(key!("xray.verdict"), unit.verdict.as_deref());
    body.string(key!("xray.raw.sha256"), input.sha256);
    out
}

fn trace_ids(body: &mut Body<'_>, trace_id: Option<&str>) {
    body.optional(key!("trace.id"), trace_id);
    w3c_id(body, trace_id);
}

/// The 32 hexadecimal digits of a trace id, if it has them.
fn w3c_id(body: &mut Body<'_>, trace_id: Option<&str>) {
    let Some(trace_id) = trace_id else { return };
    let (head, tail) = match time::parts(trace_id) {
        Some(parts) => parts,
        None if trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()) => (trace_id, ""),
        None => return,
    };
    body.raw(key!("trace.w3c_id").as_bytes());
    body.out.push(b'"');
    body.out.extend(head.bytes().chain(tail.bytes()).map(|byte| byte.to_ascii_lowercase()));
    body.out.push(b'"');
}
