//! Which part of a trace belongs to which execution.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::arn::ExecutionArn;
use crate::coerce;
use crate::described::Described;
use crate::ids;
use crate::json::Value;
use crate::message::Unit;
use crate::node::{Kind, Node};
use crate::span::Facts;
use crate::tree::Tree;

/// An execution of a unit.
pub struct Execution<'t> {
    /// Absent where a segment stands for an execution by itself.
    pub arn: Option<Cow<'t, str>>,
    pub described: Option<Described<'t>>,
    /// Its own segment.
    pub own: Option<usize>,
    /// Its place among the executions of one `_id`.
    pub number: u32,
}

/// The executions of a unit, and for each of the tree's roots the one whose part it belongs to with all below it.
pub struct Parts<'t> {
    pub executions: Vec<Execution<'t>>,
    pub owners: Vec<Option<usize>>,
    /// For each root the execution whose segment it is, its own one or an earlier one.
    segment_of: Vec<Option<usize>>,
}

impl<'t> Parts<'t> {
    /// Finds the executions: those that are described, those in the traces, else the segments nobody called.
    pub fn find(
        unit: &Unit<'t>,
        tree: &Tree<'t>,
        facts: &[Facts<'t>],
        reject: &mut impl FnMut(&'static str, Value<'t>),
    ) -> Parts<'t> {
        let mut executions = Vec::new();
        let mut by_arn = BTreeMap::new();
        for described in &unit.executions {
            match Described::read(*described) {
                Ok(described) => add_described(&mut executions, &mut by_arn, described),
                Err(reason) => reject(reason, *described),
            }
        }
        let any_described = !executions.is_empty();
        // Traces in which an execution was found or started.
        let mut stepping = vec![false; unit.traces.len()];
        for (index, node) in tree.documents() {
            let is_machine = is_state_machine(node);
            if (is_machine || facts.get(index).is_some_and(|facts| facts.starts_execution))
                && let Some(stepping) = tree.root(node).and_then(|root| stepping.get_mut(root.trace))
            {
                *stepping = true;
            }
            if is_machine
                && let Some(arn) = resource_arn(node).filter(|arn| ExecutionArn::parse(arn).is_some())
                && let Entry::Vacant(entry) = by_arn.entry(arn)
            {
                let arn = Some(entry.key().clone());
                entry.insert(executions.len());
                executions.push(Execution { arn, described: None, own: None, number: 0 });
            }
        }
        let mut segment_of = vec![None; tree.roots.len()];
        // A segment of another origin can be one of an execution that is found later.
        for (root, slot) in tree.roots.iter().zip(&mut segment_of) {
            let Some(node) = tree.nodes.get(root.node) else { continue };
            if node.kind != Kind::Segment || node.stands_for != root.node {
                continue;
            }
            *slot = resource_arn(node).and_then(|arn| by_arn.get(&arn).copied());
            if let Some(execution) = slot.and_then(|found| executions.get_mut(found)) {
                let own = execution.own.and_then(|own| tree.nodes.get(own));
                if own.is_none_or(|own| own.start < node.start) {
                    execution.own = Some(root.node);
                }
            }
        }
        let is_final = !unit.is_envelope || matches!(unit.verdict.as_deref(), Some("settled" | "limit_exceeded"));
        if !any_described && is_final {
            for (index, node) in tree.documents() {
                let is_stepping = tree.root(node).and_then(|root| stepping.get(root.trace)) == Some(&true);
                if is_caller(node) && !is_stepping {
                    if let Some(slot) = segment_of.get_mut(node.root) {
                        *slot = Some(executions.len());
                    }
                    executions.push(Execution { arn: None, described: None, own: Some(index), number: 0 });
                }
            }
            number_segments(&mut executions, tree);
        }
        let owners = vec![None; tree.roots.len()];
        let mut parts = Parts { executions, owners, segment_of };
        parts.find_owners(tree);
        parts
    }

