//! The rules of `docs/documents.md` one by one: what a node says, and what its document holds.

use serde_json::{Map, Value, json};

use super::{ALL, message};
use crate::reference::Document;

/// A segment with the members, and fields of its document; null where a field is absent.
type Case = (Value, Value);

#[test]
fn form() {
    check(&[
        (json!({"user": 7}), json!({"user.id": "7"})),
        (json!({"user": true}), json!({"user.id": "true"})),
        (json!({"user": ""}), json!({"user.id": null, "xray.parse.warnings": null})),
        (json!({"user": null}), json!({"user.id": null, "xray.parse.warnings": null})),
        (json!({"user": {}}), json!({"user.id": null, "xray.parse.warnings": ["dropped:user"]})),
        (json!({"fault": "true"}), json!({"xray.fault": true, "event.outcome": "failure"})),
        (json!({"fault": "yes"}), json!({"xray.fault": null, "xray.parse.warnings": ["dropped:fault"]})),
        (json!({"fault": false}), json!({"xray.fault": null, "xray.parse.warnings": null})),
        (json!({"http": {"response": {"status": "201"}}}), json!({"http.response.status_code": 201})),
        (json!({"http": {"response": {"status": 201.0}}}), json!({"http.response.status_code": 201})),
        (
            json!({"http": {"response": {"status": "2xx"}}}),
            json!({"http.response.status_code": null, "xray.parse.warnings": ["dropped:http.response.status"]}),
        ),
        (json!({"http": {"response": []}}), json!({"xray.parse.warnings": ["dropped:http.response"]})),
        (
            json!({"precursor_ids": ["p", null, "", 3, []]}),
            json!({"xray.precursor_ids": ["p", "3"], "xray.parse.warnings": ["dropped:precursor_ids"]}),
        ),
        (
            json!({"start_time": "1789725955.25"}),
            json!({"event.start": "2026-09-18T10:05:55.250000Z", "xray.parse.warnings": ["time_string"]}),
        ),
        (json!({"start_time": 1_789_725_955.000_000_6}), json!({"event.start": "2026-09-18T10:05:55.000001Z"})),
        (
            json!({"start_time": 253_402_300_800u64, "end_time": 1_789_725_957}),
            json!({"event.start": null, "@timestamp": "2026-09-18T10:05:57.000000Z", "xray.parse.warnings": ["dropped:start_time"]}),
        ),
        (json!({"metadata": {"": 1, "a": {"": 2, "b": null}}}), json!({"xray.metadata": {"a": {"b": null}}})),
        (json!({"metadata": {}}), json!({"xray.metadata": null, "xray.parse.warnings": null})),
    ]);
}

#[test]
fn account_and_region() {
    let arn = |region: &str, account: &str| format!("arn:aws:lambda:{region}:{account}:function:f");
    check(&[
        (json!({}), json!({"cloud.account.id": "111122223333", "cloud.region": "eu-west-1"})),
        (
            json!({"aws": {"account_id": "1"}}),
            json!({"cloud.account.id": "1", "xray.parse.warnings": ["account_not_12_digits"]}),
        ),
        (
            json!({"resource_arn": arn("us-east-1", "444455556666"), "aws": {"function_arn": arn("us-east-2", "2"), "region": "us-west-1"}}),
            json!({"cloud.account.id": "444455556666", "cloud.region": "us-west-1", "xray.resource_arn": (arn("us-east-1", "444455556666"))}),
        ),
        (
            json!({"resource_arn": "not an arn", "aws": {"resource_arn": "arn:aws:s3:::b", "api_gateway": {"account_id": "777788889999"}}}),
            json!({"cloud.account.id": "777788889999", "cloud.region": "eu-west-1", "xray.resource_arn": "not an arn"}),
        ),
    ]);
}

