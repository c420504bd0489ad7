//! One node twice, section 2.

use std::collections::HashMap;

use super::input::Message;
use super::node::Node;

/// Of the nodes of a message with the same trace id, kind, id and name leaves one.
pub fn find(message: &mut Message) {
    let mut best: HashMap<_, usize> = HashMap::new();
    for index in 0..message.nodes.len() {
        let node = &message.nodes[index];
        if node.id.is_none() {
            continue;
        }
        let key = (node.trace_id.clone(), node.kind, node.id.clone(), node.name.clone());
        match best.insert(key.clone(), index) {
            None => {}
            Some(other) => {
                let (better, worse) =
                    if rank(node) > rank(&message.nodes[other]) { (index, other) } else { (other, index) };
                message.nodes[worse].replaced_by = Some(better);
                message.nodes[better].duplicate = true;
                best.insert(key, better);
            }
        }
    }
}

fn rank(node: &Node) -> impl Ord + use<> {
    (node.end.is_some(), node.end, node.below)
}
