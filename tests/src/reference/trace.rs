//! The documents of traces, section 6.

use std::collections::BTreeSet;

use super::body::Body;
use super::common::{Common, Source};
use super::id::{self, Draft};
use super::input::Trace;
use super::node::Node;
use super::{Document, Kind, part, segment};

const VALUES: usize = 200;

/// Absent for lone segment documents and for a trace without a node.
pub fn document(source: &Source, index: usize) -> Option<Draft> {
    let trace = &source.message.traces[index];
    let nodes: Vec<&Node> = source.message.documented_of(index).collect();
    if trace.lone || nodes.is_empty() {
        return None;
    }
    let start = nodes.iter().filter_map(|node| node.start).min();
    let timestamp = start.or_else(|| nodes.iter().map(|node| node.timestamp).min())?;
    let root = root(&nodes);
    let warnings = trace.warnings.clone();
    let mut body = Body::default();
    let common = Common {
        kind: Kind::Trace,
        timestamp,
        start,
        end: nodes.iter().filter_map(|node| node.end).max(),
        duration_micros: trace.duration_micros(),
        outcome: root.map_or("unknown", Node::outcome),
        account: source.account(),
        region: source.region(),
    };
    source.common(&mut body, &warnings, common);
    let trace_id = trace.id.as_deref();
    body.put("trace.id", trace_id);
    body.put("trace.w3c_id", trace_id.and_then(id::w3c_id));
    body.put("trace.root.name", root.and_then(|root| root.name.clone()));
    body.put("trace.root.origin", root.and_then(|root| root.text("origin")));
    body.put("trace.root.found", root.is_some());
    part::sums(&mut body, &nodes);

    let arns: BTreeSet<String> = nodes.iter().filter_map(|node| part::execution_arn(node)).collect();
    body.put("execution.arn", arns);
    body.put("xray.unparsed_segments", trace.unparsed);
    body.flag("xray.limit_exceeded", trace.limit_exceeded);
    body.flag("xray.partial", source.message.verdict() == Some("partial"));
    let annotations: BTreeSet<String> = nodes.iter().flat_map(|node| segment::annotation_kv(node)).collect();
    body.put("xray.annotation_kv", annotations.into_iter().take(VALUES).collect::<Vec<_>>());
    let users: BTreeSet<String> = nodes.iter().filter_map(|node| node.text("user")).collect();
    body.put("user.id", users.into_iter().take(VALUES).collect::<Vec<_>>());
    body.put("xray.parse.warnings", warnings.list());

    let (account, region) = (source.account(), source.region());
    Some(Draft {
        document: Document {
            kind: Kind::Trace,
            id: id::of_trace(source.input.payload, account.as_deref(), region.as_deref(), trace_id),
            time_ns: id::index_time(trace_id, timestamp).nanos(),
            version: id::version_time(source.message, Some(index), None),
            body: body.finish(),
        },
        start,
        end: None,
        name: None,
    })
}

/// The earliest segment that is not inferred and has no `parent_id`.
fn root<'a>(nodes: &[&'a Node]) -> Option<&'a Node> {
    let roots = nodes.iter().filter(|node| node.is_root());
    roots.min_by_key(|node| node.timestamp).copied()
}

impl Node {
    /// A segment that is not inferred and has no `parent_id`.
    pub fn is_root(&self) -> bool {
        self.is_segment() && !self.flag("inferred") && self.parent_id().is_none()
    }
}

impl Trace {
    /// `Duration` in microseconds, if its nanoseconds are a number of 64 bits.
    fn duration_micros(&self) -> Option<i64> {
        let micros = (self.duration? * 1e6).round();
        if micros.abs() < 9e15 {
            return Some(micros as i64);
        }
        self.warnings.add("dropped:Duration");
        None
    }
}
