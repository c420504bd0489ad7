//! Executions and traces.

use serde_json::{Value, json};

use super::{Document, SHA, flatten_with, message};
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