#[test]
fn http() {
    let url = |url: &str| json!({"http": {"request": {"url": url}}});
    let client = |address: &str| json!({"http": {"request": {"client_ip": address}}});
    check(&[
        (json!({"http": {"request": {"method": "get"}}}), json!({"http.request.method": "GET"})),
        (
            json!({"http": {"response": {"content_length": -1}}}),
            json!({"http.response.body.bytes": null, "xray.parse.warnings": null}),
        ),
        (
            url("https://me:pw@API.Example.com:8443/a/b?c=d"),
            json!({"url.full": "https://me:pw@API.Example.com:8443/a/b?c=d", "url.domain": "api.example.com", "url.path": "/a/b"}),
        ),
        (url("http://host"), json!({"url.full": "http://host", "url.domain": "host", "url.path": null})),
        (url("http://host:port/a#b?c#d"), json!({"url.domain": "host", "url.path": "/a#b"})),
        (url("/orders?page=2"), json!({"url.full": "/orders?page=2", "url.domain": null, "url.path": "/orders"})),
        (url("orders"), json!({"url.full": "orders", "url.domain": null, "url.path": null})),
        (client("2001:db8::17"), json!({"client.ip": "2001:db8::17", "client.address": null})),
        (client("10.0.0.1, 10.0.0.2"), json!({"client.ip": null, "client.address": "10.0.0.1, 10.0.0.2"})),
    ]);
}

#[test]
fn sql() {
    let url = |url: &str| json!({"sql": {"url": url}});
    check(&[
        (url("jdbc:postgresql://db.example.com:5432/orders?ssl=true"), json!({"db.name": "orders"})),
        (url("mysql://db.example.com"), json!({"db.name": null})),
        (url("jdbc:sqlserver://db.example.com;databaseName=orders"), json!({"db.name": null})),
        (url("jdbc:oracle:thin:@db.example.com:1521:orders"), json!({"db.name": null})),
    ]);
}

#[test]
fn cause() {
    let exceptions = |list: Value| json!({"cause": {"message": "outer", "exceptions": list}});
    check(&[
        (json!({"cause": {}}), json!({"error.message": null, "xray.exceptions": null})),
        (json!({"cause": "1234567890abcdef"}), json!({"error.id": "1234567890abcdef"})),
        (json!({"cause": {"message": "outer"}}), json!({"error.message": "outer", "error.type": null})),
        (json!({"cause": []}), json!({"xray.parse.warnings": ["dropped:cause"]})),
        (
            exceptions(json!([{"type": "A"}, {"type": "B", "message": "b", "id": "i"}])),
            json!({"error.type": "B", "error.message": "b", "error.id": "i", "xray.exceptions": [{"type": "A"}, {"type": "B", "message": "b", "id": "i"}]}),
        ),
        (exceptions(json!([{"type": "A"}, {"type": "B"}])), json!({"error.type": "A", "error.message": "outer"})),
        (
            exceptions(
                json!([{"stack": [{"label": "main", "path": "a.rs", "line": 7}, {"label": "f"}, {"path": "b.rs", "line": 8}, {"label": "g", "path": "c.rs"}]}]),
            ),
            json!({"error.stack_trace": "main (a.rs:7)\nf\n(b.rs:8)\ng (c.rs)"}),
        ),
        (
            exceptions(json!([{"stack": vec![json!({"label": "f"}); 101]}])),
            json!({"error.stack_trace": (["f"; 100].join("\n"))}),
        ),
    ]);
}

#[test]
fn annotations() {
    check(&[(
        json!({"annotations": {"b": 1.5, "a": "x", "c": false, "d": null, "e": [1]}}),
        json!({"xray.annotation_kv": ["a=x", "b=1.5", "c=false"], "xray.annotations": {"a": "x", "b": 1.5, "c": false},
            "xray.parse.warnings": ["dropped:annotations.e"]}),
    )]);
}

#[test]
fn aws() {
    check(&[
        (
            json!({"aws": {"operation": "Invoke", "retries": "2", "key": "k", "log_type": "Tail", "gone": null, "ecs": {"container": "c", "container_id": "1"}, "eks": {"container_id": "2"}}}),
            json!({"aws.operation": "Invoke", "aws.retries": 2, "aws.key": "k", "aws.extra": {"log_type": "Tail"}, "container.name": "c", "container.id": "1"}),
        ),
        (
            json!({"aws": {"eks": {"container_id": "2", "pod": "p"}}}),
            json!({"container.id": "2", "orchestrator.resource.name": "p"}),
        ),
        (
            json!({"aws": {"cloudwatch_logs": [{"log_group": "g"}, {"arn": "a"}, {"log_group": "h"}]}, "links": [{"trace_id": "t", "id": "i"}, {"id": "j"}]}),
            json!({"aws.log_groups": ["g", "h"], "xray.links.trace_id": ["t"], "xray.links.id": ["i", "j"]}),
        ),
    ]);
}

