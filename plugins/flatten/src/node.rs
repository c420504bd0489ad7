//! Segments and subsegments.

use std::borrow::Cow;

use crate::arn::Arn;
use crate::body::Warning;
use crate::coerce;
use crate::ids::Rank;
use crate::json::{Shape, Value};
use crate::members::{self, Aws};
use crate::message::checked;
use crate::time::{self, Micros};

/// A segment or subsegment.
pub struct Node<'t> {
    pub source: members::Node<'t>,
    pub kind: Kind,
    /// Index into the tree's roots.
    pub root: usize,
    /// The node that encloses it.
    pub enclosing: Option<usize>,
    /// 0 for an outermost node.
    pub depth: usize,
    pub id: Option<Cow<'t, str>>,
    pub name: Option<Cow<'t, str>>,
    /// Of an outermost node only.
    pub parent_id: Option<Cow<'t, str>>,
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    pub timestamp: Micros,
    pub inferred: bool,
    pub fault: bool,
    pub error: bool,
    pub throttle: bool,
    pub warnings: Vec<Warning>,
    /// What stands in its `_id` after the trace id.
    pub id_or_hash: Cow<'t, str>,
    /// Its place among the documents of one `_id`.
    pub number: u32,
    /// The node whose document stands for it: itself, unless it is a duplicate.
    pub stands_for: usize,
    pub sort_key: u64,
    /// How many nodes there are below it.
    pub below: usize,
}

/// The two kinds of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Segment,
    Subsegment,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Segment => "segment",
            Kind::Subsegment => "subsegment",
        }
    }
}

/// What a node shares with the others of its segment document.
#[derive(Clone, Copy)]
pub struct Context {
    pub root: usize,
    pub epoch: Option<Micros>,
    pub collected_at: Option<Micros>,
}

impl<'t> Node<'t> {
    /// `inside`: the enclosing node, and this one's depth. `None`: it has no usable time.
    pub fn new(
        source: members::Node<'t>,
        inside: Option<(usize, usize)>,
        context: Context,
        mut warnings: Vec<Warning>,
    ) -> Option<Node<'t>> {
        let mut seconds = |dropped, value: Option<Value<'t>>| {
            let read = checked(&mut warnings, dropped, time::seconds(value?))?;
            if read.was_number_text {
                warnings.push(Cow::Borrowed("time_string"));
            }
            Some(read.time)
        };
        let start = seconds("dropped:start_time", source.start_time);
        let end = seconds("dropped:end_time", source.end_time);
        let timestamp = start.or(end).or(context.epoch).or(context.collected_at)?;
        let mut text = |dropped, value: Option<Value<'t>>| checked(&mut warnings, dropped, coerce::text(value?));
        let id = text("dropped:id", source.id);
        let name = text("dropped:name", source.name);
        let is_subsegment = source.kind.is_some_and(|kind| kind.shape() == Shape::Text("subsegment"));
        let kind = if inside.is_some() || is_subsegment { Kind::Subsegment } else { Kind::Segment };
        let mut flag = |dropped, value: Option<Value<'t>>| {
            value.is_some_and(|value| checked(&mut warnings, dropped, coerce::boolean(value)) == Some(true))
        };
        Some(Node {
            inferred: flag("dropped:inferred", source.inferred),
            fault: flag("dropped:fault", source.fault),
            error: flag("dropped:error", source.error),
            throttle: flag("dropped:throttle", source.throttle),
            source,
            kind,
            root: context.root,
            enclosing: inside.map(|(enclosing, _)| enclosing),
            depth: inside.map_or(0, |(_, depth)| depth),
            id,
            name,
            parent_id: None,
            start,
            end,
            timestamp,
            warnings,
            id_or_hash: Cow::Borrowed(""),
            number: 0,
            stands_for: 0,
            sort_key: 0,
            below: 0,
        })
    }

    /// `failure`, `unknown` or `success`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Node { fault: true, .. } | Node { error: true, .. } | Node { throttle: true, .. } => "failure",
            Node { end: None, .. } => "unknown",
            _ => "success",
        }
    }

    /// What documents of one `_id` are numbered by.
    pub fn rank(&self) -> Rank<'_> {
        Rank { start: self.start, name: self.name.as_deref(), end: self.end, kind: self.kind.as_str() }
    }
}

/// The account and region that a segment names: its own, else those in its ARNs. What has the wrong type is warned of
/// where the segment's document is written.
pub fn place<'t>(source: &members::Node<'t>) -> (Option<Cow<'t, str>>, Option<Cow<'t, str>>) {
    let aws = source.aws.map(Aws::read).unwrap_or_default();
    let text = |value: Option<Value<'t>>| coerce::text(value?).ok().flatten();
    let mut account = text(aws.account_id);
    let mut region = text(aws.region);
    if account.is_none() || region.is_none() {
        for arn in [aws.resource_arn, source.resource_arn, aws.function_arn].into_iter().flatten() {
            let Shape::Text(text) = arn.shape() else { continue };
            let Some(arn) = Arn::parse(text) else { continue };
            account = account.or(arn.account.map(Cow::Borrowed));
            region = region.or(arn.region.map(Cow::Borrowed));
        }
    }
    if account.is_none() {
        account = text(aws.api_gateway.and_then(|gateway| gateway.get("account_id")));
    }
    (account, region)
}
