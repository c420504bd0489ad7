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
use crate::options::Plan;
use crate::outcome::Outcome;
use crate::pending::SECOND;
use crate::places::{Belongs, Places};
use crate::told::Told;
use crate::unit::{State, Trace, Unit};

/// How many are worked on at once.
pub const UNITS: usize = 256;

/// How many items one call asks for: enough that waiting for answers does not limit the rate, few enough that what comes
/// back fits into memory.
const CALL: usize = 100;

/// What no answer came for goes back to the queue after this long: nothing depends on holding a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it then waits there.
const PUT_BACK: u64 = 60 * SECOND;

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
        if let Some(same) = self.units.iter_mut().find(|known| known.is_same_as(&unit)) {
            same.merge(unit);
            return None;
        }
        match tools.known.arrival(&unit.wanted(), clock::now()) {
            Arrival::Served(subject) => {
                Some(Outcome { subject: Some(subject), handles: unit.handles, ..Outcome::default() })
            }
            Arrival::Align(due_at) => Some(Outcome::put_off(unit, due_at)),
            Arrival::Work => {
                self.units.push(unit);
                None
            }
        }
    }

    /// Asks for what is missing until that time on the monotonic clock, and adds what is finished: also where it fails.
    pub fn work(&mut self, tools: &mut Tools<'_>, until: Duration, outcomes: &mut Vec<Outcome>) -> Result<(), Failure> {
        if self.units.is_empty() {
            return Ok(());
        }
        tools.places.refresh(clock::monotonic())?;
        self.describe(tools, until)?;
        self.resolve(tools, outcomes);
        self.fetch(tools, until, outcomes)?;
        // Executions that the traces show.
        self.describe(tools, until)?;
        self.finish(tools, outcomes);
        Ok(())
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
        outcomes.extend(wanted.into_iter().map(|unit| Outcome::put_off(unit, due_at)));
    }

    fn finish(&mut self, tools: &mut Tools<'_>, outcomes: &mut Vec<Outcome>) {
        let now = clock::monotonic();
        let mut unanswered = 0;
        let mut reason = None;
        for unit in mem::take(&mut self.units) {
            let is_asked = !unit.is_unasked() && !matches!(unit.trace, Trace::Unresolved | Trace::Wanted(_));
            if is_asked {
                outcomes.push(Outcome::decide(unit, tools));
            } else if now.saturating_sub(unit.moved_at) >= PATIENCE {
                unanswered += 1;
                reason = reason.or_else(|| unit.refused.clone());
                outcomes.push(Outcome::put_off(unit, clock::now() + PUT_BACK));
            } else {
                self.units.push(unit);
            }
        }
        if unanswered > 0 {
            let reason = reason.unwrap_or_default();
            log::warn("no answer: tried again later", &[("items", &unanswered.to_string()), ("reason", &reason)]);
        }
    }
}

/// What is left of a call's time; not zero, which would be without end.
fn remaining(until: Duration) -> Duration {
    until.saturating_sub(clock::monotonic()).max(Duration::from_millis(50))
}
