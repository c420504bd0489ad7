//! Messages arrive in any order, early and late: the index ends the same (sections 5 and 7 of `docs/documents.md`).

use serde_json::{Value, json};

use super::recipe::{ARN, EXPRESS, T0, TRACE, describe, envelope, machine, raw};
use super::{ALL, Flatten, Outcome, message, real_data, sample, samples};
use crate::model::Index;

#[test]
fn settled_replaces_partial() {
    let (partial, settled) = (sample("standard-late-1-partial"), sample("standard-late-2-settled"));
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[&partial, &settled]);
        assert_eq!(index, index_of(flatten, &[&settled]), "{name}");
    }
}

#[test]
fn redrive_replaces_failure() {
    let [failed, running, succeeded] =
        ["1-failed", "2-running", "3-succeeded"].map(|n| sample(&format!("standard-redrive-{n}")));
    let arn = "arn:aws:states:eu-west-1:444455556666:execution:SettleBatch:batch-31";
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[&failed, &running]);
        assert_eq!(field(&index, arn, "execution.status"), "RUNNING", "{name}");
        let index = any_order(flatten, &[&failed, &running, &succeeded]);
        assert_eq!(field(&index, arn, "execution.status"), "SUCCEEDED", "{name}");
        assert_eq!(field(&index, arn, "execution.redrive_count"), 1, "{name}");
    }
}

#[test]
fn description_of_a_child_outlives_its_parents_trace() {
    let parent = raw(
        500,
        "settled",
        json!([describe("SUCCEEDED", 0)]),
        json!([machine(ARN, Some(9.0)), {
        "id": "c1", "name": "Price", "start_time": T0 + 1.0, "end_time": T0 + 2.0, "parent_id": "own",
        "origin": "AWS::StepFunctions::StateMachine", "aws": {"resource_arn": EXPRESS}}]),
    );
    let child =
        raw(100, "settled", json!([{"executionArn": EXPRESS, "status": "FAILED", "startDate": T0 + 1.0}]), json!([]));
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[parent.as_slice(), &child]);
        assert_eq!(field(&index, EXPRESS, "execution.status"), "FAILED", "{name}");
        assert_eq!(field(&index, EXPRESS, "execution.status_source"), "describe", "{name}");
        assert_eq!(field(&index_of(flatten, &[&parent]), EXPRESS, "execution.parent_arn"), ARN, "{name}");
    }
}

#[test]
fn not_found_replaces_nothing() {
    let settled = raw(100, "settled", json!([describe("SUCCEEDED", 0)]), json!([machine(ARN, Some(9.0))]));
    let gone = raw(86_400 * 5, "not_found", json!([{"executionArn": ARN}]), Value::Null);
    let month_later = raw(86_400 * 35, "not_found", json!([describe("SUCCEEDED", 0)]), Value::Null);
    let seen = raw(100, "settled", json!([]), json!([machine(EXPRESS, Some(9.0))]));
    let express_gone = raw(86_400 * 5, "not_found", json!([{"executionArn": EXPRESS}]), Value::Null);
    for (name, flatten) in ALL {
        let alone = index_of(flatten, &[&settled]);
        assert_eq!(any_order(flatten, &[settled.as_slice(), &gone]), alone, "{name}");
        assert_eq!(any_order(flatten, &[settled.as_slice(), &month_later]), alone, "{name}");
        assert_eq!(any_order(flatten, &[seen.as_slice(), &express_gone]), index_of(flatten, &[&seen]), "{name}");
    }
}

#[test]
fn status_climbs_from_running_to_terminal() {
    let running = raw(900, "partial", json!([describe("RUNNING", 0)]), json!([machine(ARN, None)]));
    let without_trace = raw(950, "unsampled", json!([describe("SUCCEEDED", 0)]), Value::Null);
    let with_trace = raw(100, "settled", json!([describe("SUCCEEDED", 0)]), json!([machine(ARN, Some(9.0))]));
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[running.as_slice(), &without_trace]);
        assert_eq!(field(&index, ARN, "execution.status"), "SUCCEEDED", "{name}");
        let index = any_order(flatten, &[running.as_slice(), &without_trace, &with_trace]);
        assert_eq!(field(&index, ARN, "segments.count"), 1, "{name}");
        assert_eq!(field(&index, &format!("{TRACE}:own"), "event.outcome"), "success", "{name}");
    }
}

