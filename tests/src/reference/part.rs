//! An execution's part of its trace (section 5), and what is counted over nodes (sections 5 and 6).

use std::collections::BTreeSet;

use super::Kind;
use super::body::Body;
use super::common::Arn;
use super::input::Message;
use super::node::Node;

/// The segment documents of a part, by the indexes of their outermost nodes.
pub type Part = BTreeSet<usize>;

/// The own segment's document, every one whose `parent_id` is a node of the part or whose outermost node is the same as
/// one of the part, and so on, stopping at other executions' segments.
pub fn of_segment(message: &Message, own: usize, is_other: impl Fn(&Node) -> bool) -> Part {
    let mut part = Part::from([own]);
    loop {
        let joins = |index: &usize| {
            let node = &message.nodes[*index];
            let above = match node.replaced_by {
                Some(_) => Some(standing(message, *index)),
                None => caller(message, node).filter(|_| !is_other(node)),
            };
            above.is_some_and(|above| part.contains(&message.nodes[above].outermost))
        };
        let outermost = (0..message.nodes.len()).filter(|index| message.nodes[*index].enclosing.is_none());
        let more: Vec<usize> = outermost.filter(|index| !part.contains(index)).filter(joins).collect();
        if more.is_empty() {
            return part;
        }
        part.extend(more);
    }
}

/// Index of the node that `parent_id` names: of several the one whose document has that id without a number.
pub fn caller(message: &Message, node: &Node) -> Option<usize> {
    let parent_id = Some(node.parent_id()?);
    let callers = message.documented().filter(|(_, other)| other.id == parent_id && other.trace_id == node.trace_id);
    callers.min_by_key(|(_, other)| other.order()).map(|(index, _)| index)
}

/// The nodes below a segment, in whichever of its copies they stand.
pub fn below(message: &Message, own: usize) -> Vec<&Node> {
    message
        .documented()
        .map(|(_, node)| node)
        .filter(|node| standing(message, node.outermost) == own && node.enclosing.is_some())
        .collect()
}

/// The same node that has the document.
pub fn standing(message: &Message, index: usize) -> usize {
    message.nodes[index].replaced_by.unwrap_or(index)
}

/// Whether the segment is one that Step Functions writes.
pub fn is_step_functions(node: &Node) -> bool {
    let origin = node.text("origin").unwrap_or_default();
    node.is_segment() && origin.eq_ignore_ascii_case("AWS::StepFunctions::StateMachine")
}

/// The execution whose segment this is.
pub fn execution_arn(node: &Node) -> Option<String> {
    let arn = node.aws("resource_arn").filter(|_| is_step_functions(node))?;
    let parsed = Arn::parse(&arn)?;
    let is_execution = parsed.service == "states"
        && matches!(parsed.resource.first().map(String::as_str), Some("execution" | "express"))
        && parsed.resource.len() >= 3;
    is_execution.then_some(arn)
}

/// The sums over nodes that executions and traces have.
pub fn sums(body: &mut Body, nodes: &[&Node]) {
    let calls = || nodes.iter().filter(|node| node.is_call());
    let services: BTreeSet<String> = calls().filter_map(|node| node.name.clone()).collect();
    let resources = |node: &&Node| Some(format!("{}:{}", node.name.as_ref()?, resource(node)?));
    let resources: BTreeSet<String> = calls().filter_map(resources).collect();
    body.put("services", services);
    body.put("service_resources", resources);
    body.put("service_calls", calls().count());
    let of_kind = |kind| nodes.iter().filter(|node| node.kind == kind).count();
    body.put("segments.count", of_kind(Kind::Segment));
    body.put("subsegments.count", of_kind(Kind::Subsegment));
    // An inferred segment is a copy of a subsegment.
    let own = || nodes.iter().filter(|node| !(node.is_segment() && node.flag("inferred")));
    body.put("faults", own().filter(|node| node.flag("fault")).count());
    body.put("errors", own().filter(|node| node.flag("error")).count());
    body.put("throttles", own().filter(|node| node.flag("throttle")).count());
}

/// What was called.
fn resource(node: &Node) -> Option<String> {
    let after_last = |key, separator| node.aws(key).and_then(|text| text.rsplit(separator).next().map(str::to_owned));
    let names = node.reader().object("aws").texts("resource_names");
    let resource = names.into_iter().next();
    let resource = resource.or_else(|| node.aws("table_name")).or_else(|| node.aws("bucket_name"));
    let resource = resource.or_else(|| after_last("function_name", ':')).or_else(|| after_last("queue_url", '/'));
    resource.or_else(|| after_last("topic_arn", ':')).filter(|resource| !resource.is_empty())
}
