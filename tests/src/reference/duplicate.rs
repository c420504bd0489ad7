//! One node twice, section 2.

use std::collections::BTreeMap;

use super::input::Message;

/// Of the nodes of a message with the same trace id, kind, id and name leaves one.
pub fn find(message: &mut Message) {
    let mut all: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, node) in message.nodes.iter().enumerate().filter(|(_, node)| node.id.is_some()) {
        let key = (node.trace_id.clone(), node.kind, node.id.clone(), node.name.clone());
        all.entry(key).or_default().push(index);
    }
    // Segments first: of copies of what is below one the copy counts that stands in the segment that is left.
    let (outermost, below): (Vec<_>, Vec<_>) =
        all.into_values().filter(|copies| copies.len() > 1).partition(|copies| has_outermost(message, copies));
    for copies in outermost.iter().chain(&outermost).chain(&below) {
        // Of equals the first.
        let best = copies.iter().rev().max_by_key(|index| rank(message, **index)).copied();
        for index in copies {
            message.nodes[*index].replaced_by = best.filter(|best| best != index);
            message.nodes[*index].duplicate = best == Some(*index);
        }
    }
}

fn has_outermost(message: &Message, copies: &[usize]) -> bool {
    copies.iter().any(|index| message.nodes[*index].enclosing.is_none())
}

/// One that has ended, the later end, more nodes below; one that another encloses, one whose outermost node is left.
fn rank(message: &Message, index: usize) -> impl Ord + use<> {
    let node = &message.nodes[index];
    let stays = message.nodes[node.outermost].is_documented();
    (node.end.is_some(), node.end, node.below, node.enclosing.is_some(), stays)
}
