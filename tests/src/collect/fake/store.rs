//! What was put into the endpoint, and what of that can be seen by now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// The largest segment document, in bytes. [doc]
const SEGMENT: usize = 65_536;

/// The largest trace, in bytes of its segment documents. [doc]
const TRACE: usize = 500_000;

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub account: String,
    pub region: String,
}

impl Place {
    pub fn new(account: &str, region: &str) -> Place {
        Place { account: account.to_owned(), region: region.to_owned() }
    }

    /// `arn:aws:states:eu-west-1:111122223333:KIND:NAME`
    pub fn states_arn(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:states:{}:{}:{kind}:{name}", self.region, self.account)
    }
}

/// A state machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    /// `STANDARD` or `EXPRESS`
    pub kind: &'static str,
    /// Whether X-Ray is on.
    pub traced: bool,
    /// Seconds since 1970.
    pub created: f64,
}

/// What `DescribeExecution` says of an execution, and since when.
#[derive(Clone, Debug)]
pub struct Execution {
    pub states: Vec<(Duration, Value)>,
}

/// A trace: what arrives, and when.
#[derive(Clone, Debug)]
pub struct Trace {
    pub id: String,
    pub arrivals: Vec<Arrival>,
}

/// A segment document. A later one of the same id replaces it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub after: Duration,
    pub document: Value,
}

/// All accounts.
#[derive(Default)]
pub struct Store {
    places: BTreeMap<Place, Contents>,
    /// Accounts with Transaction Search, and the share of traces that is in X-Ray too.
    pub search: BTreeMap<String, f64>,
}

#[derive(Default)]
struct Contents {
    machines: BTreeMap<String, Machine>,
    executions: BTreeMap<String, Execution>,
    /// By id: segment documents with the time of their arrival, in its order.
    traces: BTreeMap<String, Vec<(Duration, Value)>>,
}

impl Store {
    pub fn put_machine(&mut self, place: &Place, machine: Machine) {
        let arn = place.states_arn("stateMachine", &machine.name);
        self.contents(place).machines.insert(arn, machine);
    }

    /// Its state machine appears with it.
    pub fn put_execution(&mut self, place: &Place, execution: Execution, now: Duration) {
        let first = &execution.states.first().expect("a state").1;
        let text = |name: &str| first[name].as_str().unwrap_or_else(|| panic!("no {name} in {first}")).to_owned();
        let (arn, machine) = (text("executionArn"), text("stateMachineArn"));
        let name = machine.rsplit(':').next().expect("a name").to_owned();
        let created = first["startDate"].as_f64().expect("a date") - 86_400.0;
        let contents = self.contents(place);
        let machine = contents.machines.entry(machine);
        machine.or_insert(Machine { name, kind: "STANDARD", traced: true, created });
        let states = execution.states.into_iter().map(|(after, state)| (now + after, state)).collect();
        contents.executions.insert(arn, Execution { states });
    }

    pub fn put_trace(&mut self, place: &Place, trace: Trace, now: Duration) {
        let arrivals = trace.arrivals.into_iter().map(|arrival| (now + arrival.after, clipped(arrival.document)));
        let segments = self.contents(place).traces.entry(trace.id).or_default();
        segments.extend(arrivals);
        segments.sort_by_key(|(at, _)| *at);
    }

    /// Every state machine, by its ARN.
    pub fn machines(&self, place: &Place) -> Vec<(&String, &Machine)> {
        self.places.get(place).map(|contents| contents.machines.iter().collect()).unwrap_or_default()
    }

    /// What an execution says of itself at that time.
    pub fn execution(&self, place: &Place, arn: &str, now: Duration) -> Option<&Value> {
        state(self.places.get(place)?.executions.get(arn)?, now)
    }

    /// Every execution of a state machine, the latest first: by when it ended, or else when it last started.
    pub fn executions(&self, place: &Place, machine: &str, now: Duration) -> Vec<&Value> {
        let Some(contents) = self.places.get(place) else { return Vec::new() };
        let seen = contents.executions.values().filter_map(|execution| state(execution, now));
        let mut seen: Vec<&Value> = seen.filter(|state| state["stateMachineArn"] == machine).collect();
        seen.sort_by(|a, b| {
            let dates = ["stopDate", "redriveDate", "startDate"];
            let key = |state: &Value| dates.iter().find_map(|date| state[*date].as_f64()).expect("a date");
            key(b).total_cmp(&key(a)).then_with(|| b["executionArn"].as_str().cmp(&a["executionArn"].as_str()))
        });
        seen
    }

