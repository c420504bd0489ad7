//! Finds executions of Step Functions and traces of X-Ray, and hands over each trace with the executions that it holds.
//!
//! What is to be collected comes on the event queue: status events, whatever names an execution or a trace, and this stage's
//! own pending work. In the order of a message's way:
//!
//! - `intake`, `notice`: what a message says. `told`, `arn`: what it says of executions.
//! - `known`: whether that was fetched lately, or is fetched soon anyway.
//! - `desk`, `unit`, `answer`: what is worked on: one description of each execution, one fetch of each trace, for all messages at once.
//! - `trace`, `verdict`: whether it is complete, whether it goes out, when it is fetched again.
//! - `outcome`, `raw`: what goes out. `pending`, `settling`: what waits on the queue until it is fetched again.
//! - `sweep`: looks for executions that no event told of.
//!
//! What holds:
//!
//! - **Nothing is kept here that another host would need.** What is to be done is on the event queue; the checkpoint is how
//!   far a sweep has looked. What this instance remembers (`known`, `recent`) saves calls.
//! - **A message is deleted when what came of it is safe and what is to be done next is on the queue.**
//! - **What is not understood goes on as it came**, for a later stage to reject.

mod answer;
mod arn;
mod budget;
mod desk;
mod intake;
mod known;
mod notice;
mod options;
mod outcome;
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

use rayline_message::rfc3339;
use rayline_sdk::{
    Binding, Capability, Context, Ends, Failure, Outcome as Settled, Reading, Settlement, Source, SourceOutput, clock,
    log, queue,
};
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::desk::{Desk, HELD_BYTES, Tools, UNITS};
use crate::intake::Intake;
use crate::known::Known;
pub use crate::options::Options;
use crate::options::Plan;
use crate::outcome::{Event, Outcome, unreadable};
use crate::pending::{Pending, SECOND};
use crate::places::{Belongs, Places};
use crate::settling::{Closing, Settling};
use crate::sweep::{Sweep, Watermark};
use crate::unit::{Message, Unit};

pub(crate) const XRAY: &str = "xray";
pub(crate) const EVENTS: &str = "events";

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
            let mut outcomes = Vec::new();
            let worked = self.desk.work(&mut tools, until, &mut outcomes);
            self.accept(outcomes);
            worked?;
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
                Settled::Released => {
                    if let Some(subject) = closing.subject {
                        self.known.forget(subject);
                    }
                    released.extend(closing.handles);
                }
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
            self.settling.push(Closing { next, ..Closing::default() });
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
        self.settling.push(Closing { next, ..Closing::default() });
        self.settling.flush()?;
        if self.settling.is_empty() && sweep.end(&self.places) {
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
            None if self.settling.is_empty() && self.sweep.as_ref().is_some_and(Sweep::is_due) => Duration::ZERO,
            None => max_wait,
        };
        // Nothing that may fail comes after it: what was received is held until it is settled.
        self.places.refresh(clock::monotonic())?;
        let messages = queue::receive(EVENTS, room, max_bytes, wait.min(max_wait))?;
        let mut outcomes = Vec::new();
        for message in messages.iter() {
            let handle = message.handle;
            let message = Message { attrs: message.attrs.to_owned(), body: message.body.to_vec() };
            match self.plan.intake(message, handle) {
                Intake::Unit(unit) => outcomes.extend(self.take(*unit)),
                Intake::Outcome(outcome) => outcomes.push(outcome),
            }
        }
        self.accept(outcomes);
        Ok(())
    }

    /// Takes up a unit whose account is one of the binding's.
    fn take(&mut self, mut unit: Unit) -> Option<Outcome> {
        let now = clock::now();
        unit.place = unit.place.or_else(|| self.places.only().cloned());
        if let Some(place) = &unit.place {
            match self.places.belongs(place) {
                Belongs::Yes => {}
                Belongs::Unclear => {
                    let next = unit.to_pending(now + UNCLEAR).parts();
                    return Some(Outcome { next, handles: unit.handles, ..Outcome::default() });
                }
                Belongs::No => {
                    let reason = format!(
                        "account {} in region {} is none of the binding's: add it to `grants.xray`, or keep its events off \
                         this queue",
                        place.account, place.region
                    );
                    let event = unreadable(unit.message, reason);
                    return Some(Outcome { event: Some(event), handles: unit.handles, ..Outcome::default() });
                }
            }
        }
        let mut tools = tools(&self.plan, &mut self.places, &mut self.known, &mut self.budget);
        self.desk.take(unit, &mut tools)
    }

    fn accept(&mut self, outcomes: Vec<Outcome>) {
        for Outcome { event, next, handles, subject } in outcomes {
            let closing = Closing { next, handles, subject };
            match (event, self.under_way(&closing)) {
                (Some(event), _) => self.ready.push_back((event, closing)),
                (None, Some(other)) => other.handles.extend(closing.handles),
                (None, None) => self.settling.push(closing),
            }
        }
    }

    /// What goes out and has what this asks for, but is not safe yet.
    fn under_way(&mut self, closing: &Closing) -> Option<&mut Closing> {
        let subject = closing.subject.filter(|_| closing.next.is_empty())?;
        let ready = self.ready.iter_mut().map(|(_, closing)| closing);
        ready.chain(self.held.values_mut()).find(|it| it.subject == Some(subject))
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
        if !self.settling.is_empty() {
            return Reading::Idle(Duration::from_secs(1));
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
