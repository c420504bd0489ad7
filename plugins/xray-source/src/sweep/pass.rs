//! One sweep: what is still to be asked, and what the answers hold. Asks nobody itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rayline_sdk::xray::{Answer, ExecutionQuery, Page, Place, SummaryQuery};
use rayline_sdk::{CapabilityError, log};
use serde::Deserialize;
use serde_json::Value;

use super::watermark::{Service, Watermark};
use crate::options::SweepPlan;
use crate::pending::SECOND;
use crate::trace::{at, hash};

/// Terminal executions are listed by their end, latest first; running ones whole.
const STATUSES: [&str; 5] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"];

/// How many pages of one account are asked for at once, and of all: a page may hold a thousand executions.
const PAGES: usize = 4;
const CALL: usize = 64;

/// An account that answers so often for the time being, and nothing else, is left for the next sweep.
const TRIES: u32 = 6;

/// One that says nothing at all is waited for so long: the next sweep of all of them begins when this one is over.
const SILENCE: Duration = Duration::from_secs(600);

/// What is still to be asked.
pub struct Pass {
    machines: VecDeque<Place>,
    listings: VecDeque<Listing>,
    summaries: VecDeque<SummaryQuery>,
    places: BTreeMap<Place, Progress>,
    /// How many questions were asked.
    step: u64,
    now: u64,
    give_up_after: u64,
}

/// How one account and region is doing.
struct Progress {
    /// How far the sweep before came.
    mark: Option<u64>,
    /// Nothing that ended before is looked for.
    floor: u64,
    /// The same of traces.
    after: u64,
    /// When the service was asked first, by its own clock.
    began: Option<u64>,
    executions: Lane,
    traces: Lane,
}

/// How one service of it is doing.
#[derive(Default)]
struct Lane {
    has_failed: bool,
    not_before: Duration,
    /// Questions in a row that brought nothing.
    tries: u32,
    /// The last question that counted: of one, many items fail together.
    step: u64,
    /// When it answered last.
    heard_at: Option<Duration>,
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
    start_date: Option<f64>,
    stop_date: Option<f64>,
    redrive_date: Option<f64>,
    redrive_count: Option<u64>,
}

impl Pass {
    pub fn new(plan: &SweepPlan, watermark: &Watermark, places: Vec<Place>, now: u64, give_up_after: u64) -> Pass {
        let mut pass = Pass {
            machines: places.iter().cloned().collect(),
            listings: VecDeque::new(),
            summaries: VecDeque::new(),
            places: BTreeMap::new(),
            step: 0,
            now,
            give_up_after,
        };
        // What was missed while away for longer than X-Ray keeps it is not to be had.
        let oldest = now.saturating_sub(30 * 86_400 * SECOND);
        let floor = |mark: Option<u64>| {
            let start = now.saturating_sub(plan.start);
            mark.map_or(start, |mark| mark.saturating_sub(plan.overlap)).max(oldest)
        };
        for place in places {
            let after = floor(watermark.of(&place, Service::Traces));
            for filter in &plan.filters {
                pass.summarise(&place, after, filter.clone());
            }
            let mark = watermark.of(&place, Service::Executions);
            let (executions, traces) = (Lane::default(), Lane::default());
            let progress = Progress { mark, floor: floor(mark), after, began: None, executions, traces };
            pass.places.insert(place, progress);
        }
        pass
    }