    /// The execution in whose part the node stands that the own segment names as its parent.
    pub fn parent(&self, tree: &Tree<'t>, execution: usize) -> Option<&Execution<'t>> {
        let own = tree.nodes.get(self.executions.get(execution)?.own?)?;
        let parent = (*self.owners.get(above(tree, own.root)?)?)?;
        self.executions.get(parent).filter(|_| parent != execution)
    }

    fn find_owners(&mut self, tree: &Tree<'t>) {
        let mut visited = vec![false; tree.roots.len()];
        let mut path = Vec::new();
        for index in 0..tree.roots.len() {
            let mut next = Some(index);
            // A parent chain can be a circle: whoever is on it belongs to nobody.
            let mut owner = loop {
                let Some(index) = next else { break None };
                if visited.get(index) != Some(&false) {
                    break self.owners.get(index).copied().flatten();
                }
                if let Some(visited) = visited.get_mut(index) {
                    *visited = true;
                }
                path.push(index);
                if self.is_own(tree, index) {
                    break None;
                }
                next = above(tree, index);
            };
            while let Some(index) = path.pop() {
                match self.segment_of.get(index).copied().flatten() {
                    Some(execution) if self.is_own(tree, index) || owner == Some(execution) => owner = Some(execution),
                    Some(_) => owner = None,
                    None => {}
                }
                if let Some(slot) = self.owners.get_mut(index) {
                    *slot = owner;
                }
            }
        }
    }

    fn is_own(&self, tree: &Tree<'t>, root: usize) -> bool {
        let execution = self.segment_of.get(root).copied().flatten().and_then(|found| self.executions.get(found));
        let own = execution.and_then(|execution| execution.own);
        own.is_some() && own == tree.roots.get(root).map(|root| root.node)
    }
}

/// The root above: that of the node which `parent_id` names or, of a duplicate, of the one that stands for it.
fn above(tree: &Tree<'_>, root: usize) -> Option<usize> {
    let root = tree.roots.get(root)?;
    let node = tree.nodes.get(root.node)?;
    let above = if node.stands_for == root.node {
        tree.find(root.trace_id.as_deref(), node.parent_id.as_deref()?)?
    } else {
        node.stands_for
    };
    Some(tree.nodes.get(above)?.root)
}

fn add_described<'t>(
    executions: &mut Vec<Execution<'t>>,
    by_arn: &mut BTreeMap<Cow<'t, str>, usize>,
    described: Described<'t>,
) {
    let position = *by_arn.entry(described.arn.clone()).or_insert(executions.len());
    match executions.get_mut(position) {
        Some(Execution { described: Some(known), .. }) if described.worth() <= known.worth() => {}
        Some(execution) => execution.described = Some(described),
        None => {
            let arn = Some(described.arn.clone());
            executions.push(Execution { arn, described: Some(described), own: None, number: 0 });
        }
    }
}

/// Numbers the executions for which segments stand by themselves, where several have one `_id`.
fn number_segments(executions: &mut [Execution<'_>], tree: &Tree<'_>) {
    let segments = executions.iter().enumerate().filter(|(_, execution)| execution.arn.is_none());
    let mut segments: Vec<(usize, usize)> =
        segments.filter_map(|(index, execution)| Some((index, execution.own?))).collect();
    segments.sort_by(|a, b| tree.compare_ids(a.1, b.1));
    ids::number(
        &mut segments,
        |a, b| tree.compare_ids(a.1, b.1) == Ordering::Equal,
        |a, b| tree.compare_ranks(a.1, b.1),
        |(index, _), number| {
            if let Some(execution) = executions.get_mut(index) {
                execution.number = number;
            }
        },
    );
}

/// Whether it is a segment that Step Functions wrote.
pub fn is_state_machine(node: &Node<'_>) -> bool {
    node.kind == Kind::Segment
        && matches!(node.source.origin.map(coerce::text), Some(Ok(Some(origin)))
            if origin.eq_ignore_ascii_case("AWS::StepFunctions::StateMachine"))
}

/// Whether it is a segment that X-Ray did not infer and nothing called.
pub fn is_caller(node: &Node<'_>) -> bool {
    node.kind == Kind::Segment && !node.inferred && node.enclosing.is_none() && node.parent_id.is_none()
}

/// `aws.resource_arn`: of a Step Functions segment the execution's.
pub fn resource_arn<'t>(node: &Node<'t>) -> Option<Cow<'t, str>> {
    coerce::text(node.source.aws?.get("resource_arn")?).ok().flatten()
}
