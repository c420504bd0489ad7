//! Which executions and traces have documents, and what these hold (sections 5 and 6 of `docs/documents.md`).

use serde_json::{Map, Value, json};

use super::recipe::{ARN, EXPRESS, T0, TRACE, describe, machine, raw};
use super::{ALL, Flatten, message};
use crate::reference::Payloads;

#[test]
fn an_absence_writes_no_execution() {
    let gateway = json!({"id": "gw", "name": "api/prod", "start_time": T0, "end_time": T0 + 1.0, "origin": "AWS::ApiGateway::Stage"});
    let mut calling = gateway.clone();
    calling["subsegments"] = json!([{"id": "call", "name": "STEPFUNCTIONS", "namespace": "aws", "start_time": T0, "end_time": T0 + 1.0,
        "http": {"request": {"url": "https://states.eu-west-1.amazonaws.com/?Action=StartSyncExecution"}}}]);
    let mut called = gateway.clone();
    called["subsegments"] = json!([{"id": "call", "name": "SFN", "namespace": "aws", "start_time": T0, "aws": {"operation": "StartExecution"}}]);
    let mut other_origin = machine("arn:aws:states:::nothing", Some(1.0));
    other_origin["origin"] = "aws::stepfunctions::statemachine".into();
    for (name, flatten) in ALL {
        let executions = |verdict: &str, executions: Value, segments: Value| {
            let outcome = flatten(&message(&raw(100, verdict, executions, segments)));
            let ids = outcome
                .documents
                .into_iter()
                .filter(|document| document.kind.name() == "execution")
                .map(|document| document.id);
            ids.collect::<Vec<_>>()
        };
        let own = vec![format!("{TRACE}:gw:execution")];
        assert_eq!(executions("settled", json!([]), json!([gateway])), own, "{name}");
        assert_eq!(executions("limit_exceeded", json!([]), json!([gateway])), own, "{name}");
        assert!(executions("partial", json!([]), json!([gateway])).is_empty(), "{name}");
        assert_eq!(executions("settled", json!([describe("RUNNING", 0)]), json!([gateway])), [ARN], "{name}");
        for segments in [json!([calling]), json!([called]), json!([gateway, other_origin])] {
            assert_eq!(executions("settled", json!([]), segments.clone()), [""; 0], "{name}: {segments}");
        }
    }
}

