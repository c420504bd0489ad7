//! What is being worked on: messages come in, answers are fetched for all of them at once, and each trace goes out or waits.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use rayline_sdk::xray::{self, Place, TraceQuery};
use rayline_sdk::{CapabilityError, Failure, clock, log};

use crate::XRAY;
use crate::arn::ExecutionArn;
use crate::budget::Budget;
use crate::known::{Arrival, Known};
use crate::options::{HandOver, Plan};
use crate::pending::{Pending, SECOND};
use crate::places::{Belongs, Places};
use crate::told::Told;
use crate::trace::Facts;
use crate::unit::{Execution, Message, State, Trace, Unit};
use crate::verdict::{Decision, Verdict};

/// How many are worked on at once.
pub const UNITS: usize = 256;

/// How many items one call asks for: enough that waiting for answers does not limit the rate, few enough that what comes
/// back fits into memory.
const CALL: usize = 100;

/// What no answer came for goes back to the queue after this long: nothing depends on holding a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it then waits there.
const PUT_BACK: u64 = 60 * SECOND;

/// Longest time between two questions about one thing that was not answered.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is to be done with a unit's messages.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Goes out first.
    pub event: Option<Event>,
    /// Sent next.
    pub next: Vec<Pending>,
    /// Deleted last.
    pub handles: Vec<u64>,
}

/// What goes out.
#[derive(Debug)]
pub enum Event {
    Raw {
        place: Place,
        collected_at: u64,
        body: String,
    },
    /// A message as it came, which a later stage rejects for this reason.
    Unreadable {
        attrs: String,
        body: Vec<u8>,
        reason: String,
    },
}

/// What is worked on.
#[derive(Default)]
pub struct Desk {
    units: Vec<Unit>,
}

/// What it is done with.
pub struct Tools<'a> {
    pub plan: &'a Plan,
    pub places: &'a mut Places,
    pub known: &'a mut Known,
    pub budget: &'a mut Budget,
}

