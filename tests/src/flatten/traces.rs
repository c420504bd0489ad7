//! Several traces in one message, and segments that say otherwise than the trace that they stand in.

use serde_json::{Map, Value, json};

use super::recipe::{ARN, EXPRESS, T0, TRACE, describe, envelope, machine};
use super::{ALL, Outcome, message};
use crate::reference::Document;

#[test]
fn a_trace_without_a_usable_id_has_that_of_its_segments() {
    for id in [json!({"k": "v"}), json!([]), json!(""), Value::Null] {
        let segments = json!([{"Document": "{"}, segment("a", json!({"trace_id": []})), segment("b", json!({"trace_id": TRACE})),
            segment("c", json!({"trace_id": "other"}))]);
        for (name, outcome) in flatten(json!({"Id": id, "Segments": segments})) {
            assert_eq!(ids(&outcome, "trace"), [trace_document(TRACE)], "{name}: {id}");
            let mut of_segments = ids(&outcome, "segment");
            // That of the first begins with the payload's SHA-256.
            of_segments.sort_by_key(|id| id.rsplit(':').next());
            let [unnamed, b, c] = of_segments[..] else { panic!("{name}: three segments") };
            assert_eq!([b, c], [&format!("{TRACE}:b"), "other:c"], "{name}");
            check(
                name,
                body(&outcome, unnamed),
                &json!({"trace.id": null, "xray.parse.warnings": ["dropped:trace_id"]}),
            );
            assert_eq!(body(&outcome, &trace_document(TRACE))["trace.id"], TRACE, "{name}");
        }
    }
}

#[test]
fn traces_of_one_id_are_one() {
    let named = json!({"Id": TRACE, "Duration": [], "Segments": [segment("a", json!({}))]});
    let unnamed =
        json!({"Id": [], "Duration": 2, "LimitExceeded": true, "Segments": [segment("b", json!({"trace_id": TRACE}))]});
    let later = json!({"Id": TRACE, "Duration": 3, "Segments": [segment("a", json!({})), 5]});
    for (name, outcome) in flatten(json!({"Traces": [named, unnamed, later]})) {
        assert_eq!(ids(&outcome, "trace"), [trace_document(TRACE)], "{name}");
        let expected = json!({"segments.count": 2, "event.duration": 2_000_000_000, "xray.limit_exceeded": true,
            "xray.unparsed_segments": 1, "xray.parse.warnings": ["dropped:Duration", "dropped:Id"]});
        check(name, body(&outcome, &trace_document(TRACE)), &expected);
    }
}

#[test]
fn lone_segment_documents_of_several_traces_are_told_apart() {
    let mut other = machine(ARN, Some(9.0));
    other["trace_id"] = TRACE.into();
    let caller = json!({"id": "a", "name": "x", "start_time": 1, "end_time": 2, "trace_id": "T"});
    for documents in [json!([caller, other]), json!([other, caller])] {
        for (name, outcome) in flatten(documents) {
            assert_eq!(ids(&outcome, "execution"), ["T:a:execution", ARN], "{name}");
            assert_eq!(ids(&outcome, "trace"), [""; 0], "{name}");
            let versions: Vec<u64> = of_kind(&outcome, "segment").map(|document| document.version).collect();
            assert_eq!(versions, [(1 << 43) | ((T0 as u64 + 9) * 1000), (1 << 43) | 2000], "{name}");
        }
    }
}

#[test]
fn an_execution_that_is_in_no_trace_has_the_time_of_those_beside_it() {
    let mut execution = describe("RUNNING", 0);
    execution["stopDate"] = json!(T0 + 1.0);
    let trace = json!({"Id": TRACE, "Segments": [segment("a", json!({"end_time": T0 + 5.0}))]});
    for (trace, after) in [(trace, 5), (json!({"Id": TRACE, "Segments": []}), 1)] {
        for (name, outcome) in flatten(json!({"account": "1", "trace": trace, "execution": execution})) {
            let version = of_kind(&outcome, "execution").next().expect("an execution").version;
            assert_eq!(version, (1 << 45) | ((T0 as u64 + after) * 1000), "{name}");
        }
    }
}

