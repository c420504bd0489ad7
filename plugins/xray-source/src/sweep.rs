//! Looks for executions oneself: status events are best effort, EXPRESS state machines send none, and somebody may have been
//! away. A pass asks page by page, between readings; what it finds becomes pending work on the event queue.

mod pass;
mod watermark;

use std::time::Duration;

use rayline_sdk::xray::{self, Answers, Place};
use rayline_sdk::{CapabilityError, Failure, clock, log};

pub use self::pass::Found;
use self::pass::{Ask, Pass};
use self::watermark::Service;
pub use self::watermark::Watermark;
use crate::XRAY;
use crate::known::Known;
use crate::options::SweepPlan;
use crate::pending::Pending;
use crate::places::Places;
use crate::recent::{Key, Recent};

/// How many things found are remembered, so that the next pass does not find them again: some 100 bytes each.
const ENTRIES: usize = 65_536;

/// The sweeps of one instance.
pub struct Sweep {
    plan: SweepPlan,
    watermark: Watermark,
    pass: Option<Pass>,
    /// When the next pass begins.
    next_at: u64,
    /// When something was found.
    found: Recent<u64>,
    seed: u64,
    give_up_after: u64,
    /// Whether a pass got through, in every account.
    pub has_swept: bool,
}

impl Sweep {
    pub fn new(plan: SweepPlan, watermark: Watermark, seed: u64, give_up_after: u64) -> Sweep {
        let found = Recent::new(ENTRIES);
        Sweep { plan, watermark, pass: None, next_at: 0, found, seed, give_up_after, has_swept: false }
    }

    /// Whether there is something to ask at once.
    pub fn is_due(&self) -> bool {
        match &self.pass {
            Some(pass) => pass.is_ready(clock::monotonic()),
            None => clock::now() >= self.next_at,
        }
    }

    pub fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// Asks one question of the pass; returns what is to be collected.
    pub fn step(&mut self, places: &mut Places, known: &Known, max_wait: Duration) -> Result<Vec<Pending>, Failure> {
        if self.pass.is_none() {
            if clock::now() < self.next_at {
                return Ok(Vec::new());
            }
            places.refresh(clock::monotonic())?;
            let now = clock::now();
            self.next_at = now.saturating_add(self.plan.every);
            let all: Vec<Place> = places.iter().cloned().collect();
            self.pass = Some(Pass::new(&self.plan, &self.watermark, all, now, self.give_up_after));
        }
        let Some(pass) = &mut self.pass else { return Ok(Vec::new()) };
        let now = clock::monotonic();
        let mut found = Vec::new();
        match pass.ask(now) {
            Some(Ask::Machines(places)) => {
                let answers = each(places.len(), xray::state_machines(XRAY, &places, max_wait))?;
                heard(pass, &places, &answers, Service::Executions, now);
                for (place, answer) in places.iter().zip(answers) {
                    pass.machines(&self.plan, place, answer, now);
                }
            }
            Some(Ask::Executions(listings)) => {
                let queries: Vec<_> = listings.iter().map(|listing| listing.query.clone()).collect();
                let answers = each(queries.len(), xray::executions(XRAY, &queries, max_wait))?;
                let places: Vec<Place> = listings.iter().map(|listing| listing.place.clone()).collect();
                heard(pass, &places, &answers, Service::Executions, now);
                for (listing, answer) in listings.into_iter().zip(answers) {
                    found.extend(pass.executions(listing, answer, now));
                }
            }
            Some(Ask::Summaries(queries)) => {
                let answers = each(queries.len(), xray::trace_summaries(XRAY, &queries, max_wait))?;
                let places: Vec<Place> = queries.iter().map(|query| query.place.clone()).collect();
                heard(pass, &places, &answers, Service::Traces, now);
                for (query, answer) in queries.into_iter().zip(answers) {
                    found.extend(pass.summaries(query, answer, now));
                }
            }
            None => {}
        }
        Ok(found.into_iter().filter_map(|found| self.take_up(found, known)).collect())
    }

    /// Once all that was found is on the queue: moves the watermark where the pass has ended. Says whether it did.
    pub fn end(&mut self, places: &Places) -> bool {
        let Some(pass) = self.pass.take_if(|pass| pass.is_over()) else { return false };
        for place in pass.unswept() {
            let fields = [("account", place.account.as_str()), ("region", place.region.as_str())];
            log::warn("a sweep did not get through: the next one looks as far back as this one", &fields);
        }
        self.watermark.moved(Service::Executions, pass.swept(Service::Executions));
        if self.plan.express || !self.plan.filters.is_empty() {
            self.watermark.moved(Service::Traces, pass.swept(Service::Traces));
        }
        self.has_swept |= places.are_all_usable() && pass.unswept().next().is_none();
        true
    }

    /// Leaves out what is done, and what was found before.
    fn take_up(&mut self, found: Found, known: &Known) -> Option<Pending> {
        let now = clock::now();
        let key = Key::new(self.seed, (&found.subject, &found.state));
        let age = self.found.set(key, now).map(|before| (before, now.saturating_sub(before)));
        if let Some((before, age)) = age
            && (!found.is_running || age < self.give_up_after)
        {
            // The age is that of its pending work, which ends by itself.
            self.found.set(key, before);
            return None;
        }
        if !found.is_trace && !found.is_running && known.is_settled(&found.subject, found.ended_at) {
            return None;
        }
        let (trace_id, executions) =
            if found.is_trace { (Some(found.subject), Vec::new()) } else { (None, vec![found.subject]) };
        Some(Pending::fresh(executions, trace_id, now, self.give_up_after).at(Some(found.place)))
    }
}

/// Whoever answered anything is not counted among those that fail.
fn heard<T>(
    pass: &mut Pass,
    places: &[Place],
    answers: &[Result<T, CapabilityError>],
    service: Service,
    now: Duration,
) {
    let answered = places.iter().zip(answers).filter(|(_, answer)| answer.is_ok());
    answered.for_each(|(place, _)| pass.heard(place, service, now));
}

/// A call that failed as a whole for the time being failed for each of its items: they are asked for again.
fn each<T>(items: usize, answers: Answers<T>) -> Answers<T> {
    match answers {
        Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => {
            Ok((0..items).map(|_| Err(error.clone())).collect())
        }
        other => other,
    }
}
