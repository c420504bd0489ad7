//! One sweep: what is still to be asked, and what the answers hold. Asks nobody itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rayline_sdk::xray::{Answer, ExecutionQuery, Page, Place, SummaryQuery};
use rayline_sdk::{CapabilityError, log};
use serde::Deserialize;
use serde_json::Value;

use super::Watermark;
use crate::options::SweepPlan;
use crate::pending::SECOND;

/// Terminal executions are listed by their end, latest first; running ones whole.
const STATUSES: [&str; 5] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];

/// How many lists are asked for a page at once: a page may hold a thousand executions.
const PAGES: usize = 8;

/// An account that answers so often for the time being is left for the next sweep.
const TRIES: u32 = 6;

/// What is still to be asked.
pub struct Pass {
    machines: VecDeque<Place>,
    listings: VecDeque<Listing>,
    summaries: VecDeque<SummaryQuery>,
    places: BTreeMap<Place, Progress>,
    now: u64,
}

/// How one account and region is doing.
struct Progress {
    /// Nothing that ended before is looked for.
    floor: u64,
    /// When the service was asked first, by its own clock.
    began: Option<u64>,
    has_failed: bool,
    not_before: Duration,
    tries: u32,
}

/// A list of executions that is being paged through.
#[derive(Debug, Clone)]
pub struct Listing {
    pub place: Place,
    pub query: ExecutionQuery,
}

/// What to ask next.
#[derive(Debug)]
pub enum Ask {
    Machines(Vec<Place>),
    Executions(Vec<Listing>),
    Summaries(Vec<SummaryQuery>),
}

/// Something that is to be collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub place: Place,
    /// The execution's ARN, or the trace's id.
    pub subject: String,
    pub is_trace: bool,
    pub is_running: bool,
    /// In nanoseconds since 1970-01-01T00:00:00Z.
    pub ended_at: u64,
    /// Another state of the same is found again.
    pub state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    state_machine_arn: String,
    name: String,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    execution_arn: String,
    stop_date: Option<f64>,
    redrive_count: Option<u64>,
}

impl Pass {
    pub fn new(plan: &SweepPlan, watermark: &Watermark, places: Vec<Place>, now: u64) -> Pass {
        let mut pass = Pass {
            machines: places.iter().cloned().collect(),
            listings: VecDeque::new(),
            summaries: VecDeque::new(),
            places: BTreeMap::new(),
            now,
        };
        for place in places {
            let start = now.saturating_sub(plan.start);
            // What was missed while away for longer than X-Ray keeps it is not to be had.
            let oldest = now.saturating_sub(30 * 86_400 * SECOND);
            let floor = watermark.of(&place).map_or(start, |mark| mark.saturating_sub(plan.overlap)).max(oldest);
            for filter in &plan.filters {
                pass.summarise(&place, floor, filter.clone());
            }
            let progress = Progress { floor, began: None, has_failed: false, not_before: Duration::ZERO, tries: 0 };
            pass.places.insert(place, progress);
        }
        pass
    }

    fn summarise(&mut self, place: &Place, floor: u64, filter: String) {
        self.summaries.push_back(SummaryQuery {
            place: place.clone(),
            after: floor,
            before: self.now,
            filter: Some(filter),
            next: None,
        });
    }

    pub fn is_over(&self) -> bool {
        self.machines.is_empty() && self.listings.is_empty() && self.summaries.is_empty()
    }

    /// Whether something can be asked now.
    pub fn is_ready(&self, now: Duration) -> bool {
        self.is_over()
            || self.machines.iter().any(|place| self.may_ask(place, now))
            || self.listings.iter().any(|listing| self.may_ask(&listing.place, now))
            || self.summaries.iter().any(|query| self.may_ask(&query.place, now))
    }

    fn may_ask(&self, place: &Place, now: Duration) -> bool {
        self.places.get(place).is_none_or(|progress| progress.not_before <= now)
    }

    /// The next question. What is asked is taken out: its answer brings it back where there is more.
    pub fn ask(&mut self, now: Duration) -> Option<Ask> {
        fn take<T>(queue: &mut VecDeque<T>, may_ask: impl Fn(&T) -> bool) -> Vec<T> {
            let mut taken = Vec::new();
            for item in std::mem::take(queue) {
                if taken.len() < PAGES && may_ask(&item) { taken.push(item) } else { queue.push_back(item) }
            }
            taken
        }
        let may_ask = {
            let waiting: BTreeSet<Place> =
                self.places.keys().filter(|place| !self.may_ask(place, now)).cloned().collect();
            move |place: &Place| !waiting.contains(place)
        };
        let machines = take(&mut self.machines, &may_ask);
        if !machines.is_empty() {
            return Some(Ask::Machines(machines));
        }
        let listings = take(&mut self.listings, |listing| may_ask(&listing.place));
        if !listings.is_empty() {
            return Some(Ask::Executions(listings));
        }
        let summaries = take(&mut self.summaries, |query| may_ask(&query.place));
        (!summaries.is_empty()).then_some(Ask::Summaries(summaries))
    }