#[test]
fn an_execution_whose_trace_has_no_time_has_its_own() {
    let mut execution = describe("RUNNING", 0);
    execution["stopDate"] = json!(T0 + 1.0);
    let own = json!({"id": "own", "origin": "AWS::StepFunctions::StateMachine", "aws": {"resource_arn": ARN}});
    let trace = json!({"Id": TRACE, "Segments": [{"Id": "own", "Document": own.to_string()}]});
    for (name, outcome) in flatten(json!({"account": "1", "trace": trace, "execution": execution})) {
        let version = of_kind(&outcome, "execution").next().expect("an execution").version;
        assert_eq!(version, (1 << 45) | (1 << 43) | ((T0 as u64 + 1) * 1000), "{name}");
    }
}

#[test]
fn an_account_alone_is_no_message() {
    let execution = describe("FAILED", 0);
    for (payload, executions, rejections) in [
        (json!({"account": "1", "trace": null}), 0, 1),
        (json!({"account": "1", "trace": null, "execution": execution}), 1, 0),
    ] {
        for (name, outcome) in flatten(payload) {
            assert_eq!((outcome.documents.len(), outcome.rejections.len()), (executions, rejections), "{name}");
        }
    }
}

#[test]
fn an_envelope_has_its_own_name_for_the_account_first() {
    for (schema, account) in [("rayline.raw/1", "1"), ("other", "2")] {
        let payload = json!({"schema": schema, "account_id": "1", "account": "2", "trace": {"Id": TRACE, "Segments": [segment("a", json!({}))]}});
        for (name, outcome) in flatten(payload) {
            check(name, body(&outcome, &format!("{TRACE}:a")), &json!({"xray.collector.account.id": account}));
        }
    }
}

#[test]
fn traces_without_any_id_are_one() {
    let trace = |id: &str| json!({"Segments": [segment(id, json!({}))]});
    for (name, outcome) in flatten(json!({"Traces": [trace("a"), trace("b")]})) {
        let [id] = ids(&outcome, "trace")[..] else { panic!("{name}: one trace") };
        check(name, body(&outcome, id), &json!({"segments.count": 2, "trace.id": null}));
    }
}

#[test]
fn a_duplicate_counts_in_the_trace_that_its_document_comes_from() {
    let early = json!({"Id": "early", "Segments": [segment("a", json!({"trace_id": TRACE, "end_time": null})), segment("b", json!({}))]});
    let late = json!({"Id": TRACE, "Segments": [segment("a", json!({}))]});
    for traces in [json!([early, late]), json!([late, early])] {
        for (name, outcome) in flatten(json!({"Traces": traces})) {
            assert_eq!(ids(&outcome, "segment"), [&format!("{TRACE}:a"), "early:b"], "{name}");
            for id in ["early", TRACE] {
                check(name, body(&outcome, &trace_document(id)), &json!({"segments.count": 1}));
            }
        }
    }
}

#[test]
fn a_trace_id_counts_on_outermost_nodes_only() {
    let below =
        json!({"subsegments": [segment("b", json!({"trace_id": []})), segment("c", json!({"trace_id": "other"}))]});
    for (name, outcome) in flatten(json!({"Id": TRACE, "Segments": [segment("a", below)]})) {
        assert_eq!(ids(&outcome, "subsegment"), ["b", "c"].map(|id| format!("{TRACE}:{id}")), "{name}");
        check(name, body(&outcome, &format!("{TRACE}:b")), &json!({"xray.parse.warnings": null}));
    }
}