#[test]
fn clipped_leaves_change_the_trace_but_not_the_leaves() {
    let with_leaf = |end: Value| {
        let mut own = machine(ARN, Some(9.0));
        own["subsegments"] = json!([{"id": "leaf", "name": "Copy", "start_time": T0 + 1.0, "end_time": end}]);
        json!([own])
    };
    let early = raw(100, "settled", json!([]), with_leaf(json!(T0 + 2.0)));
    let clipped = raw(200, "limit_exceeded", json!([]), with_leaf(Value::Null));
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[early.as_slice(), &clipped]);
        assert_eq!(
            field(&index, &format!("111122223333:eu-west-1:{TRACE}"), "xray.verdict"),
            "limit_exceeded",
            "{name}"
        );
        assert_eq!(field(&index, &format!("{TRACE}:leaf"), "event.outcome"), "success", "{name}");
    }
}

#[test]
fn two_views_of_a_trace_share_their_nodes() {
    let nodes = json!([machine(EXPRESS, Some(9.0))]);
    let own = raw(100, "settled", json!([]), nodes.clone());
    let mut monitoring: Value = serde_json::from_slice(&raw(200, "settled", json!([]), nodes)).expect("JSON");
    monitoring["account_id"] = "777788889999".into();
    for (name, flatten) in ALL {
        let index = any_order(flatten, &[own.as_slice(), monitoring.to_string().as_bytes()]);
        let of_kind = |kind: &str| index.0.values().filter(|(_, body)| body["doc.kind"] == kind).count();
        assert_eq!(["segment", "execution", "trace"].map(of_kind), [1, 1, 2], "{name}");
    }
}

#[test]
fn one_node_twice_gives_one_document_in_any_order() {
    let running = json!({"id": "a", "name": "n", "start_time": T0, "in_progress": true, "subsegments": [{"id": "b", "name": "m", "start_time": T0}]});
    let ended = json!({"id": "a", "name": "n", "start_time": T0, "end_time": T0 + 1.0});
    let ended_later = json!({"id": "a", "name": "n", "start_time": T0, "end_time": T0 + 2.0});
    let larger = json!({"id": "a", "name": "n", "start_time": T0, "end_time": T0 + 2.0, "subsegments": [{"id": "c", "name": "m", "start_time": T0}]});
    let all = [running, ended, ended_later, larger];
    for (name, flatten) in ALL {
        for segments in permutations(&[0, 1, 2, 3]) {
            let segments: Vec<&Value> = segments.into_iter().map(|index| &all[index]).collect();
            let outcome = flatten(&message(&raw(100, "partial", json!([]), json!(segments))));
            let nodes = nodes(&outcome);
            assert_eq!(
                nodes.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
                ["a", "b", "c"],
                "{name}: {segments:?}"
            );
            assert_eq!(nodes[0].1["xray.parse.warnings"], json!(["duplicate"]), "{name}");
            assert_eq!(nodes[0].1["event.duration"], 2_000_000_000u64, "{name}");
        }
    }
}