impl Desk {
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.units.iter().map(Unit::bytes).sum()
    }

    /// How long until something can be asked again. `None`: nothing is worked on.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        self.units.iter().map(|unit| unit.not_before.saturating_sub(now)).min()
    }

    /// Takes up a unit, unless what it asks for is done or is done soon anyway.
    pub fn take(&mut self, unit: Unit, tools: &mut Tools<'_>) -> Option<Outcome> {
        match self.seat(unit, tools) {
            Ok(()) => None,
            Err(outcome) => Some(outcome),
        }
    }

    fn seat(&mut self, unit: Unit, tools: &mut Tools<'_>) -> Result<(), Outcome> {
        if let Some(same) = self.units.iter_mut().find(|known| known.is_same_as(&unit)) {
            same.merge(unit);
            return Ok(());
        }
        match tools.known.arrival(&unit.wanted(), clock::now()) {
            Arrival::Served => Err(Outcome { handles: unit.handles, ..Outcome::default() }),
            Arrival::Align(due_at) => Err(put_off(unit, due_at)),
            Arrival::Work => {
                self.units.push(unit);
                Ok(())
            }
        }
    }

    /// Asks for what is missing until that time on the monotonic clock, and returns what is finished.
    pub fn work(&mut self, tools: &mut Tools<'_>, until: Duration) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = Vec::new();
        if self.units.is_empty() {
            return Ok(outcomes);
        }
        tools.places.refresh(clock::monotonic())?;
        self.describe(tools, until)?;
        self.resolve(tools, &mut outcomes);
        self.fetch(tools, until, &mut outcomes)?;
        // Executions that the traces show.
        self.describe(tools, until)?;
        self.finish(tools, &mut outcomes);
        Ok(outcomes)
    }

    fn describe(&mut self, tools: &Tools<'_>, until: Duration) -> Result<(), Failure> {
        self.leave_out_others(tools.places);
        for round in 0.. {
            let now = clock::monotonic();
            let asked: Vec<(usize, String)> = self
                .units
                .iter()
                .enumerate()
                .filter(|(_, unit)| unit.not_before <= now)
                .flat_map(|(index, unit)| {
                    let unasked = unit.executions.iter().filter(|(_, execution)| execution.state == State::Unasked);
                    unasked.map(move |(arn, _)| (index, arn.clone()))
                })
                .take(CALL)
                .collect();
            if asked.is_empty() || (round > 0 && now >= until) {
                return Ok(());
            }
            let arns: Vec<String> = asked.iter().map(|(_, arn)| arn.clone()).collect();
            let answers = xray::describe_executions(XRAY, &arns, remaining(until))?;
            for ((index, arn), answer) in asked.into_iter().zip(answers) {
                let Some(unit) = self.units.get_mut(index) else { continue };
                match answer {
                    Ok(answer) => {
                        unit.moved();
                        match Told::read(answer.json, answer.date, tools.plan.payloads) {
                            Some(told) => unit.told(&arn, told),
                            None => unit.refuse(&arn, "the description of the execution is not one"),
                        }
                    }
                    Err(CapabilityError::NotFound(_)) => {
                        unit.moved();
                        unit.not_told(&arn, State::Gone);
                    }
                    Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => {
                        unit.wait(&error)
                    }
                    Err(error) => {
                        unit.moved();
                        unit.refuse(&arn, &error.to_string());
                    }
                }
            }
        }
        Ok(())
    }

    /// Of executions that a trace shows, those of other accounts cannot be described.
    fn leave_out_others(&mut self, places: &Places) {
        for unit in &mut self.units {
            unit.executions.retain(|arn, execution| {
                let place = ExecutionArn::parse(arn).map(|arn| arn.place());
                execution.is_listed || place.is_some_and(|place| places.belongs(&place) == Belongs::Yes)
            });
        }
    }

    /// What is described tells its trace: units of one trace become one.
    fn resolve(&mut self, tools: &mut Tools<'_>, outcomes: &mut Vec<Outcome>) {
        for mut unit in mem::take(&mut self.units) {
            if !matches!(unit.trace, Trace::Unresolved) {
                self.units.push(unit);
                continue;
            }
            unit.resolve();
            match unit.trace {
                Trace::Wanted(_) => outcomes.extend(self.take(unit, tools)),
                _ => self.units.push(unit),
            }
        }
    }

    fn fetch(&mut self, tools: &mut Tools<'_>, until: Duration, outcomes: &mut Vec<Outcome>) -> Result<(), Failure> {
        for round in 0.. {
            let now = clock::monotonic();
            let left = match tools.budget.left(clock::now()) {
                Ok(left) => left.min(CALL),
                Err(tomorrow) => {
                    self.put_off_fetches(tomorrow, outcomes);
                    return Ok(());
                }
            };
            let mut asked = Vec::new();
            let mut queries = Vec::new();
            for (index, unit) in self.units.iter().enumerate() {
                let Trace::Wanted(id) = &unit.trace else { continue };
                if unit.not_before > now || unit.is_unasked() || queries.len() >= left {
                    continue;
                }
                let query = |place: &Place| TraceQuery { place: place.clone(), id: id.clone() };
                match &unit.place {
                    Some(place) => queries.push(query(place)),
                    None => queries.extend(tools.places.iter().map(query)),
                }
                asked.resize(queries.len(), index);
            }
            if queries.is_empty() || (round > 0 && now >= until) {
                return Ok(());
            }
            let answers = xray::traces(XRAY, &queries, remaining(until))?;
            tools.budget.spend(queries.len());
            let mut by_unit: BTreeMap<usize, Vec<_>> = BTreeMap::new();
            for ((index, query), answer) in asked.into_iter().zip(queries).zip(answers) {
                by_unit.entry(index).or_default().push((query, answer));
            }
            for (index, answers) in by_unit {
                if let Some(unit) = self.units.get_mut(index) {
                    outcomes.extend(unit.fetched(answers));
                }
            }
        }
        Ok(())
    }

    fn put_off_fetches(&mut self, due_at: u64, outcomes: &mut Vec<Outcome>) {
        let (wanted, others) =
            mem::take(&mut self.units).into_iter().partition(|unit| matches!(unit.trace, Trace::Wanted(_)));
        self.units = others;
        let wanted: Vec<Unit> = wanted;
        outcomes.extend(wanted.into_iter().map(|unit| put_off(unit, due_at)));
    }

    fn finish(&mut self, tools: &mut Tools<'_>, outcomes: &mut Vec<Outcome>) {
        let now = clock::monotonic();
        for unit in mem::take(&mut self.units) {
            let is_asked = !unit.is_unasked() && !matches!(unit.trace, Trace::Unresolved | Trace::Wanted(_));
            if is_asked {
                outcomes.push(decide(unit, tools));
            } else if now.saturating_sub(unit.moved_at) >= PATIENCE {
                log::warn(
                    "no answer: tried again later",
                    &[
                        ("subject", unit.subject().unwrap_or_default()),
                        ("reason", unit.refused.as_deref().unwrap_or_default()),
                    ],
                );
                outcomes.push(put_off(unit, clock::now() + PUT_BACK));
            } else {
                self.units.push(unit);
            }
        }
    }
}

