//! Executions of several accounts as they happen: of every status, nested, EXPRESS, redriven, late, unsampled, clipped. And what
//! the index must say of each in the end.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::fake::{Arrival, Execution, Fake, Machine, Place, Trace};
use super::segments::{Call, Writer, millis};

/// What happens, and what must become of it.
#[derive(Default)]
pub struct Organisation {
    machines: Vec<(Place, Machine)>,
    executions: Vec<(Place, Execution)>,
    traces: Vec<(Place, Trace)>,
    /// In order of time.
    pub events: Vec<Event>,
    /// By the ARN of the execution.
    pub expected: BTreeMap<String, Expected>,
}

/// A status event of EventBridge, and when it comes.
#[derive(Clone)]
pub struct Event {
    pub after: Duration,
    pub place: Place,
    pub body: Value,
    /// It never arrives, since such events are best effort.
    pub is_lost: bool,
}

/// What the document of an execution must say.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub place: Place,
    pub kind: &'static str,
    pub status: &'static str,
    /// Seconds since 1970.
    pub start: f64,
    pub stop: Option<f64>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub redrives: u64,
    /// None without a trace.
    pub services: Option<Vec<&'static str>>,
    pub verdict: &'static str,
}

/// What an execution goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    Succeeds,
    Fails,
    TimesOut,
    Aborted,
    /// For longer than any test.
    Runs,
    /// It ends later, and a part of its trace comes after that.
    EndsLate,
    /// It has ended, but its trace comes later and in pieces.
    TraceLate,
    /// Its trace header says that there is no trace, or there is no header.
    Unsampled,
    Headerless,
    /// Its own segment is too large.
    Clipped,
    /// Its trace is too large.
    LimitExceeded,
    /// It fails, is redriven, and succeeds.
    Redriven,
    /// It starts so many others in the same trace.
    Parent(usize),
    Express,
    /// It starts one of an EXPRESS state machine in the same trace.
    StartsExpress,
    /// Its trace header says that there is a trace, and X-Ray has none.
    Lost,
}

/// Twenty executions: a tenth late, a twentieth clipped.
const STORIES: [Story; 20] = [
    Story::Succeeds,
    Story::Fails,
    Story::Succeeds,
    Story::EndsLate,
    Story::Unsampled,
    Story::Succeeds,
    Story::Parent(2),
    Story::TimesOut,
    Story::Express,
    Story::Succeeds,
    Story::Clipped,
    Story::Redriven,
    Story::Aborted,
    Story::TraceLate,
    Story::Succeeds,
    Story::StartsExpress,
    Story::Runs,
    Story::Headerless,
    Story::Succeeds,
    Story::Lost,
];

impl Organisation {
    /// At least so many executions, in turn in each place.
    pub fn new(places: &[Place], count: usize) -> Organisation {
        let mut organisation = Organisation::default();
        for n in 0.. {
            if organisation.expected.len() >= count {
                break;
            }
            let story = match STORIES[n / places.len() % STORIES.len()] {
                Story::Clipped if n / places.len() / STORIES.len() % 2 == 1 => Story::LimitExceeded,
                story => story,
            };
            organisation.tell(n, &places[n % places.len()], story);
        }
        organisation.events.sort_by_key(|event| event.after);
        organisation
    }

    /// Only these stories, in one place.
    pub fn of(place: &Place, stories: &[Story]) -> Organisation {
        let mut organisation = Organisation::default();
        for (n, story) in stories.iter().enumerate() {
            organisation.tell(n, place, *story);
        }
        organisation.events.sort_by_key(|event| event.after);
        organisation
    }

    /// From now on it happens.
    pub fn put(&self, fake: &Fake) {
        for (place, machine) in &self.machines {
            fake.put_machine(place, machine.clone());
        }
        for (place, trace) in &self.traces {
            fake.put_trace(place, trace.clone());
        }
        for (place, execution) in &self.executions {
            fake.put_execution(place, execution.clone());
        }
    }

    /// Every trace, by place and id.
    pub fn trace_ids(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.traces.iter().map(|(place, trace)| (place, trace.id.as_str()))
    }

