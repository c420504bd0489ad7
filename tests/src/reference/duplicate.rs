//! One node twice, section 2.

use std::collections::HashMap;

use super::id::Draft;
use super::input::Trace;
use super::{Kind, node::Node};

/// Of the nodes of a trace with the same kind, id and name leaves one.
pub fn within(trace: &mut Trace) {
    let mut best: HashMap<_, usize> = HashMap::new();
    for index in 0..trace.nodes.len() {
        let node = &trace.nodes[index];
        if !node.is_documented() || node.id.is_none() {
            continue;
        }
        let key = (node.trace_id.clone(), node.kind, node.id.clone(), node.name.clone());
        match best.insert(key.clone(), index) {
            None => {}
            Some(other) => {
                let (better, worse) =
                    if rank(node) > rank(&trace.nodes[other]) { (index, other) } else { (other, index) };
                trace.nodes[worse].replaced_by = Some(better);
                trace.nodes[better].duplicate = true;
                best.insert(key, better);
            }
        }
    }
}

fn rank(node: &Node) -> impl Ord + use<> {
    (node.end.is_some(), node.end, node.below)
}

/// The same of the documents of all traces of a message.
pub fn across_traces(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut kept: Vec<Draft> = Vec::new();
    for mut draft in drafts {
        match kept.iter_mut().find(|other| same(other, &draft)) {
            None => kept.push(draft),
            Some(other) => {
                let rank = |draft: &Draft| (draft.end.is_some(), draft.end, draft.below);
                if rank(&draft) > rank(other) {
                    std::mem::swap(other, &mut draft);
                }
                warn_duplicate(other);
            }
        }
    }
    kept
}

fn same(a: &Draft, b: &Draft) -> bool {
    let (x, y) = (&a.document, &b.document);
    let is_node = matches!(x.kind, Kind::Segment | Kind::Subsegment);
    let have_ids = x.body.contains_key("span.id") && y.body.contains_key("span.id");
    is_node && have_ids && (&x.id, x.kind, &a.name) == (&y.id, y.kind, &b.name)
}

fn warn_duplicate(draft: &mut Draft) {
    let warnings = draft.document.body.entry("xray.parse.warnings").or_insert_with(|| Vec::<String>::new().into());
    let mut list: Vec<String> = serde_json::from_value(warnings.take()).expect("a list of texts");
    list.push("duplicate".to_owned());
    list.sort();
    list.dedup();
    *warnings = list.into();
}
