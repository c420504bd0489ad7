//! Finds executions of Step Functions and traces of X-Ray, and hands over each trace with the executions that it holds.
//!
//! What is to be collected comes on the event queue: status events, whatever names an execution or a trace, and this stage's
//! own pending work. In the order of a message's way:
//!
//! - `notice`: what a message says. `told`, `arn`: what it says of executions.
//! - `known`: whether that was fetched lately, or is fetched soon anyway.
//! - `desk`, `unit`: what is worked on: one description of each execution, one fetch of each trace, for all messages at once.
//! - `trace`, `verdict`: whether it is complete, whether it goes out, when it is fetched again.
//! - `raw`: what goes out. `pending`, `settling`: what waits on the queue until it is fetched again.
//! - `sweep`: looks for executions that no event told of.
//!
//! What holds:
//!
//! - **Nothing is kept here that another host would need.** What is to be done is on the event queue; the checkpoint is how
//!   far a sweep has looked. What this instance remembers (`known`, `recent`) saves calls.
//! - **A message is deleted when what came of it is safe and what is to be done next is on the queue.**
//! - **What is not understood goes on as it came**, for a later stage to reject.

mod arn;
mod budget;
mod desk;
mod known;
mod notice;
mod options;
mod pending;
mod places;
mod raw;
mod recent;
mod settling;
mod sweep;
mod told;
mod trace;
mod unit;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rayline_message::{Attributes, Message as RawMessage, nanoseconds, rfc3339, transport};
use rayline_sdk::xray::Place;
use rayline_sdk::{
    Binding, Capability, Context, Ends, Failure, Outcome as Settled, Reading, Settlement, Source, SourceEvent,
    SourceOutput, clock, log, queue,
};
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::desk::{Desk, Event, Outcome, Tools, UNITS};
use crate::known::Known;
use crate::notice::Message as Said;
pub use crate::options::Options;
use crate::options::Plan;
use crate::pending::{Pending, SECOND};
use crate::places::{Belongs, Places};
use crate::settling::{Closing, Settling};
use crate::sweep::{Sweep, Watermark};
use crate::told::Told;
use crate::unit::{Execution, Message, State, Trace, Unit};

pub(crate) const XRAY: &str = "xray";
pub(crate) const EVENTS: &str = "events";

/// What may be held of traces and payloads before no more messages are taken.
const HELD_BYTES: usize = 32 << 20;

/// How long work waits whose account cannot be used now.
const UNCLEAR: u64 = 60 * SECOND;

/// How much longer than it should take SQS may show a message that was delayed.
const LATE: u64 = 5 * SECOND;

/// The stage.
pub struct XraySource {
    plan: Plan,
    places: Places,
    known: Known,
    budget: Budget,
    desk: Desk,
    /// Goes out when there is room.
    ready: VecDeque<(Event, Closing)>,
    /// What is to be done when a ticket is settled.
    held: BTreeMap<u64, Closing>,
    last_ticket: u64,
    settling: Settling,
    sweep: Option<Sweep>,
    /// ARNs from the options that are not on the queue yet.
    arns: Vec<String>,
    checkpoint: Checkpoint,
    is_checkpoint_new: bool,
}

/// What outlasts this instance. Losing it costs calls and duplicates.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Checkpoint {
    /// Of the options' ARNs, once they are on the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    arns: Option<String>,
    /// How far the sweeps have come.
    sweep: Watermark,
}

/// What the queue says beside a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beside {
    #[serde(flatten)]
    attributes: Attributes,
    trace_header: Option<String>,
    #[serde(rename = "attributes")]
    own: Own,
}

/// The message's own text attributes, as its sender set them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    account: Option<String>,
    region: Option<String>,
}

impl Source for XraySource {
    type Options = Options;

    const SUMMARY: &'static str = "Collects executions of Step Functions and traces of X-Ray";
    const ENDS: Ends = Ends::Option("stop_when_empty");

    fn bindings() -> Vec<Binding> {
        vec![
            Binding::required(XRAY, Capability::Xray, "the accounts and regions to collect from"),
            Binding::required(EVENTS, Capability::Queue, "where status events come in and pending work waits"),
        ]
    }