    fn tell(&mut self, n: usize, place: &Place, story: Story) {
        // What is late is of this minute: of what is long over, a collector expects no more.
        let ago = match story {
            Story::EndsLate | Story::TraceLate | Story::Redriven => 3.0,
            // Nobody waits for a trace longer than a day.
            Story::Lost => 94_000.0 + n as f64,
            _ => 3_000.0 - (n % 600) as f64,
        };
        let start = millis(now() - ago);
        let trace = format!("1-{:08x}-{}{n:012x}", start as u32, place.account);
        let mut teller = Teller {
            place: place.clone(),
            number: n,
            name: format!("run-{n}"),
            start,
            arrivals: Vec::new(),
            writer: Writer::new(&trace, n as u64 + 1),
            organisation: self,
        };
        teller.tell(story);
        let Teller { arrivals, .. } = teller;
        if !arrivals.is_empty() {
            self.traces.push((place.clone(), Trace { id: trace, arrivals }));
        }
    }
}

/// One story and its trace.
struct Teller<'o> {
    organisation: &'o mut Organisation,
    place: Place,
    number: usize,
    name: String,
    start: f64,
    writer: Writer,
    arrivals: Vec<Arrival>,
}

impl Teller<'_> {
    fn tell(&mut self, story: Story) {
        let (start, end) = (self.start, self.start + 2.0);
        let ends = |status, output: Option<&str>| End {
            status,
            stop: Some(end),
            output: output.map(str::to_owned),
            redrives: 0,
        };
        let good = || ends("SUCCEEDED", Some(r#"{"paid":true}"#));
        let all = Some(vec!["DynamoDB", "Lambda"]);
        let running = End { status: "RUNNING", stop: None, output: None, redrives: 0 };
        match story {
            Story::Succeeds => {
                self.one("Order", "Sampled=1", vec![(0, good())], all, "settled");
                self.trace("Order", end, false, [0, 0]);
            }
            Story::Fails => {
                self.one("Order", "Sampled=1", vec![(0, ends("FAILED", None))], all, "settled");
                self.trace("Order", end, true, [0, 0]);
            }
            Story::TimesOut => {
                self.one("Export", "Sampled=1", vec![(0, ends("TIMED_OUT", None))], all, "settled");
                self.trace("Export", end, false, [0, 0]);
            }
            Story::Aborted => {
                self.one("Export", "Sampled=1", vec![(0, ends("ABORTED", None))], all, "settled");
                self.trace("Export", end, false, [0, 0]);
            }
            Story::Runs => {
                self.one("Export", "Sampled=1", vec![(0, running)], Some(vec!["Lambda"]), "partial");
                let (arns, id, call) = (self.arns("Export"), self.writer.id(), self.writer.id());
                let segment = self.segment(&id, None, &arns, (start, None), &call, false);
                self.arrives(0, segment);
            }
            Story::EndsLate => {
                let stop = millis(now() + 2.0);
                let end = End { stop: Some(stop), ..good() };
                self.one("Order", "Sampled=1", vec![(0, running), (2_000, end)], all, "settled");
                self.trace("Order", stop, false, [2_500, 3_500]);
            }
            Story::TraceLate => {
                self.one("Order", "Sampled=1", vec![(0, good())], all, "settled");
                self.trace("Order", end, false, [1_500, 4_000]);
            }
            Story::Unsampled => self.one("Order", "Sampled=0", vec![(0, good())], None, "unsampled"),
            Story::Headerless => self.one("Order", "", vec![(0, good())], None, "unsampled"),
            Story::Lost => self.one("Order", "Sampled=1", vec![(0, good())], None, "not_found"),
            Story::Clipped | Story::LimitExceeded => self.large(story == Story::LimitExceeded, good()),
            Story::Redriven => {
                let stop = millis(now() + 3.0);
                let again = End { status: "RUNNING", stop: None, output: None, redrives: 1 };
                let end = End { stop: Some(stop), redrives: 1, ..good() };
                let states = vec![(0, ends("FAILED", None)), (1_500, again), (3_000, end)];
                self.one("Settle", "Sampled=1", states, all, "settled");
                self.trace("Settle", stop, false, [3_200, 0]);
            }
            Story::Parent(children) => self.parent(children, good()),
            Story::Express => self.express(None),
            Story::StartsExpress => {
                self.one("Import", "Sampled=1", vec![(0, good())], Some(vec!["StepFunctions"]), "settled");
                let (arns, id, call) = (self.arns("Import"), self.writer.id(), self.writer.id());
                let segment = self.starter(&id, &arns, std::slice::from_ref(&call));
                self.arrives(0, segment);
                self.express(Some(&call));
            }
        }
    }

    /// A described execution of this state machine, what it says of itself and since how many milliseconds, and its events.
    fn one(
        &mut self,
        machine: &str,
        sampled: &str,
        states: Vec<(u64, End)>,
        services: Option<Vec<&'static str>>,
        verdict: &'static str,
    ) {
        let (arn, machine_arn) = self.arns(machine);
        let input = format!("{{\"order\":\"{}\"}}", self.name);
        let described: Vec<(Duration, Value)> = states
            .iter()
            .map(|(after_ms, end)| {
                let mut state = json!({
                    "executionArn": arn,
                    "stateMachineArn": machine_arn,
                    "name": self.name,
                    "status": end.status,
                    "startDate": self.start,
                    "input": input,
                    "inputDetails": { "included": true },
                    "redriveCount": end.redrives,
                });
                if !sampled.is_empty() {
                    state["traceHeader"] = json!(format!("Root={};{sampled}", self.writer.trace));
                }
                if end.redrives > 0 {
                    state["redriveDate"] = json!(millis(now() + 1.5));
                }
                if let Some(stop) = end.stop {
                    state["stopDate"] = json!(stop);
                    state["redriveStatus"] =
                        json!(if end.status == "SUCCEEDED" { "NOT_REDRIVABLE" } else { "REDRIVABLE" });
                }
                match (&end.output, end.status) {
                    (Some(output), _) => {
                        state["output"] = json!(output);
                        state["outputDetails"] = json!({ "included": true });
                    }
                    (None, "FAILED") => {
                        state["error"] = json!("States.TaskFailed");
                        state["cause"] = json!("no stock");
                    }
                    (None, _) => {}
                }
                (Duration::from_millis(*after_ms), state)
            })
            .collect();
        let events = described.iter().map(|(after, state)| Event {
            after: *after,
            place: self.place.clone(),
            body: event(&self.place, state),
            is_lost: self.number % 7 == 3,
        });
        self.organisation.events.extend(events);
        let last = &states.last().expect("a state").1;
        let expected = Expected {
            place: self.place.clone(),
            kind: "STANDARD",
            status: last.status,
            start: self.start,
            stop: last.stop,
            input: Some(input),
            output: last.output.clone(),
            redrives: last.redrives,
            services,
            verdict,
        };
        self.organisation.expected.insert(arn, expected);
        self.organisation.executions.push((self.place.clone(), Execution { states: described }));
    }

    /// An execution that calls a function: its own segment ends after so many milliseconds, and the function's segment comes
    /// after so many.
    fn trace(&mut self, machine: &str, end: f64, is_fault: bool, [own_ms, function_ms]: [u64; 2]) {
        let (arns, id, call) = (self.arns(machine), self.writer.id(), self.writer.id());
        if own_ms > 0 {
            let early = self.segment(&id, None, &arns, (self.start, None), &call, false);
            // A trace that is late as a whole has only later a part that is not complete.
            let after = if end < now() { own_ms / 2 } else { 0 };
            self.arrives(after, early);
        }
        let whole = self.segment(&id, None, &arns, (self.start, Some(end)), &call, is_fault);
        self.arrives(own_ms, whole);
        let function = self.writer.function(&call, "reserve-stock", (self.start, self.start + 2.0));
        self.arrives(function_ms, function);
    }

    /// Its own segment, with one state that calls a function.
    fn segment(
        &mut self,
        id: &str,
        parent: Option<&str>,
        arns: &(String, String),
        times: (f64, Option<f64>),
        call: &str,
        is_fault: bool,
    ) -> Value {
        let mut segment = self.writer.execution(id, parent, (&arns.0, &arns.1), times);
        let end = times.1.map(|_| self.start + 2.0);
        let state = Call {
            state: "ReserveStock".to_owned(),
            service: "Lambda",
            operation: "Invoke",
            resource: "reserve-stock".to_owned(),
            start: self.start,
            end,
            is_fault,
        };
        segment["subsegments"] = json!([self.writer.state(call, &state)]);
        segment
    }

    /// Its own segment, with a state for each execution that it starts.
    fn starter(&mut self, id: &str, arns: &(String, String), calls: &[String]) -> Value {
        let end = self.start + 2.0;
        let mut segment = self.writer.execution(id, None, (&arns.0, &arns.1), (self.start, Some(end)));
        let states = calls.iter().enumerate().map(|(n, call)| {
            let state = Call {
                state: format!("Start {n}"),
                service: "StepFunctions",
                operation: "StartExecution",
                resource: "child".to_owned(),
                start: self.start,
                end: Some(end),
                is_fault: false,
            };
            self.writer.state(call, &state)
        });
        segment["subsegments"] = states.collect();
        segment
    }

    /// So many more in the same trace.
    fn parent(&mut self, children: usize, end: End) {
        self.one("Parent", "Sampled=1", vec![(0, end.clone())], Some(vec!["StepFunctions"]), "settled");
        let (arns, id) = (self.arns("Parent"), self.writer.id());
        let calls: Vec<String> = (0..children).map(|_| self.writer.id()).collect();
        let segment = self.starter(&id, &arns, &calls);
        self.arrives(0, segment);
        let name = self.name.clone();
        for (n, call) in calls.iter().enumerate() {
            self.name = format!("{name}-{n}");
            self.one("Child", "Sampled=1", vec![(0, end.clone())], Some(vec!["DynamoDB", "Lambda"]), "settled");
            let (arns, id, below) = (self.arns("Child"), self.writer.id(), self.writer.id());
            let times = (self.start, end.stop);
            let segment = self.segment(&id, Some(call), &arns, times, &below, false);
            self.arrives(0, segment);
            let function = self.writer.function(&below, "reserve-stock", (self.start, self.start + 2.0));
            self.arrives(0, function);
        }
        self.name = name;
    }

    /// One of which only X-Ray knows.
    fn express(&mut self, parent: Option<&str>) {
        let name = "Quote";
        let arn = format!(
            "{}:0c0ffee0-0000-4000-8000-000000000000",
            self.place.states_arn("express", &format!("{name}:{}", self.name))
        );
        let arns = (arn, self.place.states_arn("stateMachine", name));
        let machine = Machine { name: name.to_owned(), kind: "EXPRESS", traced: true, created: self.start - 86_400.0 };
        self.organisation.machines.push((self.place.clone(), machine));
        let (id, call) = (self.writer.id(), self.writer.id());
        let end = self.start + 1.9;
        let segment = self.segment(&id, parent, &arns, (self.start, Some(end)), &call, false);
        self.arrives(0, segment);
        let function = self.writer.function(&call, "reserve-stock", (self.start, end));
        self.arrives(0, function);
        let expected = Expected {
            place: self.place.clone(),
            kind: "EXPRESS",
            status: "SUCCEEDED",
            start: self.start,
            stop: Some(end),
            input: None,
            output: None,
            redrives: 0,
            services: Some(vec!["DynamoDB", "Lambda"]),
            verdict: "settled",
        };
        self.organisation.expected.insert(arns.0, expected);
    }

    /// A segment, or a trace, that X-Ray has no room for.
    fn large(&mut self, is_trace: bool, end: End) {
        let verdict = if is_trace { "limit_exceeded" } else { "settled" };
        self.one("Copy", "Sampled=1", vec![(0, end)], Some(vec!["Lambda"]), verdict);
        let (arns, id, call) = (self.arns("Copy"), self.writer.id(), self.writer.id());
        let times = (self.start, self.start + 2.0);
        let mut segment = self.segment(&id, None, &arns, (times.0, Some(times.1)), &call, false);
        let map = self.writer.map(50, times);
        segment["subsegments"].as_array_mut().expect("states").push(map);
        self.arrives(0, segment);
        if is_trace {
            for _ in 0..9 {
                let mut function = self.writer.function(&call, "copy", times);
                let map = self.writer.map(50, times);
                function["subsegments"] = json!([map]);
                self.arrives(0, function);
            }
        }
    }

    fn arrives(&mut self, after_ms: u64, document: Value) {
        self.arrivals.push(Arrival { after: Duration::from_millis(after_ms), document });
    }

    /// The ARNs of the execution and of its state machine.
    fn arns(&self, machine: &str) -> (String, String) {
        let execution = self.place.states_arn("execution", &format!("{machine}:{}", self.name));
        (execution, self.place.states_arn("stateMachine", machine))
    }
}

/// How an execution stands.
#[derive(Clone)]
struct End {
    status: &'static str,
    stop: Option<f64>,
    output: Option<String>,
    redrives: u64,
}

/// The status event of what an execution says of itself.
fn event(place: &Place, state: &Value) -> Value {
    let milliseconds = |name: &str| state[name].as_f64().map(|seconds| (seconds * 1000.0).round() as u64);
    let mut detail: Map<String, Value> = Map::new();
    for name in [
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "input",
        "inputDetails",
        "output",
        "outputDetails",
        "error",
        "cause",
        "redriveCount",
    ] {
        detail.insert(name.to_owned(), state.get(name).cloned().unwrap_or_default());
    }
    for name in ["startDate", "stopDate", "redriveDate"] {
        detail.insert(name.to_owned(), json!(milliseconds(name)));
    }
    json!({
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": place.account,
        "time": jiff::Timestamp::from_second(now() as i64).expect("a time").to_string(),
        "region": place.region,
        "resources": [state["executionArn"]],
        "detail": detail,
    })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// What is expected of executions is what the specification makes of them, once all is there.
#[test]
fn expectations_agree_with_the_specification() {
    let places = [Place::new("111122223333", "eu-west-1"), Place::new("444455556666", "us-east-1")];
    let organisation = Organisation::new(&places, 120);
    let fake = Fake::start(super::fake::Manners::good(), None);
    organisation.put(&fake);
    let trace_of = |state: &Value| {
        let header = state["traceHeader"].as_str()?;
        let id = header.strip_prefix("Root=")?.split(';').next()?.to_owned();
        header.contains("Sampled=1").then_some(id)
    };
    let mut messages: BTreeMap<(&Place, String), Vec<&Value>> = BTreeMap::new();
    for (place, execution) in &organisation.executions {
        let state = &execution.states.last().expect("a state").1;
        let key = trace_of(state).unwrap_or_else(|| state["executionArn"].to_string());
        messages.entry((place, key)).or_default().push(state);
    }
    for (place, id) in organisation.trace_ids() {
        messages.entry((place, id.to_owned())).or_default();
    }
    let mut documents = crate::harness::Documents::new();
    for ((place, id), executions) in messages {
        let trace = fake.whole_trace(place, &id);
        let of = executions.first().and_then(|it| organisation.expected.get(it["executionArn"].as_str()?));
        let message = json!({
            "schema": "rayline.raw/1",
            "account_id": place.account,
            "region": place.region,
            "collected_at": jiff::Timestamp::now().to_string(),
            "verdict": of.map_or("settled", |expected| expected.verdict),
            "executions": executions,
            "trace": trace,
        });
        let (made, rejected) = crate::reference::reference(&crate::reference::Input {
            payload: message.to_string().as_bytes(),
            account: None,
            region: None,
            sender_account: Some(&place.account),
            sent_at_ms: None,
            payloads: crate::reference::Payloads::Truncated,
        });
        assert!(rejected.is_empty(), "{message}");
        for document in made {
            let twice = documents.insert(document.id.clone(), (document.version, Value::Object(document.body)));
            assert!(twice.is_none(), "{} is there twice", document.id);
        }
    }
    assert_eq!(super::collector::wrong(&organisation, &documents), [] as [String; 0]);
    assert!(organisation.expected.len() >= 120 && documents.len() > 600, "{} documents", documents.len());
}