#[test]
fn copies_of_a_segment_give_the_same_documents_in_any_order() {
    let state = |id: &str, end: Value| json!({"id": id, "name": id, "start_time": T0, "end_time": end});
    let mut running = machine(ARN, None);
    running["in_progress"] = true.into();
    running["subsegments"] =
        json!([state("same", json!(T0 + 1.0)), state("gone", json!(T0 + 1.0)), state("late", Value::Null)]);
    let mut ended = machine(ARN, Some(9.0));
    ended["aws"]["account_id"] = "999988887777".into();
    ended["aws"]["region"] = "eu-north-1".into();
    ended["subsegments"] = json!([state("late", json!(T0 + 2.0)), state("same", json!(T0 + 1.0))]);
    let lone = json!({"id": "same", "name": "same", "type": "subsegment", "start_time": T0, "end_time": T0 + 1.0});
    let all = [running, ended, lone];
    for (name, flatten) in ALL {
        let documents = permutations(&[0, 1, 2]).into_iter().map(|order| {
            let segments: Vec<&Value> = order.into_iter().map(|index| &all[index]).collect();
            let mut documents = flatten(&message(&raw(100, "settled", json!([]), json!(segments)))).documents;
            documents.iter_mut().for_each(|document| drop(document.body.remove("xray.raw.sha256")));
            documents
        });
        let documents: Vec<_> = documents.collect();
        assert!(documents.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {documents:#?}");
        for document in &documents[0] {
            let field = |key: &str| document.body.get(key).unwrap_or(&Value::Null);
            match document.kind.name() {
                "execution" => assert_eq!((field("states.count"), field("subsegments.count")), (&json!(3), &json!(3))),
                "trace" => assert_eq!(field("subsegments.count"), 3, "{name}"),
                _ => {
                    let of_segment = ["cloud.account.id", "cloud.region", "xray.segment.id", "service.name"].map(field);
                    assert_eq!(of_segment, ["999988887777", "eu-north-1", "own", "Orders"], "{name}: {}", document.id);
                }
            }
        }
    }
}

#[test]
fn one_id_of_two_nodes_is_numbered_in_any_order() {
    let first = json!({"id": "a", "name": "n", "start_time": T0, "end_time": T0 + 1.0});
    let second = json!({"id": "a", "name": "o", "start_time": T0, "end_time": T0});
    let third = json!({"id": "a", "name": "o", "start_time": T0, "end_time": T0, "type": "subsegment"});
    let all = [first, second, third];
    for (name, flatten) in ALL {
        for segments in permutations(&[0, 1, 2]) {
            let segments: Vec<&Value> = segments.into_iter().map(|index| &all[index]).collect();
            let outcome = flatten(&message(&raw(100, "partial", json!([]), json!(segments))));
            let found: Vec<_> = nodes(&outcome)
                .into_iter()
                .map(|(id, body)| (id, body["span.name"].clone(), body["doc.kind"].clone()))
                .collect();
            let expected = [("a", "n", "segment"), ("a:2", "o", "segment"), ("a:3", "o", "subsegment")];
            let expected = expected.map(|(id, name, kind)| (id.to_owned(), json!(name), json!(kind)));
            let mut found = found;
            found.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn a_message_from_the_future_is_rejected() {
    let payload = raw(100, "settled", json!([]), json!([machine(ARN, Some(1.0))]));
    let collected_ms = (T0 as i64 + 100) * 1000;
    for (name, flatten) in ALL {
        let sent = |sent_at_ms| {
            let mut input = message(&payload);
            input.sent_at_ms = Some(sent_at_ms);
            flatten(&input)
        };
        assert_eq!(sent(collected_ms - 600_000).rejections, [], "{name}");
        let outcome = sent(collected_ms - 600_001);
        assert_eq!((outcome.documents.len(), outcome.rejections.len()), (0, 1), "{name}");
    }
}

#[test]
fn prefixes_of_a_trace_leave_nothing_behind() {
    let whole: Vec<(String, Vec<u8>)> = samples().into_iter().chain(real_data()).collect();
    let mut traces = 0;
    for (file, payload) in whole {
        for (executions, trace) in traces_of(&payload) {
            let segments = trace["Segments"].as_array().cloned().unwrap_or_default();
            traces += 1;
            for (name, flatten) in ALL {
                for (segments, early) in orders(&segments)
                    .iter()
                    .flat_map(|segments| [Some("partial"), Some("settled"), None].map(|early| (segments, early)))
                {
                    let with = |count: usize, verdict: Option<&str>| {
                        let mut trace = trace.clone();
                        trace["Segments"] = segments[..count].into();
                        match verdict {
                            Some(verdict) => envelope(1000 + count as i64, verdict, executions.clone(), trace),
                            None => json!({"account": "111122223333", "executions": executions, "trace": trace})
                                .to_string()
                                .into_bytes(),
                        }
                    };
                    let whole = with(segments.len(), early.map(|_| "settled"));
                    let last = flatten(&message(&whole));
                    let mut alone = Index::default();
                    alone.write_all(&last.documents);
                    // Without an envelope the ends tell which is later: not where a segment still runs.
                    if early.is_none() && !has_ended(&last) {
                        continue;
                    }
                    // Every prefix. Of a long trace the reference is too slow for more than some.
                    let step = if name == "reference" { 1 + segments.len() / 8 } else { 1 };
                    let mut index = Index::default();
                    for count in (0..segments.len()).step_by(step) {
                        index.write_all(&flatten(&message(&with(count, early))).documents);
                    }
                    index.write_all(&last.documents);
                    assert_eq!(index, alone, "{name}: {file}, {early:?}");
                }
            }
        }
    }
    assert!(traces > 25);
}

/// The traces of a message, each with the executions that are described beside it.
fn traces_of(payload: &[u8]) -> Vec<(Value, Value)> {
    let Ok(message) = serde_json::from_slice::<Value>(payload) else {
        return Vec::new();
    };
    let executions = message.get("executions").cloned().unwrap_or(json!([]));
    let traces = match &message {
        message if message["trace"].is_object() => vec![message["trace"].clone()],
        message if message["Traces"].is_array() => message["Traces"].as_array().cloned().unwrap_or_default(),
        message if message["Segments"].is_array() => vec![message.clone()],
        _ => Vec::new(),
    };
    traces.into_iter().map(|trace| (executions.clone(), trace)).collect()
}

/// Whether all its segments have.
fn has_ended(trace: &Outcome) -> bool {
    let mut segments = trace.documents.iter().filter(|document| document.kind.name() == "segment");
    segments.all(|segment| segment.body.contains_key("event.end"))
}

/// In the order of the file, and the other way round.
fn orders(segments: &[Value]) -> [Vec<Value>; 2] {
    [segments.to_vec(), segments.iter().rev().cloned().collect()]
}

/// The index after the messages in every order, which must be one.
fn any_order(flatten: Flatten, payloads: &[&[u8]]) -> Index {
    let orders = permutations(&(0..payloads.len()).collect::<Vec<_>>());
    let indexes = orders.iter().map(|order| index_of(flatten, &order.iter().map(|n| payloads[*n]).collect::<Vec<_>>()));
    let indexes: Vec<Index> = indexes.collect();
    assert!(indexes.windows(2).all(|pair| pair[0] == pair[1]), "the order of arrival shows");
    indexes.into_iter().next().expect("an order")
}

fn index_of(flatten: Flatten, payloads: &[&[u8]]) -> Index {
    let mut index = Index::default();
    for payload in payloads {
        index.write_all(&flatten(&message(payload)).documents);
    }
    index
}

fn field<'a>(index: &'a Index, id: &str, field: &str) -> &'a Value {
    let mut found = index.0.iter().filter(|((_, other), _)| other == id);
    let (_, (_, body)) = found.next().unwrap_or_else(|| panic!("no document {id}"));
    assert!(found.next().is_none(), "two documents {id}");
    body.get(field).unwrap_or(&Value::Null)
}

/// Segments and subsegments by id, without the trace's.
fn nodes(outcome: &Outcome) -> Vec<(String, serde_json::Map<String, Value>)> {
    let nodes = outcome.documents.iter().filter(|document| ["segment", "subsegment"].contains(&document.kind.name()));
    let short = |id: &str| id.strip_prefix(&format!("{TRACE}:")).expect("an id of the trace").to_owned();
    nodes.map(|document| (short(&document.id), document.body.clone())).collect()
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.len() < 2 {
        return vec![of.to_vec()];
    }
    let mut all = Vec::new();
    for (index, first) in of.iter().enumerate() {
        let rest = [&of[..index], &of[index + 1..]].concat();
        all.extend(permutations(&rest).into_iter().map(|rest| [&[*first], rest.as_slice()].concat()));
    }
    all
}