#[test]
fn executions_of_one_id_are_numbered_among_themselves() {
    let segment = |name: &str, start: u64, inferred: bool| json!({"id": "a", "name": name, "start_time": start, "end_time": 9, "inferred": inferred, "trace_id": "T"});
    for (segments, expected) in [
        (json!([segment("m", 1, true), segment("n", 3, false)]), &[("T:a:execution", "n")][..]),
        (
            json!([segment("o", 4, false), segment("m", 1, true), segment("n", 3, false)]),
            &[("T:a:execution", "n"), ("T:a:execution:2", "o")][..],
        ),
    ] {
        for (name, flatten) in ALL {
            let outcome = flatten(&message(segments.to_string().as_bytes()));
            let executions = outcome.documents.iter().filter(|document| document.kind.name() == "execution");
            let found: Vec<_> = executions
                .map(|document| (document.id.as_str(), document.body["execution.name"].as_str().expect("a name")))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn an_execution_names_two_hundred_traces_at_most() {
    let traces: Vec<Value> = (0..300).map(|n| json!({"Id": format!("t{n}"), "LimitExceeded": n == 299})).collect();
    let payload = json!({"account": "1", "trace": {"Traces": traces}, "execution": describe("FAILED", 0)}).to_string();
    for (name, flatten) in ALL {
        let body = &flatten(&message(payload.as_bytes())).documents[0].body;
        assert_eq!(body["trace.id"].as_array().map(Vec::len), Some(200), "{name}");
        assert_eq!(body["xray.limit_exceeded"], true, "{name}");
    }
}

#[test]
fn of_two_descriptions_the_better_stands() {
    let mut event = describe("FAILED", 0);
    event["startDate"] = json!(T0 * 1000.0);
    let cases = [
        (describe("FAILED", 0), describe("RUNNING", 1), "RUNNING", "describe"),
        (describe("RUNNING", 0), event.clone(), "FAILED", "event"),
        (event.clone(), describe("ABORTED", 0), "ABORTED", "describe"),
        (json!({"detail": event}), describe("ABORTED", 0), "ABORTED", "describe"),
    ];
    for (name, flatten) in ALL {
        for (a, b, status, source) in &cases {
            for executions in [json!([a, b]), json!([b, a])] {
                let outcome = flatten(&message(&raw(100, "unsampled", executions, Value::Null)));
                let body = &outcome.documents[0].body;
                assert_eq!(
                    (&body["execution.status"], &body["execution.status_source"]),
                    (&json!(status), &json!(source)),
                    "{name}"
                );
                assert_eq!(outcome.documents.len(), 1, "{name}");
            }
        }
    }
}

#[test]
fn a_described_execution() {
    let described = json!({"executionArn": ARN, "status": "TIMED_OUT", "startDate": "2026-09-18T10:05:55Z", "stopDate": T0 + 1.5,
        "stateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:Orders", "stateMachineVersionArn": "v", "stateMachineAliasArn": "a",
        "input": "{\"ü\":1}", "inputDetails": {"included": true}, "outputDetails": {"included": false}, "error": "States.Timeout", "cause": "slow",
        "redriveCount": 0, "traceHeader": "Root=1-6aad0d03-6474ec86faeb7407e62ea253;Sampled=1"});
    check(
        json!([described]),
        Value::Null,
        ARN,
        &json!({
            "execution.name": "order-1", "execution.type": "STANDARD", "execution.status": "TIMED_OUT", "execution.status_source": "describe",
            "execution.state_machine.name": "Orders", "execution.state_machine.version_arn": "v", "execution.state_machine.alias_arn": "a",
            "execution.start": "2026-09-18T10:05:55.000000Z", "execution.stop": "2026-09-18T10:05:56.500000Z", "execution.date": "2026-09-18",
            "event.duration": 1_500_000_000, "event.outcome": "failure", "execution.input": "{\"ü\":1}", "execution.input_bytes": 8,
            "execution.input_included": null, "execution.output_included": false, "execution.error": "States.Timeout", "execution.cause": "slow",
            "execution.redrive_count": 0, "trace.id": ["1-6aad0d03-6474ec86faeb7407e62ea253"], "service.name": "Orders",
            "cloud.account.id": "111122223333", "cloud.region": "eu-west-1", "segments.count": null, "service_calls": null,
        }),
    );
}

#[test]
fn its_part_of_the_trace() {
    let call = |id: &str, members: Value| {
        let mut call = json!({"id": id, "name": "Lambda", "namespace": "aws", "start_time": T0, "end_time": T0 + 1.0});
        call.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        call
    };
    let state = |name: &str, below: Value| json!({"name": name, "start_time": T0, "end_time": T0 + 1.0, "error": name == "Charge", "subsegments": below});
    let mut own = machine(ARN, Some(9.0));
    own["subsegments"] = json!([
        state(
            "Both",
            json!([state(
                "Branch 0",
                json!([state(
                    "Charge",
                    json!([call(
                        "call",
                        json!({"aws": {"function_name": "arn:aws:lambda:eu-west-1:1:function:charge"}})
                    )])
                )])
            )])
        ),
        state(
            "Each",
            json!([state(
                "Iteration 12",
                json!([state("Iteration", json!([call("start", json!({"aws": {"operation": "StartExecution"}}))]))])
            )])
        ),
    ]);
    let lambda = json!({"id": "lambda", "name": "charge", "parent_id": "call", "start_time": T0, "end_time": T0 + 1.0, "fault": true,
        "subsegments": [call("q", json!({"name": "SQS", "aws": {"queue_url": "https://sqs/1/audit"}})), {"name": "local", "start_time": T0}]});
    let copy = json!({"id": "copy", "name": "SQS", "parent_id": "q", "inferred": true, "fault": true, "start_time": T0, "end_time": T0 + 1.0});
    let elsewhere = json!({"id": "other", "name": "other", "start_time": T0 + 1.0});
    let mut child = machine(EXPRESS, Some(2.0));
    child["id"] = "child".into();
    child["parent_id"] = "start".into();
    // Whatever the order: the callers may come after those whom they called.
    for segments in [json!([own, lambda, copy, child, elsewhere]), json!([copy, child, elsewhere, lambda, own])] {
        check(
            json!([]),
            segments.clone(),
            ARN,
            &json!({
                "execution.status": "SUCCEEDED", "execution.status_source": "xray", "segments.count": 3, "subsegments.count": 10, "faults": 1,
                "errors": 1, "throttles": 0, "service_calls": 3, "services": ["Lambda", "SQS"], "service_resources": ["Lambda:charge", "SQS:audit"],
                "states.count": 4, "states.failed": 1, "execution.parent_arn": null,
            }),
        );
        check(
            json!([]),
            segments.clone(),
            EXPRESS,
            &json!({
                "execution.type": "EXPRESS", "execution.name": "quote-1", "execution.parent_arn": ARN, "segments.count": 1, "states.count": 0,
            }),
        );
        check(
            json!([]),
            segments,
            &format!("111122223333:eu-west-1:{TRACE}"),
            &json!({
                "segments.count": 5, "subsegments.count": 10, "execution.arn": [ARN, EXPRESS], "trace.root.found": true, "trace.root.name": "Orders",
            }),
        );
    }
}

#[test]
fn an_execution_as_its_segment_shows_it() {
    let with = |members: Value| {
        let mut own = machine(ARN, Some(1.0));
        own.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        json!([own])
    };
    for (members, status, outcome) in [
        (json!({}), "SUCCEEDED", "success"),
        (json!({"fault": true}), "FAILED", "failure"),
        (json!({"error": true}), "FAILED", "failure"),
        (json!({"throttle": true}), "SUCCEEDED", "success"),
        (json!({"end_time": null, "fault": true}), "RUNNING", "unknown"),
    ] {
        check(json!([]), with(members), ARN, &json!({"execution.status": status, "event.outcome": outcome}));
    }
    let earlier = json!({"id": "e", "name": "Orders", "start_time": T0 - 9.0, "end_time": T0 - 8.0, "aws": {"resource_arn": ARN}});
    let both = json!([machine(ARN, None), earlier]);
    check(
        json!([]),
        both,
        ARN,
        &json!({"execution.status": "RUNNING", "execution.start": "2026-09-18T10:05:55.000000Z", "segments.count": 1}),
    );
}

#[test]
fn an_execution_without_step_functions() {
    for (origin, kind) in [
        (json!("AWS::Lambda"), "LAMBDA"),
        (json!("AWS::Lambda::Function"), "LAMBDA"),
        (json!("AWS::EC2::Instance"), "EC2"),
        (json!("AWS::ECS::Container"), "ECS"),
        (json!(null), "OTHER"),
    ] {
        let segment = json!({"id": "s", "name": "job", "origin": origin, "start_time": T0, "end_time": T0 + 1.0});
        check(
            json!([]),
            json!([segment]),
            &format!("{TRACE}:s:execution"),
            &json!({
                "execution.type": kind, "execution.name": "job", "service.name": "job", "execution.arn": null, "execution.status": "SUCCEEDED",
                "segments.count": 1, "states.count": null, "states.failed": null,
            }),
        );
    }
}

#[test]
fn payloads_are_cut_between_characters() {
    let input = format!("x{}", "ü".repeat(131_072));
    let executions =
        json!([{"executionArn": ARN, "status": "SUCCEEDED", "startDate": T0, "input": input, "output": "o"}]);
    let payload = raw(100, "unsampled", executions, Value::Null);
    for (name, flatten) in ALL {
        for (payloads, bytes, cut) in
            [(Payloads::Full, 262_145, None), (Payloads::Truncated, 262_143, Some(true)), (Payloads::None, 0, None)]
        {
            let mut message = message(&payload);
            message.payloads = payloads;
            let body = &flatten(&message).documents[0].body;
            let kept = body.get("execution.input").and_then(Value::as_str).unwrap_or_default();
            assert_eq!(
                (kept.len(), body.get("execution.input_truncated").and_then(Value::as_bool)),
                (bytes, cut),
                "{name}: {payloads:?}"
            );
            assert_eq!(
                (&body["execution.input_bytes"], &body["execution.output_bytes"]),
                (&json!(262_145), &json!(1)),
                "{name}"
            );
            assert!(!body.contains_key("execution.output_truncated"), "{name}");
        }
    }
}

/// Checks fields of the document with that id, of a settled message; null where a field is absent.
fn check(executions: Value, segments: Value, id: &str, expected: &Value) {
    let payload = raw(100, "settled", executions, segments);
    for (name, flatten) in ALL {
        let body = body(flatten, &payload, id);
        for (field, value) in expected.as_object().expect("fields") {
            assert_eq!(body.get(field).unwrap_or(&Value::Null), value, "{name}: {field} of {id}");
        }
    }
}

fn body(flatten: Flatten, payload: &[u8], id: &str) -> Map<String, Value> {
    let found = flatten(&message(payload)).documents.into_iter().find(|document| document.id == id);
    found.unwrap_or_else(|| panic!("no document {id}")).body
}