    fn open(options: Options, context: &Context) -> Result<Self, Failure> {
        let plan = options.plan()?;
        let saved = context.checkpoint.as_deref().map(serde_json::from_str::<Checkpoint>).transpose();
        let checkpoint = saved.unwrap_or_else(|_| {
            log::warn("the checkpoint is of another version: sweeps begin anew", &[]);
            None
        });
        let checkpoint = checkpoint.unwrap_or_default();
        let is_first = context.instance == 0;
        let sweep = plan
            .sweep
            .clone()
            .filter(|_| is_first)
            .map(|sweep| Sweep::new(sweep, checkpoint.sweep.clone(), context.seed, plan.timing.give_up_after));
        let is_put = checkpoint.arns == arns_digest(&plan.arns);
        let arns = if is_first && !is_put { plan.arns.clone() } else { Vec::new() };
        Ok(Self {
            places: Places::default(),
            known: Known::new(context.seed),
            budget: Budget::new(plan.max_traces_per_day),
            plan,
            desk: Desk::default(),
            ready: VecDeque::new(),
            held: BTreeMap::new(),
            last_ticket: 0,
            settling: Settling::default(),
            sweep,
            arns,
            checkpoint,
            is_checkpoint_new: false,
        })
    }

    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        let began = clock::monotonic();
        self.settling.flush()?;
        if self.ready.is_empty() {
            self.look_around(max_wait / 2)?;
            self.receive(max_bytes, max_wait)?;
            let until = (began + max_wait).max(clock::monotonic() + max_wait / 2);
            let mut tools = tools(&self.plan, &mut self.places, &mut self.known, &mut self.budget);
            let outcomes = self.desk.work(&mut tools, until)?;
            self.accept(outcomes);
            self.settling.flush()?;
        }
        // From here on nothing fails: what is handed out is not handed out twice.
        if self.is_checkpoint_new
            && let Ok(text) = serde_json::to_string(&self.checkpoint)
        {
            out.checkpoint(text);
            self.is_checkpoint_new = false;
        }
        self.pass_on(max_bytes, out);
        if !out.is_empty() {
            return Ok(Reading::Events);
        }
        Ok(self.nothing())
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        let mut released = Vec::new();
        for Settlement { ticket, outcome } in settlements {
            let Some(closing) = self.held.remove(ticket) else { continue };
            match outcome {
                Settled::Done => self.settling.push(closing),
                Settled::Released => released.extend(closing.handles),
            }
        }
        if !released.is_empty() {
            // What could not be given back comes again by itself when its time is over.
            if let Err(error) = queue::release(EVENTS, &released) {
                log::warn("messages were not given back at once", &[("reason", &error.to_string())]);
            }
        }
        self.settling.flush()
    }

    fn close(&mut self) {
        if let Err(failure) = self.settling.flush() {
            log::warn("what is done stays on the queue and comes again", &[("reason", &format!("{failure:?}"))]);
        }
    }
}

impl XraySource {
    /// Puts what the options name, and what a sweep finds, on the queue.
    fn look_around(&mut self, max_wait: Duration) -> Result<(), Failure> {
        if !self.arns.is_empty() {
            let now = clock::now();
            let next = self.arns.drain(..).map(|arn| self.plan.fresh(Vec::from([arn]), None, now));
            let next: Vec<Pending> = next.collect();
            self.settling.push(Closing { next, handles: Vec::new() });
            self.settling.flush()?;
        }
        let arns = arns_digest(&self.plan.arns);
        if arns.is_some() && self.checkpoint.arns != arns && self.settling.is_empty() {
            self.checkpoint.arns = arns;
            self.is_checkpoint_new = true;
        }
        let Some(sweep) = self.sweep.as_mut().filter(|sweep| sweep.is_due() && self.settling.is_empty()) else {
            return Ok(());
        };
        let wait = max_wait.max(Duration::from_millis(50));
        let next = sweep.step(&mut self.places, &self.known, wait)?;
        self.settling.push(Closing { next, handles: Vec::new() });
        self.settling.flush()?;
        if self.settling.is_empty() && sweep.end() {
            self.checkpoint.sweep = sweep.watermark().clone();
            self.is_checkpoint_new = true;
        }
        Ok(())
    }

    /// Takes messages from the queue as far as there is room for what comes of them.
    fn receive(&mut self, max_bytes: usize, max_wait: Duration) -> Result<(), Failure> {
        let room = UNITS.saturating_sub(self.desk.len());
        if room == 0 || self.desk.bytes() > HELD_BYTES {
            return Ok(());
        }
        let wait = match self.desk.wait(clock::monotonic()) {
            Some(wait) => wait,
            None if self.sweep.as_ref().is_some_and(Sweep::is_due) => Duration::ZERO,
            None => max_wait,
        };
        let messages = queue::receive(EVENTS, room, max_bytes, wait.min(max_wait))?;
        if messages.is_empty() {
            return Ok(());
        }
        self.places.refresh(clock::monotonic())?;
        let mut outcomes = Vec::new();
        for message in messages.iter() {
            let handle = message.handle;
            let message = Message { attrs: message.attrs.to_owned(), body: message.body.to_vec() };
            match self.plan.units(message, handle) {
                Ok(unit) => outcomes.extend(self.take(unit)),
                Err(outcome) => outcomes.push(outcome),
            }
        }
        self.accept(outcomes);
        Ok(())
    }

