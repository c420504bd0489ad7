//! Real traces and segment documents: nothing is lost, nothing is made up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ALL, message, real_data};
use crate::reference::Kind;

/// Files that are no messages, by folder and reason.
const NOT_MESSAGES: &str = "not an X-Ray message";

/// What is wrong with each file in `malformed/`: none is JSON as a whole.
const MALFORMED: [(&str, &str); 7] = [
    ("malformed/daemon-header-plus-segment.txt", NOT_MESSAGES),
    ("malformed/dynamodb-trailing-comma.json", NOT_MESSAGES),
    ("malformed/ec2-http-trailing-comma-unclosed.json", NOT_MESSAGES),
    ("malformed/get-execution-history-elided.json", NOT_MESSAGES),
    ("malformed/in-progress-smart-quotes.json", NOT_MESSAGES),
    ("malformed/independent-subsegment-missing-comma.json", NOT_MESSAGES),
    ("malformed/otel-rawsegment-ddbSample.daemon.txt", NOT_MESSAGES),
];

#[test]
fn every_node_becomes_a_document_or_a_rejection() {
    for (name, payload) in real_data() {
        let nodes = serde_json::from_slice(&payload).map_or(0, |value| count_nodes(&value));
        for (implementation, flatten) in ALL {
            let outcome = flatten(&message(&payload));
            let documents = outcome.documents.iter().filter(|document| is_node(document.kind)).count();
            let rejected = outcome.rejections.iter().filter(|rejection| rejection.part.is_some()).count();
            assert_eq!(documents + rejected, nodes, "{implementation}: {name}");
            match name.split('/').next() {
                Some("traces" | "segments") => {
                    assert_eq!(outcome.reasons(), [""; 0], "{implementation}: {name}");
                    assert!(nodes > 0, "{name}");
                }
                Some("synthetic") if nodes > 0 => assert_eq!(outcome.reasons(), [""; 0], "{implementation}: {name}"),
                _ => assert_eq!(outcome.reasons(), [NOT_MESSAGES], "{implementation}: {name}"),
            }
        }
    }
}

#[test]
fn malformed_files_are_rejected_with_their_reasons() {
    let malformed = real_data().into_iter().filter(|(name, _)| name.starts_with("malformed/"));
    let malformed: BTreeMap<String, Vec<u8>> = malformed.collect();
    if malformed.is_empty() {
        return;
    }
    let names: Vec<&str> = malformed.keys().map(String::as_str).collect();
    assert_eq!(names, MALFORMED.map(|(name, _)| name));
    for (name, reason) in MALFORMED {
        for (implementation, flatten) in ALL {
            let outcome = flatten(&message(&malformed[name]));
            assert_eq!((outcome.documents.len(), outcome.reasons()), (0, vec![reason]), "{implementation}: {name}");
        }
    }
}

#[test]
fn described_executions_and_events_become_documents_in_a_message() {
    for (name, payload) in real_data() {
        let folder = name.split('/').next().unwrap_or_default();
        if !["events", "executions"].contains(&folder) && !name.starts_with("synthetic/describe") {
            continue;
        }
        let execution: Value = serde_json::from_slice(&payload).expect("JSON");
        let arn = execution.pointer("/detail/executionArn").unwrap_or(&execution["executionArn"]).clone();
        let payload = json!({"schema": "rayline.raw/1", "verdict": "unsampled", "executions": [execution]}).to_string();
        for (implementation, flatten) in ALL {
            let outcome = flatten(&message(payload.as_bytes()));
            let ids: Vec<&str> = outcome.documents.iter().map(|document| document.id.as_str()).collect();
            assert_eq!(
                (ids, outcome.reasons()),
                (vec![arn.as_str().expect("an ARN")], vec![]),
                "{implementation}: {name}"
            );
        }
    }
}

fn is_node(kind: Kind) -> bool {
    matches!(kind, Kind::Segment | Kind::Subsegment)
}

/// Counted without any of the rules: what stands in `Segments` or by itself, and all below.
fn count_nodes(message: &Value) -> usize {
    let below = |node: &Value| {
        let mut open = vec![node.clone()];
        let mut count = 0;
        while let Some(node) = open.pop() {
            count += 1;
            open.extend(node["subsegments"].as_array().cloned().unwrap_or_default());
        }
        count
    };
    let member = |member: &Value| match &member["Document"] {
        Value::String(text) => below(&serde_json::from_str(text).expect("a document")),
        Value::Null => below(member),
        document => below(document),
    };
    let trace = |trace: &Value| trace["Segments"].as_array().into_iter().flatten().map(member).sum::<usize>();
    match (message.get("Traces"), message.get("Segments"), message.get("start_time")) {
        (Some(traces), ..) => traces.as_array().into_iter().flatten().map(trace).sum(),
        (_, Some(_), _) => trace(message),
        (_, _, Some(_)) => below(message),
        _ => 0,
    }
}
