//! What is being worked on: messages come in, answers are fetched for all of them at once, and each trace goes out or waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use rayline_sdk::xray::{self, Place, TraceQuery};
use rayline_sdk::{CapabilityError, Failure, clock, log};

use crate::XRAY;
use crate::arn::ExecutionArn;
use crate::budget::Budget;
use crate::known::{Arrival, Known};
use crate::options::Plan;
use crate::outcome::{Event, Outcome};
use crate::pending::SECOND;
use crate::places::{Belongs, Places};
use crate::told::Told;
use crate::unit::{State, Trace, Unit};

/// How many are worked on at once.
pub const UNITS: usize = 256;

/// How many items one call asks for: enough that waiting for answers does not limit the rate, few enough that what comes
/// back fits into memory.
const CALL: usize = 100;

/// How long one call waits for its slowest item. What it did not wait for goes on, and is asked for again.
const SLICE: Duration = Duration::from_millis(300);

/// What no answer came for goes back to the queue after this long: nothing depends on holding a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it then waits there.
const PUT_BACK: u64 = 60 * SECOND;

/// The same where its account has its share of [`UNITS`] already.
const NO_ROOM: u64 = 15 * SECOND;

/// What may be held of traces and payloads before no more messages are taken, and nothing is begun.
pub const HELD_BYTES: usize = 32 << 20;

/// How many go on then: each may come to hold some 20 MB.
const FEW: usize = 4;