    /// Takes up a unit whose account is one of the binding's.
    fn take(&mut self, unit: Unit) -> Option<Outcome> {
        let now = clock::now();
        if let Some(place) = &unit.place {
            match self.places.belongs(place) {
                Belongs::Yes => {}
                Belongs::Unclear => {
                    let next = unit.to_pending(now + UNCLEAR).parts();
                    return Some(Outcome { event: None, next, handles: unit.handles });
                }
                Belongs::No => {
                    let reason = format!(
                        "account {} in region {} is none of the binding's: add it to `grants.xray`, or keep its events off \
                         this queue",
                        place.account, place.region
                    );
                    let event = desk::unreadable(unit.message, reason);
                    return Some(Outcome { event: Some(event), next: Vec::new(), handles: unit.handles });
                }
            }
        }
        let mut tools = tools(&self.plan, &mut self.places, &mut self.known, &mut self.budget);
        self.desk.take(unit, &mut tools)
    }

    fn accept(&mut self, outcomes: Vec<Outcome>) {
        for Outcome { event, next, handles } in outcomes {
            let closing = Closing { next, handles };
            match event {
                Some(event) => self.ready.push_back((event, closing)),
                None => self.settling.push(closing),
            }
        }
    }

    fn pass_on(&mut self, max_bytes: usize, out: &mut SourceOutput) {
        let received_at = rfc3339(clock::now());
        while out.is_empty() || out.body_bytes() < max_bytes {
            let Some((event, closing)) = self.ready.pop_front() else { return };
            self.last_ticket += 1;
            self.held.insert(self.last_ticket, closing);
            event.push(self.last_ticket, received_at.clone(), out);
        }
    }

    fn nothing(&self) -> Reading {
        if let Some(wait) = self.desk.wait(clock::monotonic()) {
            return Reading::Idle(wait.min(Duration::from_secs(1)));
        }
        if self.plan.stop_when_empty && self.is_done() {
            return Reading::Finished;
        }
        Reading::Idle(Duration::ZERO)
    }

    /// Whether all is collected, and nothing waits.
    fn is_done(&self) -> bool {
        let is_swept = self.sweep.as_ref().is_none_or(|sweep| sweep.has_swept);
        let is_back = clock::now() > self.settling.last_due().saturating_add(LATE) || self.settling.last_due() == 0;
        if !self.arns.is_empty() || !is_swept || !is_back || !self.settling.is_empty() {
            return false;
        }
        let own: usize = self.held.values().map(|closing| closing.handles.len()).sum();
        // Work that is handed out may send more.
        let is_final = self.held.values().all(|closing| closing.next.is_empty());
        let depth = queue::depth(EVENTS);
        is_final
            && depth.is_ok_and(|depth| {
                depth.visible == 0 && depth.delayed == 0 && depth.invisible <= (own + self.settling.held()) as u64
            })
    }
}

impl Plan {
    /// What a message asks for; or what becomes of one that asks for nothing or for several things.
    fn units(&self, message: Message, handle: u64) -> Result<Unit, Outcome> {
        let beside: Beside = serde_json::from_str(&message.attrs).unwrap_or_default();
        let now = clock::now();
        let found_at = beside.attributes.sent_at.as_deref().and_then(nanoseconds).unwrap_or(now).min(now);
        let dead = |message, reason| {
            let event = desk::unreadable(message, reason);
            Outcome { event: Some(event), next: Vec::new(), handles: vec![handle] }
        };
        if let Some(reason) = beside.attributes.unresolved {
            return Err(dead(message, reason));
        }
        match Said::read(&message.body, beside.trace_header.as_deref(), self.payloads) {
            Said::Unreadable(reason) => Err(dead(message, reason.to_owned())),
            Said::Pending(pending) if pending.due_at > now => {
                Err(Outcome { event: None, next: vec![*pending], handles: vec![handle] })
            }
            Said::Pending(pending) => Ok(self.resume(*pending, message, handle)),
            Said::Notice(mut notice) => {
                let own = beside.own.account.zip(beside.own.region);
                let place = own.map(|(account, region)| Place { account, region }).or(notice.place.take());
                if let (0, [mention]) = (notice.executions.len(), notice.traces.as_slice()) {
                    let pending = self.fresh(Vec::new(), Some(mention.id.clone()), found_at).at(place);
                    let is_sampled = mention.is_sampled;
                    let mut unit = self.resume(pending, message, handle);
                    unit.since = u64::MAX;
                    if !is_sampled {
                        unit.trace = Trace::Unsampled;
                    }
                    return Ok(unit);
                }
                if let ([_], []) = (notice.executions.as_slice(), notice.traces.as_slice())
                    && let Some((arn, event)) = notice.executions.pop()
                {
                    let mut unit = self.resume(self.fresh(vec![arn], None, found_at), message, handle);
                    unit.tell(event);
                    return Ok(unit);
                }
                // Each goes its own way: a message of its own.
                let executions = notice.executions.into_iter().map(|(arn, _)| self.fresh(vec![arn], None, found_at));
                let traces = notice.traces.into_iter().filter(|mention| mention.is_sampled);
                let traces = traces.map(|mention| self.fresh(Vec::new(), Some(mention.id), found_at).at(place.clone()));
                Err(Outcome { event: None, next: executions.chain(traces).collect(), handles: vec![handle] })
            }
        }
    }

