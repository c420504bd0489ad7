//! The whole stage against a queue and accounts in memory, with a clock that the tests move.

mod chance;
mod many;
mod messages;
mod real;
mod sweeps;
mod traces;

use std::time::Duration;

use rayline_sdk::testing::{self, OpenSource, Read, Seen};
use rayline_sdk::{CapabilityError, Outcome, Settlement};
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";
const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:Order";

/// 2026-01-01T00:00:00Z, when the clock of the tests begins.
const BEGIN: f64 = 1_767_225_600.0;

fn arn(name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:Order:{name}")
}

/// A trace id of a time.
fn trace_id(n: u32) -> String {
    format!("1-{:08x}-{n:024x}", BEGIN as u64)
}

/// What DescribeExecution says. `trace`: the number of its trace, which is sampled.
fn execution(name: &str, status: &str, trace: Option<u32>) -> Value {
    let mut told = json!({ "executionArn": arn(name), "stateMachineArn": MACHINE, "name": name, "status": status,
        "startDate": BEGIN - 10.0, "input": "{\"n\":1}", "redriveCount": 0 });
    if let Some(trace) = trace {
        told["traceHeader"] = format!("Root={};Sampled=1", trace_id(trace)).into();
    }
    if status != "RUNNING" {
        told["stopDate"] = (BEGIN - 1.0).into();
    }
    told
}

/// A segment of Step Functions; without an end while it is in progress.
fn segment(name: &str, id: &str, end: Option<f64>) -> Value {
    let mut segment = json!({ "id": id, "name": "Order", "start_time": BEGIN - 10.0, "cause": {},
        "origin": "AWS::StepFunctions::StateMachine", "aws": { "resource_arn": arn(name) } });
    match end {
        Some(end) => segment["end_time"] = end.into(),
        None => segment["in_progress"] = true.into(),
    }
    segment
}

fn trace(n: u32, segments: &[Value]) -> Value {
    let members: Vec<Value> = segments.iter().map(|it| json!({ "Id": it["id"], "Document": it.to_string() })).collect();
    json!({ "Id": trace_id(n), "Duration": 9.0, "LimitExceeded": false, "Segments": members })
}

fn put_execution(execution: Value) {
    testing::xray::put_execution(XRAY, execution);
}

fn put_trace(trace: Value) {
    testing::xray::put_trace(XRAY, ACCOUNT, REGION, trace);
}

/// The event that EventBridge sends of an execution.
fn event(execution: &Value) -> String {
    let mut detail = execution.clone();
    detail.as_object_mut().unwrap().remove("traceHeader");
    for date in ["startDate", "stopDate"] {
        detail[date] = detail[date].as_f64().map(|seconds| (seconds * 1000.0) as u64).into();
    }
    json!({ "source": "aws.states", "account": ACCOUNT, "region": REGION, "detail": detail }).to_string()
}

fn notify(body: &str) {
    testing::queue::put(EVENTS, r#"{"message_id":"m","sent_at":"2026-01-01T00:00:00Z"}"#, body.as_bytes());
}

/// Answers whatever holds this text with an error, for as long as a test lasts.
fn keep_failing(about: &str, error: &CapabilityError) {
    (0..5000).for_each(|_| testing::xray::fail(XRAY, about, error.clone()));
}

fn throttled() -> CapabilityError {
    CapabilityError::Temporary { reason: "throttled".into(), after: None }
}

/// Not done yet: the host goes on with it.
fn under_way() -> CapabilityError {
    CapabilityError::Temporary { reason: "under way".into(), after: Some(Duration::ZERO) }
}

/// With doubles of its own: they are a thread's.
fn alone(case: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(case).join().unwrap());
}

fn advance(secs: u64) {
    testing::clock::advance(Duration::from_secs(secs));
}

/// A collector, and what it has handed over so far.
struct Collector {
    source: OpenSource<XraySource>,
    checkpoint: Option<String>,
}

impl Collector {
    /// Bound to one account.
    fn new(options: &str) -> Collector {
        testing::xray::place(XRAY, ACCOUNT, REGION);
        testing::queue::grant(EVENTS);
        Collector::open(options, None)
    }

    fn open(options: &str, checkpoint: Option<&str>) -> Collector {
        Collector { source: testing::open_source(options, checkpoint).unwrap(), checkpoint: None }
    }

    /// Reads until there is nothing at once; nothing is settled.
    fn read(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut idle = 0;
        while idle < 2 {
            match self.source.read(1 << 20).unwrap() {
                Read::Events { events, checkpoint, .. } => {
                    seen.extend(events);
                    self.checkpoint = checkpoint.or(self.checkpoint.take());
                }
                Read::Idle(_) => idle += 1,
                Read::Finished => break,
            }
        }
        seen
    }

    fn settle(&mut self, seen: &[Seen], outcome: Outcome) {
        let settlements: Vec<_> = seen.iter().map(|seen| Settlement { ticket: seen.origin, outcome }).collect();
        self.source.settle(&settlements).unwrap();
    }

    /// Reads and settles: the bodies.
    fn collect(&mut self) -> Vec<Value> {
        let seen = self.read();
        self.settle(&seen, Outcome::Done);
        seen.iter().map(|seen| serde_json::from_str(&seen.body).unwrap_or_else(|_| json!(seen.body))).collect()
    }

    /// What was handed over in so many seconds from now on, each with the second.
    fn run(&mut self, secs: u64) -> Vec<(u64, Value)> {
        let mut all = Vec::new();
        for second in 0..=secs {
            all.extend(self.collect().into_iter().map(|body| (second, body)));
            if second < secs {
                advance(1);
            }
        }
        all
    }
}

/// `verdict(executions with status)`, with `+trace` and how many segments it has.
fn short(body: &Value) -> String {
    let status = |execution: &Value| {
        let name = execution["executionArn"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        format!("{name}={}", execution["status"].as_str().unwrap_or("?"))
    };
    let executions: Vec<String> = body["executions"].as_array().unwrap().iter().map(status).collect();
    let trace = body["trace"]["Segments"].as_array().map_or(String::new(), |it| format!("+{}", it.len()));
    format!("{}({}){trace}", body["verdict"].as_str().unwrap(), executions.join(","))
}

fn shorts(run: &[(u64, Value)]) -> Vec<String> {
    run.iter().map(|(second, body)| format!("{second} {}", short(body))).collect()
}

/// Nothing is left on the queue, delayed or held.
fn assert_queue_is_empty() {
    assert_eq!(testing::queue::held(EVENTS), 0);
    assert_eq!(testing::queue::delayed(EVENTS), []);
    assert_eq!(testing::queue::take(EVENTS), []);
}