    /// Takes in a place's state machines: each is a few lists to page through.
    pub fn machines(
        &mut self,
        plan: &SweepPlan,
        place: &Place,
        answer: Result<Answer, CapabilityError>,
        now: Duration,
    ) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if self.failed_once(place, &error, now) {
                    self.machines.push_back(place.clone());
                }
                return;
            }
        };
        let floor = match self.places.get_mut(place) {
            Some(progress) => {
                (progress.began, progress.tries) = (Some(answer.date), 0);
                progress.floor
            }
            None => return,
        };
        let Ok(machines) = serde_json::from_str::<Vec<Machine>>(&answer.json) else {
            self.give_up(place, "the list of state machines is not one");
            return;
        };
        for machine in machines {
            if machine.r#type != "EXPRESS" {
                self.listings.extend(STATUSES.map(|status| Listing {
                    place: place.clone(),
                    query: ExecutionQuery {
                        state_machine: machine.state_machine_arn.clone(),
                        status: status.to_owned(),
                        next: None,
                    },
                }));
            } else if plan.express {
                let kind = "AWS::StepFunctions::StateMachine";
                let name = machine.name.replace(['"', '\\'], "");
                self.summarise(place, floor, format!(r#"service(id(name: "{name}", type: "{kind}"))"#));
            }
        }
    }

    /// Takes in a page of executions, and goes on until what ended before the floor.
    pub fn executions(&mut self, listing: Listing, answer: Result<Page, CapabilityError>, now: Duration) -> Vec<Found> {
        let page = match answer {
            Ok(page) => page,
            Err(error) => {
                self.listing_failed(listing, &error, now);
                return Vec::new();
            }
        };
        let Some(progress) = self.places.get_mut(&listing.place) else { return Vec::new() };
        progress.tries = 0;
        let floor = progress.floor;
        let Ok(items) = serde_json::from_str::<Vec<Item>>(&page.json) else {
            self.give_up(&listing.place, "a list of executions is not one");
            return Vec::new();
        };
        let is_running = listing.query.status == "RUNNING";
        let ended_at = |item: &Item| (item.stop_date.unwrap_or_default().clamp(0.0, 1e11) * 1e3) as u64 * 1_000_000;
        let is_new = |item: &Item| is_running || ended_at(item) >= floor;
        if page.next.is_some() && items.iter().all(is_new) {
            let query = ExecutionQuery { next: page.next, ..listing.query.clone() };
            self.listings.push_back(Listing { place: listing.place.clone(), query });
        }
        let found = items.into_iter().filter(is_new).map(|item| Found {
            place: listing.place.clone(),
            is_trace: false,
            is_running,
            ended_at: ended_at(&item),
            state: format!(
                "{} {} {}",
                listing.query.status,
                item.redrive_count.unwrap_or(0),
                item.stop_date.unwrap_or_default()
            ),
            subject: item.execution_arn,
        });
        found.collect()
    }

    fn listing_failed(&mut self, listing: Listing, error: &CapabilityError, now: Duration) {
        match error {
            // Deleted since it was listed.
            CapabilityError::NotFound(_) => {}
            _ if self.failed_once(&listing.place, error, now) => self.listings.push_back(listing),
            _ => {}
        }
    }

    /// Takes in a page of trace summaries.
    pub fn summaries(
        &mut self,
        query: SummaryQuery,
        answer: Result<Page, CapabilityError>,
        now: Duration,
    ) -> Vec<Found> {
        let page = match answer {
            Ok(page) => page,
            Err(error) => {
                if self.failed_once(&query.place, &error, now) {
                    self.summaries.push_back(query);
                }
                return Vec::new();
            }
        };
        if let Some(progress) = self.places.get_mut(&query.place) {
            progress.tries = 0;
        }
        let Ok(items) = serde_json::from_str::<Vec<Value>>(&page.json) else {
            self.give_up(&query.place, "a list of trace summaries is not one");
            return Vec::new();
        };
        let place = query.place.clone();
        if page.next.is_some() {
            self.summaries.push_back(SummaryQuery { next: page.next, ..query });
        }
        let found = items.into_iter().filter_map(|item| {
            Some(Found {
                place: place.clone(),
                subject: item["Id"].as_str()?.to_owned(),
                is_trace: true,
                is_running: false,
                ended_at: 0,
                // Late data makes another one of it.
                state: item["Revision"].to_string(),
            })
        });
        found.collect()
    }

    /// Whether to ask again in this pass.
    fn failed_once(&mut self, place: &Place, error: &CapabilityError, now: Duration) -> bool {
        let Some(progress) = self.places.get_mut(place) else { return false };
        if progress.has_failed {
            return false;
        }
        if let CapabilityError::Temporary { after, .. } = error
            && progress.tries < TRIES
        {
            progress.not_before = now + after.unwrap_or(Duration::from_secs(1 << progress.tries));
            progress.tries += 1;
            return true;
        }
        self.give_up(place, &error.to_string());
        false
    }

    /// The rest of this place is left for the next sweep.
    fn give_up(&mut self, place: &Place, reason: &str) {
        let fields = [("account", place.account.as_str()), ("region", place.region.as_str()), ("reason", reason)];
        log::warn("cannot look for executions", &fields);
        if let Some(progress) = self.places.get_mut(place) {
            progress.has_failed = true;
        }
        self.machines.retain(|other| other != place);
        self.listings.retain(|listing| listing.place != *place);
        self.summaries.retain(|query| query.place != *place);
    }

    /// The places that did not get through.
    pub fn failed(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|(_, progress)| progress.has_failed).map(|(place, _)| place)
    }

    /// The others, and when they were asked first.
    pub fn swept(&self) -> impl Iterator<Item = (&Place, u64)> {
        let swept = self.places.iter().filter(|(_, progress)| !progress.has_failed);
        swept.filter_map(|(place, progress)| Some((place, progress.began?)))
    }
}
