//! Segments and subsegments: the tree of section 2.

use serde_json::Value;

use super::input::Message;
use super::json::{Object, Reader, Warnings};
use super::time::Micros;
use super::{Kind, Rejection, id};

/// A segment or a subsegment.
pub struct Node {
    pub kind: Kind,
    /// All but its subsegments.
    pub members: Object,
    pub id: Option<String>,
    pub name: Option<String>,
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// Index of the trace that it stands in.
    pub trace: usize,
    /// Of the document that it stands in, else of the trace.
    pub trace_id: Option<String>,
    /// `@timestamp`
    pub timestamp: Micros,
    /// Index of the node around it.
    pub enclosing: Option<usize>,
    /// Index of the node at the top of its document.
    pub outermost: usize,
    pub depth: usize,
    /// How many nodes are below it.
    pub below: usize,
    /// The same node, of which the document is made.
    pub replaced_by: Option<usize>,
    /// Another node was the same.
    pub duplicate: bool,
    /// A direct child is named `Initialization`, be it rejected.
    pub initialized: bool,
    pub subsegments_dropped: bool,
}

#[derive(Clone, Copy)]
pub enum Position<'a> {
    /// Index of the trace, and its `Id`.
    Outermost { trace: usize, id: Option<&'a str> },
    /// Index of the node around it, and its depth.
    Below { enclosing: usize, depth: usize },
}

impl Node {
    /// A node may stand in 256 levels of others, itself included.
    const LEVELS: usize = 256;

    /// Adds a node and all below it to the message. Returns what is rejected.
    pub fn read(message: &mut Message, value: &Value, position: Position) -> Vec<Rejection> {
        let Some(object) = value.as_object() else {
            return vec![Rejection::new("subsegment is not an object", Some(value))];
        };
        let depth = match position {
            Position::Outermost { .. } => 0,
            Position::Below { depth, .. } => depth,
        };
        if depth >= Self::LEVELS {
            return vec![Rejection::new("nesting beyond 256 levels", Some(value))];
        }

        let index = message.nodes.len();
        let Some(node) = Node::new(message, object, index, position) else {
            return vec![Rejection::new("no time", Some(value))];
        };
        let mut rejections = Vec::new();
        message.nodes.push(node);
        let warnings = Warnings::default();
        let children = Reader::new(object, &warnings).list("subsegments").into_iter().flatten();
        for child in children {
            let name = child.as_object().and_then(|child| Reader::new(child, &Warnings::default()).text("name"));
            message.nodes[index].initialized |= name.as_deref() == Some("Initialization");
            rejections.extend(Node::read(message, child, Position::Below { enclosing: index, depth: depth + 1 }));
        }
        message.nodes[index].below = message.nodes.len() - index - 1;
        message.nodes[index].subsegments_dropped = !warnings.list().is_empty();
        rejections
    }

    /// Absent if it has no time.
    fn new(message: &Message, object: &Object, index: usize, position: Position) -> Option<Self> {
        let (trace, enclosing, depth) = match position {
            Position::Outermost { trace, .. } => (trace, None, 0),
            Position::Below { enclosing, depth } => (message.nodes[enclosing].trace, Some(enclosing), depth),
        };
        let reader = Reader::new(object, &Warnings::default());
        let subsegment = enclosing.is_some() || reader.text("type").as_deref() == Some("subsegment");
        let mut members = object.clone();
        members.remove("subsegments");
        let (start, end) = (reader.time("start_time"), reader.time("end_time"));
        let trace_id = match position {
            Position::Below { enclosing, .. } => message.nodes[enclosing].trace_id.clone(),
            Position::Outermost { id, .. } => reader.text("trace_id").or_else(|| id.map(str::to_owned)),
        };
        let epoch = trace_id.as_deref().and_then(id::epoch);
        Some(Node {
            kind: if subsegment { Kind::Subsegment } else { Kind::Segment },
            members,
            id: reader.text("id"),
            name: reader.text("name"),
            start,
            end,
            timestamp: start.or(end).or(epoch).or(message.collected_at())?,
            trace,
            trace_id,
            enclosing,
            outermost: enclosing.map_or(index, |enclosing| message.nodes[enclosing].outermost),
            depth,
            below: 0,
            replaced_by: None,
            duplicate: false,
            initialized: false,
            subsegments_dropped: false,
        })
    }

    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.members, &Warnings::default())
    }

    /// Whether there is a document for it.
    pub fn is_documented(&self) -> bool {
        self.replaced_by.is_none()
    }

    pub fn is_segment(&self) -> bool {
        self.kind == Kind::Segment
    }

    pub fn flag(&self, key: &str) -> bool {
        self.reader().flag(key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.reader().text(key)
    }

    pub fn aws(&self, key: &str) -> Option<String> {
        self.reader().object("aws").text(key)
    }

    /// What outermost nodes say of the node that called them.
    pub fn parent_id(&self) -> Option<String> {
        self.text("parent_id")
    }

    /// A call to another service.
    pub fn is_call(&self) -> bool {
        self.kind == Kind::Subsegment && matches!(self.text("namespace").as_deref(), Some("aws" | "remote"))
    }

    pub fn failed(&self) -> bool {
        ["fault", "error", "throttle"].iter().any(|flag| self.flag(flag))
    }

    /// By what the documents of one id are numbered.
    pub fn order(&self) -> impl Ord + use<'_> {
        (self.start, &self.name, self.end, self.kind)
    }

    pub fn outcome(&self) -> &'static str {
        match (self.failed(), self.end) {
            (true, _) => "failure",
            (false, None) => "unknown",
            (false, Some(_)) => "success",
        }
    }
}