/// What is worked on.
#[derive(Default)]
pub struct Desk {
    units: Vec<Unit>,
    /// How many calls there were.
    turn: u64,
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
        self.considered(now).iter().map(|(_, unit)| unit.not_before.saturating_sub(now)).min()
    }

    /// Takes up a unit, unless what it asks for is done or is done soon anyway.
    pub fn take(&mut self, unit: Unit, tools: &mut Tools<'_>) -> Option<Outcome> {
        self.admit(unit, true, tools)
    }

    fn admit(&mut self, unit: Unit, is_new: bool, tools: &mut Tools<'_>) -> Option<Outcome> {
        if let Some(same) = self.units.iter_mut().find(|known| known.is_same_as(&unit)) {
            same.merge(unit);
            return None;
        }
        match tools.known.arrival(&unit.wanted(), clock::now()) {
            Arrival::Served(subject) => {
                Some(Outcome { subject: Some(subject), handles: unit.handles, ..Outcome::default() })
            }
            Arrival::Align(due_at) => Some(Outcome::put_off(unit, due_at)),
            Arrival::Work if is_new && !self.has_room(&unit, tools.places) => {
                Some(Outcome::unanswered(unit, clock::now() + NO_ROOM, tools.plan))
            }
            Arrival::Work => {
                self.units.push(unit);
                None
            }
        }
    }

    /// Whether there is room for it: an account that is slow or full of work leaves some to the others.
    fn has_room(&self, unit: &Unit, places: &Places) -> bool {
        let share = UNITS / places.iter().count().max(1);
        let same = self.units.iter().filter(|known| known.place == unit.place).count();
        self.units.len() < UNITS / 2 || same < share
    }

    /// Asks for what is missing until that time on the monotonic clock, and adds what is finished: also where it fails.
    pub fn work(&mut self, tools: &mut Tools<'_>, until: Duration, outcomes: &mut Vec<Outcome>) -> Result<(), Failure> {
        if self.units.is_empty() {
            return Ok(());
        }
        tools.places.refresh(clock::monotonic())?;
        loop {
            let described = self.describe(tools, until)?;
            self.resolve(tools, outcomes);
            let fetched = self.fetch(tools, until, outcomes)?;
            // Executions that the traces show.
            let described = (fetched && self.describe(tools, until)?) || described;
            self.finish(tools, outcomes);
            let bytes: usize = outcomes.iter().filter_map(|outcome| outcome.event.as_ref()).map(Event::bytes).sum();
            let is_more = described || fetched;
            if !is_more || bytes > HELD_BYTES || clock::monotonic() >= until {
                return Ok(());
            }
        }
    }

    /// Describes executions; whether there was anything to ask.
    fn describe(&mut self, tools: &Tools<'_>, until: Duration) -> Result<bool, Failure> {
        self.leave_out_others(tools.places);
        let asked = turns(
            CALL,
            self.askable().into_iter().map(|index| {
                let unit = self.units.get(index);
                let unasked = unit.into_iter().flat_map(|unit| &unit.executions);
                let unasked = unasked.filter(|(_, execution)| execution.state == State::Unasked);
                let items = unasked.map(|(arn, _)| (index, arn.clone())).collect();
                (unit.and_then(|unit| unit.place.as_ref()), items)
            }),
        );
        if asked.is_empty() {
            return Ok(false);
        }
        let arns: Vec<String> = asked.iter().map(|(_, arn)| arn.clone()).collect();
        let answers = xray::describe_executions(XRAY, &arns, remaining(until))?;
        self.turn += 1;
        for ((index, arn), answer) in asked.into_iter().zip(answers) {
            let Some(unit) = self.units.get_mut(index) else { continue };
            unit.turn = self.turn;
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
                Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => unit.wait(&error),
                Err(error) => {
                    unit.moved();
                    unit.refuse(&arn, &error.to_string());
                }
            }
        }
        Ok(true)
    }

    /// All units with their indices. Where much is held, only those that hold most of it: then there is room again.
    fn considered(&self, now: Duration) -> Vec<(usize, &Unit)> {
        let mut units: Vec<(usize, &Unit)> = self.units.iter().enumerate().collect();
        if self.bytes() > HELD_BYTES {
            units.sort_by_key(|(_, unit)| (unit.not_before.max(now), Reverse(unit.bytes())));
            units.truncate(FEW);
        }
        units
    }

    /// Who may be asked for now, the one that waits for longest first.
    fn askable(&self) -> Vec<usize> {
        let now = clock::monotonic();
        let mut order = self.considered(now);
        order.retain(|(_, unit)| unit.not_before <= now);
        order.sort_by_key(|(_, unit)| unit.turn);
        order.into_iter().map(|(index, _)| index).collect()
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
        let open: Vec<Unit> = self.units.extract_if(.., |unit| matches!(unit.trace, Trace::Unresolved)).collect();
        for mut unit in open {
            unit.resolve();
            match unit.trace {
                Trace::Wanted(_) => outcomes.extend(self.admit(unit, false, tools)),
                _ => self.units.push(unit),
            }
        }
    }

    /// Fetches traces; whether there was anything to ask.
    fn fetch(&mut self, tools: &mut Tools<'_>, until: Duration, outcomes: &mut Vec<Outcome>) -> Result<bool, Failure> {
        let left = match tools.budget.left(clock::now()) {
            Ok(left) => left.min(CALL),
            Err(tomorrow) => {
                self.put_off_fetches(tools.plan, tomorrow, outcomes);
                return Ok(false);
            }
        };
        let asked = turns(
            left,
            self.askable().into_iter().filter_map(|index| {
                let unit = self.units.get(index).filter(|unit| !unit.is_unasked())?;
                let Trace::Wanted(id) = &unit.trace else { return None };
                let query = |place: &Place| TraceQuery { place: place.clone(), id: id.clone() };
                let queries = match &unit.place {
                    Some(place) => vec![query(place)],
                    None => tools.places.iter().map(query).collect(),
                };
                // What any account may have is asked for in all of them at once.
                Some((unit.place.as_ref(), vec![(index, queries)]))
            }),
        );
        let mut by_unit = Vec::new();
        let mut queries = Vec::new();
        for (index, wanted) in asked {
            if queries.len() < left {
                by_unit.push((index, wanted.len()));
                queries.extend(wanted);
            }
        }
        if queries.is_empty() {
            return Ok(false);
        }
        let answers = xray::traces(XRAY, &queries, remaining(until))?;
        let is_answer = |answer: &&Result<_, CapabilityError>| {
            !matches!(answer, Err(CapabilityError::Temporary { .. } | CapabilityError::Conflict(_)))
        };
        tools.budget.spend(answers.iter().filter(is_answer).count());
        self.turn += 1;
        let mut answers = queries.into_iter().zip(answers);
        for (index, count) in by_unit {
            let answers = answers.by_ref().take(count).collect();
            if let Some(unit) = self.units.get_mut(index) {
                unit.turn = self.turn;
                outcomes.extend(unit.fetched(answers));
            }
        }
        Ok(true)
    }

    fn put_off_fetches(&mut self, plan: &Plan, due_at: u64, outcomes: &mut Vec<Outcome>) {
        let wanted = self.units.extract_if(.., |unit| matches!(unit.trace, Trace::Wanted(_)));
        outcomes.extend(wanted.map(|unit| Outcome::unanswered(unit, due_at, plan)));
    }

    fn finish(&mut self, tools: &mut Tools<'_>, outcomes: &mut Vec<Outcome>) {
        let now = clock::monotonic();
        let mut unanswered = 0;
        let mut reason = None;
        for mut unit in mem::take(&mut self.units) {
            let is_asked = !unit.is_unasked() && !matches!(unit.trace, Trace::Unresolved | Trace::Wanted(_));
            if is_asked {
                outcomes.push(Outcome::decide(unit, tools));
            } else if unit.is_barred || now.saturating_sub(unit.moved_at) >= PATIENCE {
                unanswered += 1;
                reason = reason.or_else(|| unit.refused.clone());
                if clock::now() >= unit.give_up_at {
                    unit.stop_asking();
                    outcomes.push(Outcome::decide(unit, tools));
                } else {
                    outcomes.push(Outcome::unanswered(unit, clock::now() + PUT_BACK, tools.plan));
                }
            } else {
                self.units.push(unit);
            }
        }
        if unanswered > 0 {
            let reason = reason.unwrap_or_default();
            log::warn(
                "no answer: tried again later, as long as it is not given up",
                &[("items", &unanswered.to_string()), ("reason", &reason)],
            );
        }
    }
}

