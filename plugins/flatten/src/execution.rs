//! The fields of executions: section 5 of `docs/documents.md`.

use std::borrow::Cow;

use crate::Payloads;
use crate::arn::{self, Arn, ExecutionArn};
use crate::body::{Body, Field, Times, field};
use crate::coerce;
use crate::described::{Described, is_terminal};
use crate::json::Value;
use crate::message::Unit;
use crate::node::{Kind, Node};
use crate::part::{Execution, Parts};
use crate::span::Facts;
use crate::tally::Tally;
use crate::time::Micros;
use crate::tree::Tree;
use crate::writer::key;

/// Where an input or output is cut, in bytes: the longest that Step Functions takes.
const PAYLOAD: usize = 262_144;

/// The largest redrive count in a version: engines take versions of 63 bits, which leaves it 17.
const MOST_REDRIVES: u64 = (1 << 17) - 1;

/// What is known of an execution before its document is written.
pub struct Subject<'a, 't> {
    pub execution: &'a Execution<'t>,
    pub own: Option<&'a Node<'t>>,
    pub start: Option<Micros>,
    pub stop: Option<Micros>,
    pub status: Option<Cow<'a, str>>,
}

impl<'a, 't> Subject<'a, 't> {
    pub fn new(execution: &'a Execution<'t>, tree: &'a Tree<'t>) -> Subject<'a, 't> {
        let own = execution.own.and_then(|own| tree.nodes.get(own));
        let described = execution.described.as_ref();
        let told = described.and_then(|described| described.status.as_deref());
        Subject {
            execution,
            own,
            start: described.and_then(|described| described.start).or(own.and_then(|own| own.start)),
            stop: described.and_then(|described| described.stop).or(own.and_then(|own| own.end)),
            status: told.or_else(|| own.map(traced_status)).map(Cow::Borrowed),
        }
    }

    /// The time of the event, and the document's `@timestamp`. `None`: it has none.
    pub fn timestamp(&self, unit: &Unit<'t>) -> Option<Micros> {
        self.start
            .or(unit.discovered_at)
            .or(self.stop)
            .or(unit.collected_at)
            .or_else(|| self.own.map(|own| own.timestamp))
    }

    /// What precedes the time in its version.
    pub fn precedence(&self) -> u64 {
        let described = self.execution.described.as_ref();
        let redrive = described.and_then(|described| described.redrive_count).unwrap_or(0).unsigned_abs();
        let is_described = described.is_some_and(|described| described.status.is_some());
        let is_terminal = self.status.as_deref().is_some_and(is_terminal);
        redrive.min(MOST_REDRIVES) << 46
            | u64::from(is_described) << 45
            | u64::from(is_terminal) << 44
            | u64::from(self.own.is_some()) << 43
    }

    /// Appends the fields of section 5.
    pub fn write(&self, body: &mut Body<'_>, unit: &Unit<'t>, parts: &Parts<'t>, index: usize, tree: &Tree<'t>) {
        let described = self.execution.described.as_ref();
        if let Some(timestamp) = self.timestamp(unit) {
            let collected_at = unit.collected_at;
            body.times(timestamp, Times { start: self.start, end: self.stop, duration: None, collected_at });
        }
        body.optional(key!("execution.status"), self.status.as_deref());
        if self.status.is_some() {
            let source = match described.filter(|described| described.status.is_some()) {
                Some(Described { is_event: true, .. }) => "event",
                Some(_) => "describe",
                None => "xray",
            };
            body.string(key!("execution.status_source"), source);
        }
        let outcome = match self.status.as_deref() {
            Some("SUCCEEDED") => "success",
            Some("FAILED" | "TIMED_OUT" | "ABORTED") => "failure",
            _ => "unknown",
        };
        body.string(key!("event.outcome"), outcome);
        body.time(key!("execution.start"), self.start);
        body.time(key!("execution.stop"), self.stop);
        if let Some(start) = self.start {
            let date = body.calendar.date(start);
            body.string(key!("execution.date"), std::str::from_utf8(&date).unwrap_or_default());
        }
        match self.execution.arn.as_deref() {
            Some(arn) => self.machine(body, unit, arn),
            None => self.segment(body, tree),
        }
        if let Some(parent) = parts.parent(tree, index) {
            body.optional(key!("execution.parent_arn"), parent.arn.as_deref());
        }
    }

    /// What the ARN and the description say.
    fn machine(&self, body: &mut Body<'_>, unit: &Unit<'t>, text: &str) {
        let described = self.execution.described.as_ref();
        let parsed = ExecutionArn::parse(text);
        body.string(key!("execution.arn"), text);
        match parsed {
            Some(parsed) => {
                body.string(key!("execution.name"), parsed.name);
                let kind = if parsed.is_express { "EXPRESS" } else { "STANDARD" };
                body.string(key!("execution.type"), kind);
            }
            None => {
                body.text(field!("execution.name" <- "name"), described.and_then(|described| described.source.name));
            }
        }
        let machine = described.and_then(|described| described.source.state_machine_arn);
        let machine = body
            .read_text("dropped:stateMachineArn", machine)
            .or_else(|| parsed.map(|parsed| Cow::Owned(parsed.state_machine_arn())));
        body.optional(key!("execution.state_machine.arn"), machine.as_deref());
        let name = machine.as_deref().and_then(arn::state_machine_name).or(parsed.map(|parsed| parsed.state_machine));
        body.optional(key!("execution.state_machine.name"), name);
        body.optional(key!("service.name"), name);
        let place = Arn::parse(text);
        body.place(
            place.and_then(|arn| arn.account).or(unit.account.as_deref()),
            place.and_then(|arn| arn.region).or(unit.region.as_deref()),
        );
    }