#[test]
fn the_latest_segment_of_an_execution_is_its_own_in_whatever_trace() {
    let mut later = machine(ARN, Some(9.0));
    later["start_time"] = json!(T0 + 1.0);
    // Only later is it known that this one, too, is of an execution.
    let other_origin = segment("o", json!({"start_time": T0 + 2.0, "aws": {"resource_arn": ARN}}));
    for (segment, start) in [(later, "2026-09-18T10:05:56.000000Z"), (other_origin, "2026-09-18T10:05:57.000000Z")] {
        let one = json!({"Id": TRACE, "Segments": [machine(ARN, Some(1.0))]});
        let two = json!({"Id": "two", "Segments": [segment]});
        for traces in [json!([one, two]), json!([two, one])] {
            for (name, outcome) in flatten(json!({"Traces": traces})) {
                check(name, body(&outcome, ARN), &json!({"execution.start": start, "trace.id": ["two"]}));
            }
        }
    }
}

#[test]
fn a_part_stops_at_segments_of_other_executions_whatever_their_origin() {
    let called = segment("called", json!({"parent_id": "own", "aws": {"resource_arn": EXPRESS}}));
    let below = segment("below", json!({"parent_id": "called"}));
    let trace = json!({"Id": TRACE, "Segments": [below, called, machine(ARN, Some(1.0))]});
    let mut described = describe("RUNNING", 0);
    for (arn, count) in [(EXPRESS, 1), (ARN, 3)] {
        described["executionArn"] = arn.into();
        let payload = envelope(100, "settled", json!([described]), trace.clone());
        for (name, flatten) in ALL {
            check(name, body(&flatten(&message(&payload)), ARN), &json!({"segments.count": count}));
        }
    }
}

#[test]
fn a_segment_belongs_to_an_execution_with_all_below_it() {
    let step = |id: &str, members: Value| {
        let mut step = segment(id, members);
        step["end_time"] = Value::Null;
        step
    };
    let mut own = machine(ARN, Some(1.0));
    // The inner one, which has ended, stands for the outer one.
    own["subsegments"] =
        json!([step("same", json!({"subsegments": [segment("same", json!({})), step("s", json!({}))]}))]);
    for (name, outcome) in flatten(json!({"Id": TRACE, "Segments": [own]})) {
        check(name, body(&outcome, ARN), &json!({"subsegments.count": 2, "states.count": 2}));
    }
}

#[test]
fn the_time_in_a_version_is_that_of_documents() {
    let running = |start: f64, below: Value| json!({"id": "a", "start_time": start, "subsegments": below});
    let segments = json!([running(5.0, json!([])), running(1.0, json!([{"id": "b", "start_time": 2}]))]);
    for (name, outcome) in flatten(json!({"Id": "t", "Segments": segments})) {
        let versions: Vec<u64> = of_kind(&outcome, "trace").map(|document| document.version).collect();
        assert_eq!(versions, [2000], "{name}");
    }
}

/// A segment document that has ended.
fn segment(id: &str, members: Value) -> Value {
    let mut segment = json!({"id": id, "start_time": T0, "end_time": T0 + 1.0});
    segment.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    segment
}

fn flatten(payload: Value) -> Vec<(&'static str, Outcome)> {
    let payload = payload.to_string();
    ALL.iter().map(|(name, flatten)| (*name, flatten(&message(payload.as_bytes())))).collect()
}

fn of_kind<'a>(outcome: &'a Outcome, kind: &'a str) -> impl Iterator<Item = &'a Document> {
    outcome.documents.iter().filter(move |document| document.kind.name() == kind)
}

fn ids<'a>(outcome: &'a Outcome, kind: &'a str) -> Vec<&'a str> {
    of_kind(outcome, kind).map(|document| document.id.as_str()).collect()
}

/// The `_id` of a trace without a collector.
fn trace_document(id: &str) -> String {
    format!("::{id}")
}

fn body<'a>(outcome: &'a Outcome, id: &str) -> &'a Map<String, Value> {
    let found = outcome.documents.iter().find(|document| document.id == id);
    &found.unwrap_or_else(|| panic!("no document {id}")).body
}

/// Checks fields; null where a field is absent.
fn check(name: &str, body: &Map<String, Value>, expected: &Value) {
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(body.get(field).unwrap_or(&Value::Null), value, "{name}: {field}");
    }
}