    fn summarise(&mut self, place: &Place, after: u64, filter: String) {
        self.summaries.push_back(SummaryQuery {
            place: place.clone(),
            after,
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
            || self.machines.iter().any(|place| self.may_ask(place, Service::Executions, now))
            || self.listings.iter().any(|listing| self.may_ask(&listing.place, Service::Executions, now))
            || self.summaries.iter().any(|query| self.may_ask(&query.place, Service::Traces, now))
    }

    fn may_ask(&self, place: &Place, service: Service, now: Duration) -> bool {
        self.places.get(place).is_none_or(|progress| progress.lane(service).not_before <= now)
    }

    /// The next question. What is asked is taken out: its answer brings it back where there is more.
    pub fn ask(&mut self, now: Duration) -> Option<Ask> {
        self.step += 1;
        let waiting = |service| -> BTreeSet<Place> {
            self.places.keys().filter(|place| !self.may_ask(place, service, now)).cloned().collect()
        };
        let (executions, traces) = (waiting(Service::Executions), waiting(Service::Traces));
        let machines = take(&mut self.machines, |place| place, &executions);
        if !machines.is_empty() {
            return Some(Ask::Machines(machines));
        }
        let listings = take(&mut self.listings, |listing| &listing.place, &executions);
        if !listings.is_empty() {
            return Some(Ask::Executions(listings));
        }
        let summaries = take(&mut self.summaries, |query| &query.place, &traces);
        (!summaries.is_empty()).then_some(Ask::Summaries(summaries))
    }

    /// A place answered: whatever else it said to this question, it is not given up. Comes before its answers.
    pub fn heard(&mut self, place: &Place, service: Service, now: Duration) {
        let step = self.step;
        if let Some(progress) = self.places.get_mut(place) {
            let lane = progress.lane_mut(service);
            (lane.tries, lane.step, lane.heard_at) = (0, step, Some(now));
        }
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
                if self.failed(place, Service::Executions, &error, now) {
                    self.machines.push_back(place.clone());
                } else if plan.express
                    && let Some(progress) = self.places.get_mut(place)
                {
                    // Nobody knows which traces to look for.
                    progress.traces.has_failed = true;
                }
                return;
            }
        };
        let Some(progress) = self.places.get_mut(place) else { return };
        progress.began = Some(answer.date);
        let after = progress.after;
        let Ok(machines) = serde_json::from_str::<Vec<Machine>>(&answer.json) else {
            self.give_up(place, Service::Executions, "the list of state machines is not one");
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
                self.summarise(place, after, format!(r#"service(id(name: "{name}", type: "{kind}"))"#));
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
        let Ok(items) = serde_json::from_str::<Vec<Item>>(&page.json) else {
            self.give_up(&listing.place, Service::Executions, "a list of executions is not one");
            return Vec::new();
        };
        let Some(progress) = self.places.get(&listing.place) else { return Vec::new() };
        let give_up_after = self.give_up_after;
        let is_running = listing.query.status == "RUNNING";
        let ended_at = |item: &Item| nanoseconds(item.stop_date);
        let is_new = |item: &Item| match is_running {
            true => progress.is_to_be_taken_up(item, give_up_after),
            false => ended_at(item) >= progress.floor,
        };
        if page.next.is_some() && (is_running || items.iter().all(is_new)) {
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
            _ if self.failed(&listing.place, Service::Executions, error, now) => self.listings.push_back(listing),
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
            Err(CapabilityError::Permanent(reason)) if query.next.is_none() => {
                // As wrong in the next sweep: it keeps back no other.
                let Place { account, region } = &query.place;
                let filter = query.filter.as_deref().unwrap_or_default();
                let fields = [
                    ("account", account.as_str()),
                    ("region", region.as_str()),
                    ("filter", filter),
                    ("reason", reason.as_str()),
                ];
                log::error(
                    "X-Ray takes no such filter: nothing is found by it, correct it in `sweep.filters`",
                    &fields,
                );
                return Vec::new();
            }
            Err(error) => {
                if self.failed(&query.place, Service::Traces, &error, now) {
                    self.summaries.push_back(query);
                }
                return Vec::new();
            }
        };
        let Ok(items) = serde_json::from_str::<Vec<Value>>(&page.json) else {
            self.give_up(&query.place, Service::Traces, "a list of trace summaries is not one");
            return Vec::new();
        };
        let place = query.place.clone();
        if page.next.is_some() {
            self.summaries.push_back(SummaryQuery { next: page.next, ..query });
        }
        let found = items.into_iter().filter_map(|item| {
            Some(Found {
                place: place.clone(),
                subject: at(&item, "Id").as_str()?.to_owned(),
                is_trace: true,
                is_running: false,
                ended_at: 0,
                // Late data makes another one of it.
                state: at(&item, "Revision").to_string(),
            })
        });
        found.collect()
    }

    /// Whether to ask again in this pass.
    fn failed(&mut self, place: &Place, service: Service, error: &CapabilityError, now: Duration) -> bool {
        let step = self.step;
        let Some(progress) = self.places.get_mut(place) else { return false };
        let lane = progress.lane_mut(service);
        if lane.has_failed {
            return false;
        }
        let is_silent = now.saturating_sub(*lane.heard_at.get_or_insert(now)) >= SILENCE;
        if let CapabilityError::Temporary { after, .. } = error
            && !is_silent
        {
            // Under way: no failure.
            if *after == Some(Duration::ZERO) {
                return true;
            }
            if lane.step != step {
                lane.step = step;
                lane.tries += 1;
            }
            let backoff = Duration::from_secs(1 << lane.tries.saturating_sub(1).min(TRIES));
            lane.not_before = lane.not_before.max(now + after.unwrap_or(backoff));
            if lane.tries <= TRIES {
                return true;
            }
        }
        self.give_up(place, service, &error.to_string());
        false
    }

    /// The rest of what this service of the place is asked for is left for the next sweep.
    fn give_up(&mut self, place: &Place, service: Service, reason: &str) {
        let fields = [("account", place.account.as_str()), ("region", place.region.as_str()), ("reason", reason)];
        log::warn("cannot look for executions", &fields);
        if let Some(progress) = self.places.get_mut(place) {
            progress.lane_mut(service).has_failed = true;
        }
        match service {
            Service::Executions => {
                self.machines.retain(|other| other != place);
                self.listings.retain(|listing| listing.place != *place);
            }
            Service::Traces => self.summaries.retain(|query| query.place != *place),
        }
    }

    /// The places that did not get through.
    pub fn unswept(&self) -> impl Iterator<Item = &Place> {
        let failed = |progress: &Progress| progress.executions.has_failed || progress.traces.has_failed;
        self.places.iter().filter(move |(_, progress)| failed(progress)).map(|(place, _)| place)
    }

    /// The places of which a service got through, and when they were asked first.
    pub fn swept(&self, service: Service) -> impl Iterator<Item = (&Place, u64)> {
        let swept = self.places.iter().filter(move |(_, progress)| !progress.lane(service).has_failed);
        // Of traces those that began later than this host's clock said were not asked for.
        let latest = if service == Service::Traces { self.now } else { u64::MAX };
        swept.filter_map(move |(place, progress)| Some((place, progress.began?.min(latest))))
    }
}

impl Progress {
    fn lane(&self, service: Service) -> &Lane {
        match service {
            Service::Executions => &self.executions,
            Service::Traces => &self.traces,
        }
    }

    fn lane_mut(&mut self, service: Service) -> &mut Lane {
        match service {
            Service::Executions => &mut self.executions,
            Service::Traces => &mut self.traces,
        }
    }

    /// Of executions that run: those that began since the sweep before, which found all others. Their pending work ends when
    /// it is given up; from then on each is found once in the same time, at a moment of its own. Memory is not needed for it.
    fn is_to_be_taken_up(&self, item: &Item, give_up_after: u64) -> bool {
        let (Some(mark), Some(began)) = (self.mark, self.began) else { return true };
        let run_at = nanoseconds(item.start_date).max(nanoseconds(item.redrive_date));
        let period = give_up_after.max(1);
        let moment = hash(&[item.execution_arn.as_bytes()]) % period;
        let turn = |time: u64| time.saturating_add(moment) / period;
        run_at >= self.floor || (began.saturating_sub(run_at) >= period && turn(mark) != turn(began))
    }
}

/// A date of the API.
fn nanoseconds(date: Option<f64>) -> u64 {
    (date.unwrap_or_default().clamp(0.0, 1e11) * 1e3) as u64 * 1_000_000
}

/// Takes out what is asked next, a few of each place. Who had a turn comes after the others.
fn take<T>(queue: &mut VecDeque<T>, place: impl Fn(&T) -> &Place, waiting: &BTreeSet<Place>) -> Vec<T> {
    let mut served: BTreeMap<Place, usize> = BTreeMap::new();
    let mut taken = Vec::new();
    let mut left = Vec::new();
    for item in std::mem::take(queue) {
        let count = served.get(place(&item)).copied().unwrap_or(0);
        if taken.len() < CALL && count < PAGES && !waiting.contains(place(&item)) {
            served.insert(place(&item).clone(), count + 1);
            taken.push(item);
        } else {
            left.push(item);
        }
    }
    let (later, next): (Vec<T>, Vec<T>) = left.into_iter().partition(|item| served.contains_key(place(item)));
    queue.extend(next.into_iter().chain(later));
    taken
}