/// The first so many items, of each place one after the other: who has many leaves room for the others. A place whose items
/// wait for longest comes first.
fn turns<'a, T>(most: usize, units: impl Iterator<Item = (Option<&'a Place>, Vec<T>)>) -> Vec<T> {
    let mut order = Vec::new();
    let mut by_place: BTreeMap<Option<&Place>, VecDeque<T>> = BTreeMap::new();
    for (place, items) in units {
        let waiting = by_place.entry(place).or_default();
        if waiting.is_empty() && !items.is_empty() {
            order.push(place);
        }
        waiting.extend(items);
    }
    let mut taken = Vec::new();
    while taken.len() < most && !order.is_empty() {
        order.retain(|place| {
            let item = by_place.get_mut(place).filter(|_| taken.len() < most).and_then(VecDeque::pop_front);
            let is_there = item.is_some();
            taken.extend(item);
            is_there
        });
    }
    taken
}

/// What is left of a call's time; not zero, which would be without end.
fn remaining(until: Duration) -> Duration {
    until.saturating_sub(clock::monotonic()).clamp(Duration::from_millis(50), SLICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(account: &str) -> Place {
        Place { account: account.into(), region: "r".into() }
    }

    #[test]
    fn every_place_has_its_turn() {
        let (a, b) = (place("a"), place("b"));
        let units =
            || [(Some(&a), vec![1, 2, 3]), (None, vec![]), (Some(&b), vec![4]), (Some(&a), vec![5]), (None, vec![6])];
        assert_eq!(turns(9, units().into_iter()), [1, 4, 6, 2, 3, 5]);
        assert_eq!(turns(2, units().into_iter()), [1, 4]);
        assert_eq!(turns(0, units().into_iter()), [0; 0]);
    }

    #[test]
    fn where_much_is_held_only_what_holds_most_goes_on() {
        let unit = |payload_bytes, not_before| Unit { payload_bytes, not_before, ..Unit::default() };
        let few = (0..9).map(|n| unit(n << 20, Duration::ZERO)).collect();
        let mut desk = Desk { units: few, ..Desk::default() };
        let indices = |desk: &Desk| -> Vec<usize> {
            desk.considered(Duration::ZERO).into_iter().map(|(index, _)| index).collect()
        };
        assert!(desk.bytes() > HELD_BYTES);
        assert_eq!(indices(&desk), [8, 7, 6, 5]);
        desk.units.push(unit(16 << 20, Duration::from_secs(1)));
        assert_eq!(indices(&desk), [8, 7, 6, 5], "whom nobody can ask yet keeps back no other");
        desk.units.truncate(8);
        assert_eq!(indices(&desk), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
