//! Versions: a later state of a document has a higher one (section 7 of `docs/documents.md`).

use crate::message::Unit;
use crate::time::Micros;
use crate::tree::Tree;

/// The largest time in a version, in milliseconds: 43 bits.
const LATEST: u64 = (1 << 43) - 1;

/// The `t` of the versions of one unit: `collected_at`, else the latest end, else the latest start.
pub struct Times {
    /// Of each trace.
    pub of_traces: Vec<Option<Micros>>,
    /// Of all traces together, for what is found in none of them.
    pub of_unit: Option<Micros>,
}

impl Times {
    pub fn find(unit: &Unit<'_>, tree: &Tree<'_>) -> Times {
        if let Some(collected_at) = unit.collected_at {
            let of_traces = vec![Some(collected_at); unit.traces.len()];
            return Times { of_traces, of_unit: Some(collected_at) };
        }
        let mut latest = vec![(None, None); unit.traces.len()];
        for (_, node) in tree.documents() {
            if let Some((end, start)) = tree.root(node).and_then(|root| latest.get_mut(root.trace)) {
                *end = node.end.max(*end);
                *start = node.start.max(*start);
            }
        }
        let end = latest.iter().filter_map(|(end, _)| *end).max();
        let start = latest.iter().filter_map(|(_, start)| *start).max();
        let of_traces = latest.into_iter().map(|(end, start)| end.or(start)).collect();
        Times { of_traces, of_unit: end.or(start) }
    }
}

/// The time in milliseconds as a version holds it.
pub fn milliseconds(time: Micros) -> u64 {
    (time / 1000).unsigned_abs().min(LATEST)
}