#[test]
fn place_and_outcome() {
    let child = |members: Value| json!({"subsegments": [merged(json!({"id": "c", "name": "child", "start_time": 1_789_725_955}), members)]});
    check_child(&[
        (
            child(json!({})),
            json!({"parent.id": "a", "xray.path": "node > child", "xray.depth": 1, "xray.segment.id": "a", "service.name": "node", "xray.incomplete": true, "event.outcome": "unknown"}),
        ),
        (
            child(
                json!({"namespace": "aws", "aws": {"operation": "Invoke", "account_id": "444455556666", "region": "us-east-1"}}),
            ),
            json!({"xray.target.name": "child", "xray.target.operation": "Invoke", "xray.target.account.id": "444455556666", "xray.target.region": "us-east-1", "cloud.account.id": "111122223333"}),
        ),
        (child(json!({"namespace": "local"})), json!({"xray.target.name": null, "xray.namespace": "local"})),
    ]);
    check(&[
        (
            json!({}),
            json!({"event.outcome": "success", "xray.depth": 0, "xray.path": "node", "event.duration": 1_000_000_000, "duration_ms": 1000.0, "xray.lag_ms": 44_000}),
        ),
        (json!({"throttle": true}), json!({"event.outcome": "failure"})),
        (
            json!({"end_time": 1_789_725_954}),
            json!({"event.duration": 0, "duration_ms": 0.0, "xray.parse.warnings": ["negative_duration"]}),
        ),
        (json!({"origin": "AWS::Lambda::Function"}), json!({"faas.coldstart": false})),
        (
            json!({"origin": "AWS::Lambda::Function", "subsegments": [{"name": "Initialization", "start_time": 1}]}),
            json!({"faas.coldstart": true}),
        ),
        (
            json!({"origin": "AWS::Lambda", "subsegments": [{"name": "Initialization", "start_time": 1}]}),
            json!({"faas.coldstart": null}),
        ),
    ]);
}

#[test]
fn lone_subsegments_belong_to_no_segment() {
    check(&[(
        json!({"type": "subsegment", "parent_id": "p", "aws": {"account_id": "444455556666"}}),
        json!({"doc.kind": "subsegment", "parent.id": "p", "service.name": null, "xray.segment.id": null, "cloud.account.id": "111122223333"}),
    )]);
}

#[test]
fn a_rejected_child_shows_a_cold_start_too() {
    let payload = json!({"id": "a", "start_time": 1, "origin": "AWS::Lambda::Function", "subsegments": [{"name": "Initialization"}]});
    for (name, flatten) in ALL {
        let outcome = flatten(&message(payload.to_string().as_bytes()));
        assert_eq!(outcome.reasons(), ["no time"], "{name}");
        let is_cold = |document: &Document| document.body.get("faas.coldstart") == Some(&json!(true));
        assert!(outcome.documents.iter().any(is_cold), "{name}");
    }
}

/// Checks the document of the segment.
fn check(cases: &[Case]) {
    check_document("1-6aad0d03-6474ec86faeb7407e62ea252:a", cases);
}

/// Checks the document of the subsegment `c`.
fn check_child(cases: &[Case]) {
    check_document("1-6aad0d03-6474ec86faeb7407e62ea252:c", cases);
}

fn check_document(id: &str, cases: &[Case]) {
    for (members, expected) in cases {
        let node = json!({"id": "a", "name": "node", "start_time": 1_789_725_955, "end_time": 1_789_725_956});
        let payload = json!({"schema": "rayline.raw/1", "account_id": "111122223333", "region": "eu-west-1", "collected_at": "2026-09-18T10:06:40Z",
            "trace": {"Id": "1-6aad0d03-6474ec86faeb7407e62ea252", "Segments": [merged(node, members.clone())]}});
        for (name, flatten) in ALL {
            let outcome = flatten(&message(payload.to_string().as_bytes()));
            let document = outcome.documents.iter().find(|document| document.id == id);
            let body: &Map<String, Value> = &document.unwrap_or_else(|| panic!("{name}: no {id} of {members}")).body;
            for (field, value) in expected.as_object().expect("fields") {
                assert_eq!(body.get(field).unwrap_or(&Value::Null), value, "{name}: {field} of {members}");
            }
        }
    }
}

fn merged(mut into: Value, members: Value) -> Value {
    let object = into.as_object_mut().expect("an object");
    object.extend(members.as_object().expect("an object").clone());
    into
}
