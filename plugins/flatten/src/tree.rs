//! All nodes of a unit: outermost ones with all below them, and which of them are the same.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};

use crate::coerce;
use crate::ids;
use crate::json::{Elements, Shape, Value};
use crate::members;
use crate::message::checked;
use crate::node::{self, Context, Kind, Node};
use crate::time::{self, Micros};

/// How deep nodes may nest.
const LEVELS: usize = 256;

/// All nodes of a unit. A node stands after the one that encloses it.
pub struct Tree<'t> {
    pub roots: Vec<Root<'t>>,
    pub nodes: Vec<Node<'t>>,
    /// The nodes that get a document, sorted so that those of one `_id` stand together.
    pub by_id: Vec<usize>,
}

/// An outermost node: what all nodes below it share.
pub struct Root<'t> {
    pub node: usize,
    /// The segment that all below it are of: the outermost node, or the one that stands for it. An outermost subsegment
    /// is of none.
    pub segment: Option<usize>,
    /// Index into the unit's traces.
    pub trace: usize,
    pub trace_id: Option<Cow<'t, str>>,
    pub epoch: Option<Micros>,
    pub account: Option<Cow<'t, str>>,
    pub region: Option<Cow<'t, str>>,
}

/// What the nodes of a segment document cannot know by themselves.
#[derive(Clone, Copy)]
pub struct Around<'a, 't> {
    pub trace: usize,
    pub trace_id: Option<&'a Cow<'t, str>>,
    pub collected_at: Option<Micros>,
    pub account: Option<&'a Cow<'t, str>>,
    pub region: Option<&'a Cow<'t, str>>,
}