    /// A trace as far as it has arrived, as `BatchGetTraces` answers.
    pub fn trace(&self, place: &Place, id: &str, now: Duration) -> Option<Value> {
        let segments = self.places.get(place)?.traces.get(id)?;
        let (documents, is_cut) = seen(segments, now);
        if documents.is_empty() {
            return None;
        }
        let (start, end) = span(&documents);
        let segments: Vec<Value> =
            documents.values().map(|it| json!({ "Id": it["id"], "Document": it.to_string() })).collect();
        let duration = ((end - start) * 1000.0).round() / 1000.0;
        Some(json!({ "Id": id, "Duration": duration, "LimitExceeded": is_cut, "Segments": segments }))
    }

    /// The segment documents of every trace that has arrived at all, with how many documents that took and when the latest came.
    pub fn traces(&self, place: &Place, now: Duration) -> Vec<(&String, BTreeMap<String, &Value>, usize, Duration)> {
        let Some(contents) = self.places.get(place) else { return Vec::new() };
        let traces = contents.traces.iter().map(|(id, segments)| {
            let arrived = segments.iter().filter(|(at, _)| *at <= now);
            let latest = arrived.clone().map(|(at, _)| *at).max().unwrap_or_default();
            (id, seen(segments, now).0, arrived.count(), latest)
        });
        traces.filter(|(_, documents, _, _)| !documents.is_empty()).collect()
    }

    fn contents(&mut self, place: &Place) -> &mut Contents {
        self.places.entry(place.clone()).or_default()
    }
}

/// The earliest start and the latest end of segments, in seconds.
pub fn span(documents: &BTreeMap<String, &Value>) -> (f64, f64) {
    let times = |name: &'static str| documents.values().filter_map(move |document| document[name].as_f64());
    let start = times("start_time").fold(f64::INFINITY, f64::min);
    let start = if start.is_finite() { start } else { 0.0 };
    (start, times("end_time").fold(start, f64::max))
}

fn state(execution: &Execution, now: Duration) -> Option<&Value> {
    execution.states.iter().rev().find(|(at, _)| *at <= now).map(|(_, state)| state)
}

/// The last document of each segment by its id, and whether the trace has had no room for more.
fn seen(segments: &[(Duration, Value)], now: Duration) -> (BTreeMap<String, &Value>, bool) {
    let mut documents: BTreeMap<String, &Value> = BTreeMap::new();
    let (mut bytes, mut is_cut) = (0, false);
    for (_, document) in segments.iter().filter(|(at, _)| *at <= now) {
        let id = document["id"].as_str().unwrap_or_else(|| panic!("no id in {document}"));
        let before = documents.get(id).map_or(0, |before| before.to_string().len());
        let size = document.to_string().len();
        if bytes - before + size > TRACE {
            is_cut = true;
            continue;
        }
        bytes = bytes - before + size;
        documents.insert(id.to_owned(), document);
    }
    (documents, is_cut)
}

/// What X-Ray keeps of a document that is too large: its first subsegments, of which the last is left in progress for
/// ever. [real]
fn clipped(mut document: Value) -> Value {
    let mut size = document.to_string().len();
    if size <= SEGMENT {
        return document;
    }
    // Room for what marks the last one.
    while size > SEGMENT - 100 {
        size -= drop_last_leaf(&mut document).expect("a document without subsegments is small");
    }
    let mut last = &mut document;
    while last["subsegments"].as_array().is_some_and(|below| !below.is_empty()) {
        last = last["subsegments"].as_array_mut().and_then(|below| below.last_mut()).expect("not empty");
    }
    let last = last.as_object_mut().expect("an object");
    last.remove("end_time");
    last.insert("in_progress".to_owned(), json!(true));
    document
}

/// Returns how many bytes that saves, about.
fn drop_last_leaf(node: &mut Value) -> Option<usize> {
    let below = node.get_mut("subsegments")?.as_array_mut()?;
    let saved = match drop_last_leaf(below.last_mut()?) {
        Some(saved) => saved,
        None => below.pop()?.to_string().len(),
    };
    if below.is_empty() {
        node.as_object_mut()?.remove("subsegments");
    }
    Some(saved)
}