    /// What a segment that stands for an execution says.
    fn segment(&self, body: &mut Body<'_>, tree: &Tree<'t>) {
        let Some(own) = self.own else { return };
        body.optional(key!("execution.name"), own.name.as_deref());
        body.optional(key!("service.name"), own.name.as_deref());
        let origin = own.source.origin.and_then(|origin| coerce::text(origin).ok().flatten()).unwrap_or_default();
        let kind = ["Lambda", "EC2", "ECS"]
            .into_iter()
            .find(|service| origin.strip_prefix("AWS::").is_some_and(|rest| rest.split("::").next() == Some(*service)));
        body.string(
            key!("execution.type"),
            kind.map_or("OTHER", |kind| if kind == "Lambda" { "LAMBDA" } else { kind }),
        );
        if let Some(root) = tree.root(own) {
            body.place(root.account.as_deref(), root.region.as_deref());
        }
    }

    /// Appends what only the description says.
    pub fn write_described(&self, body: &mut Body<'_>, payloads: Payloads) {
        let Some(described) = self.execution.described.as_ref() else { return };
        let source = &described.source;
        body.warnings.extend(described.warnings.iter().cloned());
        body.text(field!("execution.state_machine.version_arn" <- "stateMachineVersionArn"), source.version_arn);
        body.text(field!("execution.state_machine.alias_arn" <- "stateMachineAliasArn"), source.alias_arn);
        payload(body, &INPUT, source.input, source.input_details, payloads);
        payload(body, &OUTPUT, source.output, source.output_details, payloads);
        body.text(field!("execution.error" <- "error"), source.error);
        body.text(field!("execution.cause" <- "cause"), source.cause);
        if let Some(count) = described.redrive_count {
            body.integer(key!("execution.redrive_count"), count);
        }
    }
}

/// What is counted in one execution's part of the trace.
#[derive(Default)]
pub struct Counts {
    tally: Tally,
    states: i64,
    failed_states: i64,
}

impl Counts {
    /// Counts the part of each execution.
    pub fn gather(parts: &Parts<'_>, tree: &Tree<'_>, facts: &[Facts<'_>]) -> Vec<Counts> {
        let mut all = Vec::new();
        all.resize_with(parts.executions.len(), Counts::default);
        for (index, node) in tree.documents() {
            let (Some(Some(owner)), Some(facts)) = (parts.owners.get(node.root), facts.get(index)) else { continue };
            let Some(counts) = all.get_mut(*owner) else { continue };
            counts.tally.add(node, facts);
            let own = parts.executions.get(*owner).and_then(|execution| execution.own);
            let segment = tree.root(node).and_then(|root| root.segment);
            if segment.is_some() && segment == own && is_state(node, facts) {
                counts.states += 1;
                counts.failed_states += i64::from(node.fault || node.error);
            }
        }
        all
    }

    /// Appends the counts, of states only where there is a state machine.
    pub fn write(self, body: &mut Body<'_>, has_states: bool) {
        self.tally.write(body);
        if has_states {
            body.integer(key!("states.count"), self.states);
            body.integer(key!("states.failed"), self.failed_states);
        }
    }
}

/// The fields of one payload.
struct Payload {
    text: Field,
    truncated: &'static str,
    bytes: &'static str,
    included: Field,
    details: &'static str,
}

const INPUT: Payload = Payload {
    text: field!("execution.input" <- "input"),
    truncated: key!("execution.input_truncated"),
    bytes: key!("execution.input_bytes"),
    included: field!("execution.input_included" <- "inputDetails.included"),
    details: "dropped:inputDetails",
};

const OUTPUT: Payload = Payload {
    text: field!("execution.output" <- "output"),
    truncated: key!("execution.output_truncated"),
    bytes: key!("execution.output_bytes"),
    included: field!("execution.output_included" <- "outputDetails.included"),
    details: "dropped:outputDetails",
};

fn payload(
    body: &mut Body<'_>,
    fields: &Payload,
    value: Option<Value<'_>>,
    details: Option<Value<'_>>,
    payloads: Payloads,
) {
    if let Some(text) = body.read_text(fields.text.dropped, value) {
        body.integer(fields.bytes, text.len() as i64);
        let end = match payloads {
            Payloads::Full => text.len(),
            Payloads::Truncated => text.floor_char_boundary(PAYLOAD),
            Payloads::None => 0,
        };
        body.optional(fields.text.key, text.get(..end).filter(|text| !text.is_empty()));
        body.flag(fields.truncated, payloads != Payloads::None && end < text.len());
    }
    let included = body.read_object(fields.details, details).and_then(|details| details.get("included"));
    let included = included.map_or(Ok(None), coerce::boolean);
    if body.checked(fields.included.dropped, included) == Some(false) {
        body.boolean(fields.included.key, false);
    }
}

/// Whether it is the entry of a state, and not a call, a branch or an iteration.
fn is_state(node: &Node<'_>, facts: &Facts<'_>) -> bool {
    let is_numbered = |name: &str| {
        name.strip_prefix("Branch ")
            .or(name.strip_prefix("Iteration "))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    node.kind == Kind::Subsegment && !facts.has_namespace && !node.name.as_deref().is_some_and(is_numbered)
}

/// The status that a segment shows: caught errors leave it clean, and no segment tells a time-out from a failure.
fn traced_status(own: &Node<'_>) -> &'static str {
    match own {
        Node { end: None, .. } => "RUNNING",
        Node { fault: true, .. } | Node { error: true, .. } => "FAILED",
        _ => "SUCCEEDED",
    }
}
