//! Versions: a later state of a document has a higher one (section 7 of `docs/documents.md`).

use crate::message::Unit;
use crate::time::Micros;
use crate::tree::Tree;

/// The largest time in a version, in milliseconds: 43 bits.
const LATEST: u64 = (1 << 43) - 1;

/// For each trace the `t` of its versions: `collected_at`, else its latest end, else its latest start.
pub fn times(unit: &Unit<'_>, tree: &Tree<'_>) -> Vec<u64> {
    if let Some(collected_at) = unit.collected_at {
        return vec![milliseconds(collected_at); unit.traces.len()];
    }
    let mut latest = vec![(None, None); unit.traces.len()];
    for (_, node) in tree.documents() {
        if let Some((end, start)) = tree.root(node).and_then(|root| latest.get_mut(root.trace)) {
            *end = node.end.max(*end);
            *start = node.start.max(*start);
        }
    }
    latest.into_iter().map(|(end, start)| end.or(start).map_or(0, milliseconds)).collect()
}

/// The time in milliseconds as a version holds it.
pub fn milliseconds(time: Micros) -> u64 {
    (time / 1000).unsigned_abs().min(LATEST)
}