impl Unit {
    /// What a trace's accounts answered; that of one account if it is known.
    fn fetched(&mut self, answers: Vec<(TraceQuery, Result<xray::Answer, CapabilityError>)>) -> Option<Outcome> {
        let mut elsewhere = Vec::new();
        let mut waits = None;
        let mut absent = None;
        for (TraceQuery { place, id }, answer) in answers {
            match answer {
                Ok(answer) if !matches!(self.trace, Trace::Here { .. }) => {
                    let facts = Facts::read(&answer.json);
                    for arn in &facts.executions {
                        let is_standard = ExecutionArn::parse(arn).is_some_and(|arn| !arn.is_express);
                        if is_standard && !self.executions.contains_key(arn) {
                            let execution = Execution { is_listed: false, state: State::Unasked, event: None };
                            self.executions.insert(arn.clone(), execution);
                        }
                    }
                    self.place = Some(place);
                    self.trace = Trace::Here { id, answer, facts };
                }
                // Another account has a part of it too: that is a message of its own.
                Ok(_) => {
                    elsewhere.push(
                        Pending { trace_id: Some(id), executions: Vec::new(), ..self.to_pending(clock::now()) }
                            .at(Some(place)),
                    );
                }
                Err(CapabilityError::NotFound(_)) => absent = Some(id),
                Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => waits = Some(error),
                Err(error) => {
                    let reason = error.to_string();
                    log::error("a trace was refused", &[("trace", &id), ("reason", &reason)]);
                    self.refused = Some(reason);
                    absent = Some(id);
                }
            }
        }
        match (&self.trace, waits, absent) {
            (Trace::Here { .. }, ..) => self.moved(),
            (_, Some(error), _) => self.wait(&error),
            (_, None, Some(id)) => {
                self.moved();
                self.trace = Trace::Absent(id);
            }
            (_, None, None) => {}
        }
        (!elsewhere.is_empty()).then(|| Outcome { next: elsewhere, ..Outcome::default() })
    }

    fn moved(&mut self) {
        (self.tries, self.moved_at) = (0, clock::monotonic());
    }

    fn wait(&mut self, error: &CapabilityError) {
        let asked = match error {
            CapabilityError::Temporary { after, .. } => *after,
            _ => None,
        };
        let backoff = Duration::from_secs(1 << self.tries.min(5));
        self.tries += 1;
        self.refused = Some(error.to_string());
        self.not_before = clock::monotonic() + asked.unwrap_or(backoff).min(LONGEST_WAIT);
    }

    fn refuse(&mut self, arn: &str, reason: &str) {
        log::error("an execution cannot be described", &[("execution", arn), ("reason", reason)]);
        self.refused = Some(reason.to_owned());
        self.not_told(arn, State::Refused);
    }
}

/// What becomes of a unit that is asked for in full.
fn decide(mut unit: Unit, tools: &mut Tools<'_>) -> Outcome {
    let now = clock::now();
    let digest = unit.new_digest();
    let situation = unit.situation(&digest, now);
    let decision = situation.decide(&tools.plan.timing);
    let verdict = match decision {
        Decision::Last(verdict) => Some(verdict),
        Decision::Again { .. } => {
            let is_new = !situation.is_same && unit.has_something();
            (is_new && tools.plan.hand_over == HandOver::Early).then_some(Verdict::Partial)
        }
    };
    let due_at = match decision {
        Decision::Last(_) => None,
        Decision::Again { due_at } => Some(due_at),
    };
    if let (Some(place), Some(subject)) = (&unit.place, unit.subject()) {
        let arns = unit.executions.keys().map(String::as_str);
        tools.known.fetched(place, subject, arns, unit.collected_at(), due_at);
    }
    let event = verdict.map(|verdict| match (unit.to_raw(verdict), &unit.place) {
        (Some(body), Some(place)) => Event::Raw { place: place.clone(), collected_at: unit.collected_at(), body },
        _ => unreadable(unit.message.clone(), "no account of the binding has this trace".into()),
    });
    unit.digest = Some(digest);
    unit.attempt += 1;
    let next = due_at.into_iter().flat_map(|due_at| unit.to_pending(due_at).parts()).collect();
    Outcome { event, next, handles: unit.handles }
}

/// A unit's work waits on the queue until then.
fn put_off(unit: Unit, due_at: u64) -> Outcome {
    Outcome { event: None, next: unit.to_pending(due_at).parts(), handles: unit.handles }
}

/// A message that nothing can be done with goes on as it came: a later stage rejects it, and it is not lost.
pub fn unreadable(message: Message, reason: String) -> Event {
    Event::Unreadable { attrs: message.attrs, body: message.body, reason }
}

/// What is left of a call's time; not zero, which would be without end.
fn remaining(until: Duration) -> Duration {
    until.saturating_sub(clock::monotonic()).max(Duration::from_millis(50))
}
