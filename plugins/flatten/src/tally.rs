//! What is counted over the nodes of an execution or a trace.

use crate::body::Body;
use crate::node::{Kind, Node};
use crate::span::Facts;
use crate::writer::key;

/// Counts and the services called.
#[derive(Default)]
pub struct Tally {
    services: Vec<String>,
    resources: Vec<String>,
    calls: i64,
    segments: i64,
    subsegments: i64,
    faults: i64,
    errors: i64,
    throttles: i64,
}

impl Tally {
    pub fn add(&mut self, node: &Node<'_>, facts: &Facts<'_>) {
        match node.kind {
            Kind::Segment => self.segments += 1,
            Kind::Subsegment => self.subsegments += 1,
        }
        // An inferred segment is a copy of a subsegment.
        if !(node.inferred && node.kind == Kind::Segment) {
            self.faults += i64::from(node.fault);
            self.errors += i64::from(node.error);
            self.throttles += i64::from(node.throttle);
        }
        if facts.is_call {
            self.calls += 1;
            if let Some(name) = node.name.as_deref() {
                push_new(&mut self.services, |known| known == name, || name.to_owned());
                if let Some(resource) = facts.resource.as_deref() {
                    let same = |known: &str| {
                        known.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) == Some(resource)
                    };
                    push_new(&mut self.resources, same, || [name, ":", resource].concat());
                }
            }
        }
    }

    pub fn write(mut self, body: &mut Body<'_>) {
        body.strings(key!("services"), sorted(&mut self.services));
        body.strings(key!("service_resources"), sorted(&mut self.resources));
        body.integer(key!("service_calls"), self.calls);
        body.integer(key!("segments.count"), self.segments);
        body.integer(key!("subsegments.count"), self.subsegments);
        body.integer(key!("faults"), self.faults);
        body.integer(key!("errors"), self.errors);
        body.integer(key!("throttles"), self.throttles);
    }
}

/// Adds a text unless one of the last few is the same: calls repeat, and this spares most of the copies.
fn push_new(list: &mut Vec<String>, same: impl Fn(&str) -> bool, make: impl FnOnce() -> String) {
    if !list.iter().rev().take(8).any(|known| same(known)) {
        list.push(make());
    }
}

/// Sorted and distinct.
pub fn sorted<T: Ord>(list: &mut Vec<T>) -> &[T] {
    list.sort_unstable();
    list.dedup();
    list
}
