//! Executions and traces.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::{Document, SHA, files, flatten_with, message};
use crate::{Input, Options, Payloads};

#[test]
fn payloads_of_executions() {
    let arn = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
    let long = "é".repeat(200_000);
    let execution = json!({"executionArn": arn, "startDate": 1, "status": "RUNNING", "input": long,
        "output": "{}", "outputDetails": {"included": false}, "redriveCount": 0});
    let payload = json!({"schema": "rayline.raw/1", "executions": [execution], "trace": null}).to_string();
    let input = Input { payload: payload.as_bytes(), sha256: SHA, ..Input::default() };
    for (payloads, kept, truncated) in [
        (Payloads::Full, Some(400_000), Value::Null),
        (Payloads::Truncated, Some(262_144), json!(true)),
        (Payloads::None, None, Value::Null),
    ] {
        let out = flatten_with(&input, Options { payloads });
        let document = &out.documents[0];
        assert_eq!((document.id.as_str(), document.time), (arn, 1_000_000));
        assert_eq!(document.version, (1 << 45) | 1000);
        assert_eq!(document.body.get("execution.input").map(|input| input.as_str().unwrap().len()), kept);
        assert_eq!(document.body.get("execution.input_truncated").unwrap_or(&Value::Null), &truncated);
        assert_eq!(document.body["execution.input_bytes"], 400_000);
        assert_eq!(document.body["execution.output_included"], false);
        assert_eq!(document.body["execution.redrive_count"], 0);
    }
}

/// A state machine that calls another one, which calls a function.
fn nested_executions() -> Value {
    let machine = |name: &str| format!("arn:aws:states:eu-west-1:210987654321:execution:{name}:run");
    json!({"Id": "t", "Duration": 5, "Segments": [
        {"id": "f", "name": "function", "start_time": 3, "end_time": 4, "parent_id": "c1", "fault": true},
        {"id": "p", "name": "Parent", "start_time": 1, "end_time": 6, "origin": "AWS::StepFunctions::StateMachine",
            "aws": {"resource_arn": machine("Parent")}, "subsegments": [
                {"id": "p1", "name": "State", "start_time": 1, "end_time": 6, "subsegments": [
                    {"id": "p2", "name": "StepFunctions", "namespace": "aws", "start_time": 2, "end_time": 5,
                        "aws": {"operation": "StartExecution"}}]},
                {"id": "p3", "name": "Branch 1", "start_time": 1, "end_time": 6}]},
        {"id": "c", "name": "Child", "start_time": 2, "end_time": 5, "parent_id": "p2",
            "origin": "AWS::STEPFUNCTIONS::STATEMACHINE", "aws": {"resource_arn": machine("Child")}, "subsegments": [
                {"id": "c1", "name": "Lambda", "namespace": "aws", "start_time": 2, "end_time": 5, "error": true,
                    "aws": {"function_name": "arn:aws:lambda:eu-west-1:210987654321:function:function"}}]},
    ]})
}

#[test]
fn each_execution_has_its_part_of_the_trace() {
    let out = message(nested_executions());
    let executions: Vec<_> = out.documents.iter().filter(|document| document.kind == "execution").collect();
    let counts = |document: &Document| {
        ["segments.count", "subsegments.count", "states.count", "service_calls", "faults", "errors"]
            .map(|key| document.body[key].as_i64().unwrap())
    };
    assert_eq!(executions.len(), 2);
    assert_eq!(counts(executions[0]), [1, 3, 1, 1, 0, 0]);
    assert_eq!(counts(executions[1]), [2, 1, 0, 1, 1, 1]);
    assert_eq!(executions[1].body["execution.parent_arn"], executions[0].body["execution.arn"]);
    assert_eq!(executions[1].body["service_resources"], json!(["Lambda:function"]));
    assert_eq!(executions[0].body.get("execution.parent_arn"), None);
    let trace = out.documents.last().unwrap();
    assert_eq!(trace.body["trace.root.name"], "Parent");
    assert_eq!(trace.body["execution.arn"].as_array().unwrap().len(), 2);
}

#[test]
fn parents_in_a_circle_belong_to_nobody() {
    let node =
        |id: &str, parent: &str| json!({"id": id, "name": id, "start_time": 1, "end_time": 2, "parent_id": parent});
    let out = message(json!({"Id": "t", "Segments": [node("a", "b"), node("b", "a"), node("c", "c")]}));
    assert_eq!(
        out.documents.iter().map(|document| document.kind).collect::<Vec<_>>(),
        ["segment"; 3].into_iter().chain(["trace"]).collect::<Vec<_>>()
    );
    assert_eq!(out.documents[3].body["trace.root.found"], false);
}

