//! What the charts show of executions that came through the shipped pipeline into indices that `rayline setup` made.

use std::collections::BTreeMap;

use rayline::setup::kibana::chart::Chart;
use rayline::setup::kibana::charts;
use serde_json::{Value, json};

use super::account::{Account, until_indexed};
use crate::servers::{Engine, search, unique};

/// State machine, status, how many milliseconds each took, and how many there are.
const EXECUTIONS: [(&str, &str, u64, u64); 7] = [
    ("OrderFulfilment", "SUCCEEDED", 2_500, 21),
    ("OrderFulfilment", "FAILED", 1_250, 5),
    ("OrderFulfilment", "TIMED_OUT", 900_000, 2),
    ("OrderFulfilment", "ABORTED", 60_250, 1),
    ("OrderFulfilment", "RUNNING", 0, 3),
    ("NightlyExport", "SUCCEEDED", 3_600_000, 4),
    ("NightlyExport", "FAILED", 750, 2),
];

/// When the first of each kind started, in seconds since 1970.
const START: f64 = 1_750_000_000.0;

/// What a collector says of an execution that is not traced.
fn message(machine: &str, name: &str, status: &str, start: f64, stop: Option<f64>) -> Vec<u8> {
    let arn = |kind: &str| format!("arn:aws:states:eu-west-1:111122223333:{kind}:{machine}");
    let message = json!({
        "schema": "rayline.raw/1",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "collected_at": "2025-06-16T00:00:00Z",
        "verdict": "unsampled",
        "executions": [{
            "executionArn": format!("{}:{name}", arn("execution")),
            "stateMachineArn": arn("stateMachine"),
            "name": name,
            "status": status,
            "startDate": start,
            "stopDate": stop,
        }],
        "trace": null,
    });
    message.to_string().into_bytes()
}

#[test]
fn status_and_durations_of_a_step_function_are_those_of_its_executions() {
    let (search, prefix) = (search(Engine::OpenSearch2), unique("seen"));
    let account = Account::new(search, &prefix, "30");
    let mut messages = Vec::new();
    for (machine, status, millis, count) in EXECUTIONS {
        for n in 0..count {
            let (name, start) = (format!("{status}-{n}"), START + n as f64);
            let stop = start + millis as f64 / 1_000.0;
            messages.extend((status != "RUNNING").then(|| message(machine, &name, status, start, Some(stop))));
            // What it was when it began comes too, and later.
            messages.push(message(machine, &name, "RUNNING", start, None));
        }
    }
    account.send(&messages);
    let mut host = account.central().start();
    until_indexed(&mut host, messages.len());
    host.stops();
    search.request("POST", &format!("/{prefix}-*/_refresh"), "").ok();

    let ask = |chart: &Chart, machine: Option<&str>| -> Value {
        let mut body = chart.search_body();
        // What is chosen above the dashboard is one more condition on each of its charts.
        let chosen = machine.map(|name| json!({ "term": { "execution.state_machine.name": name } }));
        body["query"]["bool"]["filter"].as_array_mut().expect("conditions").extend(chosen);
        search.request("POST", &format!("/{}/_search", chart.index.pattern(&prefix)), body.to_string()).json()
    };
    for machine in [None, Some("OrderFulfilment"), Some("NightlyExport")] {
        let (mut statuses, mut nanoseconds) = (BTreeMap::new(), 0);
        for (_, status, millis, count) in EXECUTIONS.into_iter().filter(|it| machine.is_none_or(|name| it.0 == name)) {
            *statuses.entry(status).or_insert(0) += count;
            nanoseconds += millis * 1_000_000 * count;
        }
        let answer = ask(&charts::STATUS, machine);
        let buckets = answer["aggregations"]["2"]["buckets"].as_array().expect("buckets");
        let number = |bucket: &Value| bucket["doc_count"].as_u64().expect("a number");
        let found: BTreeMap<&str, u64> =
            buckets.iter().map(|bucket| (bucket["key"].as_str().expect("a status"), number(bucket))).collect();
        assert_eq!(found, statuses, "{machine:?}");
        let sum = ask(&charts::DURATION_TOTAL, machine)["aggregations"]["1"]["value"].as_f64();
        assert_eq!(sum, Some(nanoseconds as f64), "{machine:?}");
    }
}
