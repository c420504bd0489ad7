//! The fields of traces: section 6 of `docs/documents.md`.

use std::borrow::Cow;

use crate::arn::ExecutionArn;
use crate::body::{Body, Times};
use crate::message::{TraceSource, Unit};
use crate::node::Node;
use crate::part;
use crate::span::Facts;
use crate::tally::{Tally, sorted};
use crate::time::{self, Micros};
use crate::tree::Tree;
use crate::writer::key;

/// How many annotations and how many users a trace's document holds.
const MOST: usize = 200;

/// What is gathered of a trace from its nodes.
pub struct Summary<'a, 't> {
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// The earliest time of any node.
    pub timestamp: Micros,
    root: Option<&'a Node<'t>>,
    tally: Tally,
    executions: Vec<Cow<'t, str>>,
    annotations: Vec<&'a str>,
    users: Vec<&'a str>,
}

impl<'a, 't> Summary<'a, 't> {
    /// Gathers the nodes of each of the unit's traces. `None`: it has none.
    pub fn gather(tree: &'a Tree<'t>, facts: &'a [Facts<'t>], traces: usize) -> Vec<Option<Summary<'a, 't>>> {
        let mut summaries = Vec::new();
        summaries.resize_with(traces, || None);
        for (index, node) in tree.documents() {
            let (Some(root), Some(facts)) = (tree.root(node), facts.get(index)) else { continue };
            let Some(slot) = summaries.get_mut(root.trace) else { continue };
            let summary = slot.get_or_insert_with(|| Summary {
                start: None,
                end: None,
                timestamp: node.timestamp,
                root: None,
                tally: Tally::default(),
                executions: Vec::new(),
                annotations: Vec::new(),
                users: Vec::new(),
            });
            summary.add(node, facts);
        }
        summaries
    }

    fn add(&mut self, node: &'a Node<'t>, facts: &'a Facts<'t>) {
        self.start = self.start.into_iter().chain(node.start).min();
        self.end = self.end.max(node.end);
        self.timestamp = self.timestamp.min(node.timestamp);
        self.tally.add(node, facts);
        self.annotations.extend(facts.annotations.iter().map(String::as_str));
        self.users.extend(facts.user.as_deref());
        if part::is_state_machine(node) {
            self.executions.extend(part::resource_arn(node).filter(|arn| ExecutionArn::parse(arn).is_some()));
        }
        if part::is_caller(node) && self.root.is_none_or(|root| node.timestamp < root.timestamp) {
            self.root = Some(node);
        }
    }

    /// The time of its documents and the earliest start.
    pub fn timestamp(&self) -> Micros {
        self.start.unwrap_or(self.timestamp)
    }

    /// Appends the fields of section 6.
    pub fn write(mut self, body: &mut Body<'_>, unit: &Unit<'t>, source: &TraceSource<'t>, unparsed: i64) {
        let duration = source.duration.and_then(|seconds| {
            let duration = time::span(seconds);
            if duration.is_none() {
                body.warnings.push(Cow::Borrowed("dropped:Duration"));
            }
            duration
        });
        let times = Times { start: self.start, end: self.end, duration, collected_at: unit.collected_at };
        body.times(self.timestamp(), times);
        body.place(unit.account.as_deref(), unit.region.as_deref());
        if let Some(root) = self.root {
            body.optional(key!("trace.root.name"), root.name.as_deref());
            let origin = root.source.origin.and_then(|origin| crate::coerce::text(origin).ok().flatten());
            body.optional(key!("trace.root.origin"), origin.as_deref());
        }
        body.boolean(key!("trace.root.found"), self.root.is_some());
        body.string(key!("event.outcome"), self.root.map_or("unknown", Node::outcome));
        body.strings(key!("execution.arn"), sorted(&mut self.executions));
        self.tally.write(body);
        body.integer(key!("xray.unparsed_segments"), unparsed);
        body.strings(key!("xray.annotation_kv"), first(sorted(&mut self.annotations)));
        body.strings(key!("user.id"), first(sorted(&mut self.users)));
        body.warnings.extend(source.warnings.iter().cloned());
    }
}

fn first<T>(list: &[T]) -> &[T] {
    list.get(..MOST).unwrap_or(list)
}