#[test]
fn executions_and_traces_do_not_multiply() {
    let executions: Vec<Value> = (0..2_000).map(|n| json!({"executionArn": n.to_string(), "startDate": 1})).collect();
    let traces: Vec<Value> = (0..4_000).map(|n| json!({"Id": n.to_string(), "Segments": []})).collect();
    let payload = json!({"account": "1", "executions": executions, "trace": {"Traces": traces}});
    let out = message(payload);
    assert_eq!(out.documents.len(), 2_000);
    assert!(out.bytes.len() < 6_000_000, "{} bytes", out.bytes.len());
}

/// Documents as an index holds them that takes versions with `external_gte`.
type Index = BTreeMap<String, (u64, Value)>;

fn index(into: &mut Index, payload: &Value) {
    for document in message(payload.clone()).documents {
        let known = into.get(&document.id).map_or(0, |(version, _)| *version);
        if document.version >= known {
            into.insert(document.id, (document.version, document.body));
        }
    }
}

#[test]
fn every_prefix_of_a_trace_and_then_the_whole_is_the_whole() {
    let traces = files("traces").into_iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap());
    for trace in traces.chain([nested_executions()]) {
        let trace: Value = trace;
        let trace = trace.get("Traces").map_or(&trace, |traces| &traces[0]);
        let segments = trace["Segments"].as_array().unwrap();
        let fetched = |count: usize, verdict: &str| {
            let mut trace = trace.clone();
            trace["Segments"] = json!(segments[..count]);
            let collected_at = 1_800_000_000 + count;
            json!({"schema": "rayline.raw/1", "collected_at": collected_at, "verdict": verdict, "trace": trace})
        };
        let (mut whole, mut grown) = (Index::new(), Index::new());
        index(&mut whole, &fetched(segments.len(), "settled"));
        for count in (0..segments.len()).step_by(1 + segments.len() / 16) {
            index(&mut grown, &fetched(count, "partial"));
        }
        index(&mut grown, &fetched(segments.len(), "settled"));
        assert_eq!(grown, whole, "{}", trace["Id"]);
        for count in (0..segments.len()).step_by(1 + segments.len() / 16) {
            index(&mut grown, &fetched(count, "partial"));
        }
        assert_eq!(grown, whole, "{} with the early fetches late", trace["Id"]);
    }
}

#[test]
fn versions_stay_within_63_bits() {
    let arn = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
    let versions = [131_071, 131_072, i32::MAX].map(|count| {
        let execution = json!({"executionArn": arn, "startDate": 1, "status": "FAILED", "redriveCount": count});
        message(json!({"schema": "rayline.raw/1", "executions": [execution], "trace": null})).documents[0].version
    });
    assert_eq!(versions, [131_071 << 46 | 0b11 << 44 | 1000; 3]);
}

#[test]
fn durations_that_are_no_long() {
    for (duration, expected, warnings) in [
        (json!(8.999e9), json!(8_999_000_000_000_000_000i64), Value::Null),
        (json!(9e9), json!(1_000_000_000), json!(["dropped:Duration"])),
        (json!(-1), json!(0), json!(["negative_duration"])),
    ] {
        let segment = json!({"id": "a", "start_time": 1, "end_time": 2});
        let out = message(json!({"Id": "t", "Duration": duration, "Segments": [segment]}));
        let trace = &out.documents.last().unwrap().body;
        assert_eq!(trace["event.duration"], expected);
        assert_eq!(trace.get("xray.parse.warnings").unwrap_or(&Value::Null), &warnings);
    }
}

#[test]
fn versions_of_an_execution_rank_before_time() {
    let arn = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
    let message = |at: u64, execution: Value| {
        json!({"schema": "rayline.raw/1", "collected_at": at, "discovered_at": at, "verdict": "unsampled",
            "executions": [execution], "trace": null})
    };
    let described = |at: u64, status: &str, redrives: u64| {
        message(at, json!({"executionArn": arn, "startDate": 1, "status": status, "redriveCount": redrives}))
    };
    let failed = described(20, "FAILED", 0);
    for (loser, winner) in [
        (described(30, "RUNNING", 0), failed.clone()),
        (failed.clone(), described(10, "RUNNING", 1)),
        (message(1_000_000, json!({"executionArn": arn})), failed.clone()),
        (described(10, "FAILED", 0), failed),
    ] {
        let mut indexes = [Index::new(), Index::new()];
        for payload in [&loser, &winner] {
            index(&mut indexes[0], payload);
        }
        for payload in [&winner, &loser] {
            index(&mut indexes[1], payload);
        }
        let mut alone = Index::new();
        index(&mut alone, &winner);
        assert_eq!(indexes, [alone.clone(), alone], "{loser}");
    }
}