    /// Work that was found now.
    fn fresh(&self, executions: Vec<String>, trace_id: Option<String>, found_at: u64) -> Pending {
        let place = executions.first().and_then(|arn| Some(arn::ExecutionArn::parse(arn)?.place()));
        let now = clock::now();
        let give_up_at = now.saturating_add(self.timing.give_up_after);
        let pending =
            Pending { trace_id, executions, due_at: now, discovered_at: found_at, give_up_at, ..Pending::default() };
        pending.at(place)
    }

    /// Goes on with pending work.
    fn resume(&self, pending: Pending, message: Message, handle: u64) -> Unit {
        let give_up_at = match pending.give_up_at {
            0 => pending.discovered_at.saturating_add(self.timing.give_up_after),
            time => time,
        };
        let execution = |arn| (arn, Execution { is_listed: true, state: State::Unasked, event: None });
        let place = pending.place();
        // Only what is at hand from another host may name executions that are none.
        let executions = pending.executions.into_iter().filter(|arn| arn::ExecutionArn::parse(arn).is_some());
        Unit {
            place,
            trace: pending.trace_id.map_or(Trace::Unresolved, Trace::Wanted),
            executions: executions.map(execution).collect(),
            handles: vec![handle],
            message,
            discovered_at: pending.discovered_at,
            give_up_at,
            attempt: pending.attempt,
            digest: pending.digest,
            since: pending.due_at,
            moved_at: clock::monotonic(),
            ..Unit::default()
        }
    }
}

impl Unit {
    /// What an event says of its execution.
    fn tell(&mut self, event: Option<Told>) {
        self.since = u64::MAX;
        if let Some(told) = event {
            (self.since, self.is_begin) = (told.latest, told.is_running);
            for execution in self.executions.values_mut() {
                execution.event = Some(told.clone());
            }
        }
    }
}

impl Event {
    fn push(&self, ticket: u64, received_at: Option<String>, out: &mut SourceOutput) {
        match self {
            Event::Raw { place, collected_at, body } => {
                // The credentials vouch for the account. The message that asked for it is another: nothing of it goes on.
                let sender_account = Some(place.account.clone());
                let attributes = Attributes { received_at, sender_account, ..Attributes::default() };
                let labels = [("kind", "raw"), ("account", &place.account), ("region", &place.region)];
                let attrs = attributes.to_json();
                let time = *collected_at;
                let event = SourceEvent { labels: &labels, attrs: &attrs, time, ..SourceEvent::default() };
                out.push(ticket, &event, body.as_bytes());
            }
            Event::Unreadable { attrs, body, reason } => {
                let beside: Beside = serde_json::from_str(attrs).unwrap_or_default();
                let unresolved = Some(reason.clone());
                let attributes = Attributes { received_at, unresolved, object: None, ..beside.attributes };
                let Own { account, region } = beside.own;
                let sent_at = attributes.sent_at.as_deref();
                let payload = transport::unpack(body);
                let read = RawMessage::new(payload, account.as_deref(), region.as_deref(), sent_at);
                let labels: Vec<_> = read.labels().collect();
                let attrs = attributes.to_json();
                let event = SourceEvent { labels: &labels, attrs: &attrs, time: read.time, ..SourceEvent::default() };
                out.push(ticket, &event, &read.payload);
            }
        }
    }
}

/// `None`: there are none.
fn arns_digest(arns: &[String]) -> Option<String> {
    let sum = arns.iter().fold(0, |sum: u64, arn| sum.wrapping_add(trace::hash(&[arn.as_bytes()])));
    (!arns.is_empty()).then(|| format!("{sum:016x}"))
}

fn tools<'a>(plan: &'a Plan, places: &'a mut Places, known: &'a mut Known, budget: &'a mut Budget) -> Tools<'a> {
    Tools { plan, places, known, budget }
}

rayline_sdk::export_source!(XraySource);

#[cfg(test)]
mod tests;