impl<'t> Tree<'t> {
    pub fn new() -> Tree<'t> {
        Tree { roots: Vec::new(), nodes: Vec::new(), by_id: Vec::new() }
    }

    /// Adds a segment document. `reject` gets what is below the outermost node and cannot become a document. Returns
    /// whether the outermost node has a time.
    pub fn add(
        &mut self,
        document: Value<'t>,
        around: Around<'_, 't>,
        reject: &mut impl FnMut(&'static str, Value<'t>),
    ) -> bool {
        let source = members::Node::read(document);
        let mut warnings = Vec::new();
        let own = source.trace_id.and_then(|id| checked(&mut warnings, "dropped:trace_id", coerce::text(id)));
        let trace_id = own.or_else(|| around.trace_id.cloned());
        let epoch = trace_id.as_deref().and_then(time::epoch);
        let root = self.roots.len();
        let context = Context { root, epoch, collected_at: around.collected_at };
        let Some(mut outermost) = Node::new(source, None, context, warnings) else {
            return false;
        };
        let parent_id = source.parent_id.map_or(Ok(None), coerce::text);
        outermost.parent_id = checked(&mut outermost.warnings, "dropped:parent_id", parent_id);
        let (account, region) = match outermost.kind {
            Kind::Segment => node::place(&source),
            Kind::Subsegment => (None, None),
        };
        self.roots.push(Root {
            node: self.nodes.len(),
            segment: None,
            trace: around.trace,
            trace_id,
            epoch,
            account: account.or_else(|| around.account.cloned()),
            region: region.or_else(|| around.region.cloned()),
        });
        self.nodes.push(outermost);
        self.add_below(context, reject);
        true
    }

    /// Adds what is below the node that was added last.
    fn add_below(&mut self, context: Context, reject: &mut impl FnMut(&'static str, Value<'t>)) {
        let outermost = self.nodes.len() - 1;
        let mut open = Vec::new();
        open.extend(self.subsegments(outermost));
        while let Some((enclosing, elements)) = open.last_mut() {
            let enclosing = *enclosing;
            let Some(element) = elements.next() else {
                open.pop();
                continue;
            };
            if !element.is_object() {
                reject("subsegment is not an object", element);
            } else if open.len() >= LEVELS {
                reject("nesting beyond 256 levels", element);
            } else {
                let inside = Some((enclosing, open.len()));
                match Node::new(members::Node::read(element), inside, context, Vec::new()) {
                    Some(node) => {
                        self.nodes.push(node);
                        open.extend(self.subsegments(self.nodes.len() - 1));
                    }
                    None => reject("no time", element),
                }
            }
        }
        for index in (outermost + 1..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get(index) else { continue };
            let (below, enclosing) = (node.below, node.enclosing);
            if let Some(node) = enclosing.and_then(|enclosing| self.nodes.get_mut(enclosing)) {
                node.below += below + 1;
            }
        }
    }

    fn subsegments(&mut self, index: usize) -> Option<(usize, Elements<'t>)> {
        let node = self.nodes.get_mut(index)?;
        let subsegments = node.source.subsegments?;
        if subsegments.shape() != Shape::Array {
            node.warnings.push(Cow::Borrowed("dropped:subsegments"));
            return None;
        }
        Some((index, subsegments.elements()))
    }

    /// Finds nodes that are the same, and numbers different ones of one `_id`. Once, after the last `add`.
    pub fn resolve(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(index) else { continue };
            let id_or_hash = match &node.id {
                Some(id) => id.clone(),
                None => {
                    let parent = self.parent_id(index);
                    Cow::Owned(ids::instead_of_node_id(parent, node.name.as_deref(), node.start))
                }
            };
            let Some(node) = self.nodes.get_mut(index) else { continue };
            node.stands_for = index;
            node.sort_key = ids::sort_key(&id_or_hash);
            node.id_or_hash = id_or_hash;
        }
        let mut order = self.sorted();
        self.settle_duplicates(&order);
        order.retain(|index| self.nodes.get(*index).is_some_and(|node| node.stands_for == *index));
        let mut numbers = Vec::new();
        ids::number(
            &mut order,
            |a, b| self.compare_ids(a, b) == Ordering::Equal,
            |a, b| self.compare_ranks(a, b),
            |index, number| numbers.push((index, number)),
        );
        for (index, number) in numbers {
            if let Some(node) = self.nodes.get_mut(index) {
                node.number = number;
            }
        }
        self.by_id = order;
        for root in &mut self.roots {
            let outermost = self.nodes.get(root.node).filter(|node| node.kind == Kind::Segment);
            root.segment = outermost.map(|node| node.stands_for);
        }
    }

    /// The nodes sorted by id and, where that is the same, by place.
    fn sorted(&self) -> Vec<usize> {
        // Few ids share a sort key: the ids themselves are compared only where they do.
        let mut keys: Vec<(u64, usize)> = self.nodes.iter().map(|node| node.sort_key).zip(0..).collect();
        keys.sort_unstable();
        for same in keys.chunk_by_mut(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            same.sort_unstable_by(|a, b| self.compare_ids(a.1, b.1).then(a.1.cmp(&b.1)));
        }
        keys.into_iter().map(|(_, index)| index).collect()
    }

    /// Finds for each node that is there several times the one that stands for all.
    fn settle_duplicates(&mut self, order: &[usize]) {
        let mut copies = Vec::new();
        for group in order.chunk_by(|a, b| self.compare_ids(*a, *b) == Ordering::Equal) {
            if group.len() > 1 {
                self.find_copies(group, &mut copies);
            }
        }
        // Twice, since which copy of a subsegment stays depends on which one of its segment does.
        for _ in 0..2 {
            for copies in &copies {
                let Some(winner) = copies.iter().copied().max_by_key(|index| self.worth(*index)) else { continue };
                for copy in copies {
                    if let Some(node) = self.nodes.get_mut(*copy) {
                        node.stands_for = winner;
                    }
                }
            }
        }
        for copies in copies {
            let winner = copies.first().and_then(|first| self.nodes.get(*first)).map(|node| node.stands_for);
            if let Some(node) = winner.and_then(|winner| self.nodes.get_mut(winner)) {
                node.warnings.push(Cow::Borrowed("duplicate"));
            }
        }
    }

    /// Of nodes with one `_id`, those of the same kind and name.
    fn find_copies(&self, group: &[usize], all: &mut Vec<Vec<usize>>) {
        let same = |a: &usize, b: &usize| match (self.nodes.get(*a), self.nodes.get(*b)) {
            (Some(a), Some(b)) => a.kind.cmp(&b.kind).then_with(|| a.name.cmp(&b.name)),
            _ => Ordering::Equal,
        };
        let mut group: Vec<usize> = group
            .iter()
            .copied()
            .filter(|index| self.nodes.get(*index).is_some_and(|node| node.id.is_some()))
            .collect();
        group.sort_by(same);
        let copies = group.chunk_by(|a, b| same(a, b) == Ordering::Equal);
        all.extend(copies.filter(|copies| copies.len() > 1).map(<[usize]>::to_vec));
    }

    /// What decides between copies of a node: the greatest stays. Enclosed ones come before outermost ones, so that whether
    /// an outermost node stays depends on no other.
    fn worth(&self, index: usize) -> impl Ord + use<> {
        let node = self.nodes.get(index);
        let outermost = node.and_then(|node| self.root(node)).map(|root| root.node);
        let stays = outermost.and_then(|outermost| Some(self.nodes.get(outermost)?.stands_for == outermost));
        (node.map(|node| (node.end, node.below, node.depth > 0)), stays, Reverse(index))
    }

    /// The node of that id in that trace, to which a `parent_id` points.
    pub fn find(&self, trace_id: Option<&str>, id: &str) -> Option<usize> {
        let wanted = (ids::sort_key(id), id, trace_id);
        let found = self.by_id.partition_point(|index| self.id_parts(*index).is_some_and(|parts| parts < wanted));
        let index = *self.by_id.get(found)?;
        (self.id_parts(index)? == wanted).then_some(index)
    }

    /// The enclosing node's id, or the outermost one's own `parent_id`.
    pub fn parent_id(&self, index: usize) -> Option<&str> {
        let node = self.nodes.get(index)?;
        match node.enclosing {
            Some(enclosing) => self.nodes.get(enclosing)?.id.as_deref(),
            None => node.parent_id.as_deref(),
        }
    }

    pub fn root(&self, node: &Node<'t>) -> Option<&Root<'t>> {
        self.roots.get(node.root)
    }

    /// The nodes that get a document, in the order of the source.
    pub fn documents(&self) -> impl Iterator<Item = (usize, &Node<'t>)> {
        self.nodes.iter().enumerate().filter(|(index, node)| node.stands_for == *index)
    }

    fn id_parts(&self, index: usize) -> Option<(u64, &str, Option<&str>)> {
        let node = self.nodes.get(index)?;
        Some((node.sort_key, &node.id_or_hash, self.root(node)?.trace_id.as_deref()))
    }

    /// By what is equal where two nodes have one `_id`.
    pub fn compare_ids(&self, a: usize, b: usize) -> Ordering {
        self.id_parts(a).cmp(&self.id_parts(b))
    }

    /// By what documents of one `_id` are numbered.
    pub fn compare_ranks(&self, a: usize, b: usize) -> Ordering {
        self.nodes.get(a).map(Node::rank).cmp(&self.nodes.get(b).map(Node::rank))
    }
}
