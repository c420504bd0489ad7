//! The search behind each chart, run by real engines on the documents of the samples.

use std::collections::BTreeSet;

use rayline::setup::kibana::chart::{Bucket, Chart, Index, Metric, View};
use rayline::setup::kibana::dashboard::every_chart;
use rayline::setup::mapping::{Annotations, EVERY, mapping};
use serde_json::{Value, json};

use super::counts::{Documents, Group, Groups, durations, groups};
use super::golden::{self, Golden};
use crate::servers::{Engine, Search, search, unique};

#[test]
fn elasticsearch_7_answers_with_what_is_counted() {
    check(Engine::Elasticsearch7);
}

#[test]
fn elasticsearch_8_answers_with_what_is_counted() {
    check(Engine::Elasticsearch8);
}

#[test]
fn opensearch_2_answers_with_what_is_counted() {
    check(Engine::OpenSearch2);
}

#[test]
fn opensearch_3_answers_with_what_is_counted() {
    check(Engine::OpenSearch3);
}

/// Puts the golden documents into indices of their own, every version of each, and compares.
fn check(engine: Engine) {
    let (server, prefix) = (search(engine), unique("charts"));
    let golden = golden::documents();
    for index in [Index::Executions, Index::Traces, Index::Spans] {
        write(server, index, &name(index, &prefix), &golden);
    }
    compare_all(engine.version(), &golden::latest(&golden), |index, body| {
        server.request("POST", &format!("/{}/_search", name(index, &prefix)), body.to_string()).json()
    });
}

/// The indices of this test instead of those of all.
fn name(index: Index, prefix: &str) -> String {
    index.pattern(prefix).replace("-*", "-2026.11")
}

fn write(server: &Search, index: Index, name: &str, golden: &[Golden]) {
    let fields = index.kinds().iter().flat_map(|kind| kind.fields());
    let mappings = mapping(EVERY.iter().copied().chain(fields), Annotations::Stored);
    server.request("PUT", &format!("/{name}"), json!({"mappings": mappings}).to_string()).ok();
    let mut lines = String::new();
    for document in golden.iter().filter(|document| document.index == index) {
        let action =
            json!({"_index": name, "_id": document.id, "version": document.version, "version_type": "external_gte"});
        lines.push_str(&format!("{}\n{}\n", json!({"index": action}), Value::from(document.body.clone())));
    }
    let answer = server.request("POST", "/_bulk?refresh=true", lines).json();
    for item in answer["items"].as_array().expect("items") {
        let status = item["index"]["status"].as_u64().expect("a status");
        assert!(matches!(status, 200 | 201 | 409), "{item}");
    }
}

/// Compares an engine's answers with the counts.
fn compare_all(engine: &str, documents: &Documents, search: impl Fn(Index, &Value) -> Value) {
    for chart in every_chart() {
        let answer = search(chart.index, &chart.search_body());
        let named = format!("{engine}: {}", chart.id);
        assert_eq!(answer["timed_out"], false, "{named}: {answer}");
        match &chart.view {
            View::Numbers { metrics, buckets, .. } => {
                let mut found = Vec::new();
                let count = answer["hits"]["total"]["value"].as_u64().expect("a count");
                rows(metrics, buckets, &answer["aggregations"], count, &mut Vec::new(), &mut found);
                compare(&named, chart, &found, &groups(chart.id, documents));
            }
            View::Timeline { size } => {
                let expected = documents[&Index::Executions].len().min(*size as usize);
                let hits = hits(&answer);
                assert_eq!(hits.len(), expected, "{named}");
                assert!(hits.iter().any(|hit| hit["execution.stop"].is_string()), "{named}");
            }
            View::Documents { .. } => {
                let found: Vec<u64> = hits(&answer).iter().filter_map(|hit| hit["event.duration"].as_u64()).collect();
                assert_eq!(found, durations(documents), "{named}");
                let fields: BTreeSet<&str> = hits(&answer)
                    .iter()
                    .filter_map(|hit| hit.as_object())
                    .flat_map(|hit| hit.keys())
                    .map(String::as_str)
                    .collect();
                assert!(
                    fields.contains("execution.input") && fields.contains("execution.error"),
                    "{named}: {fields:?}"
                );
            }
        }
    }
}

/// One number of an answer for each metric: one, or three percentiles.
struct Row {
    path: Vec<String>,
    count: u64,
    metrics: Vec<Vec<f64>>,
}

fn rows(
    metrics: &[Metric],
    buckets: &[Bucket],
    answer: &Value,
    count: u64,
    path: &mut Vec<String>,
    found: &mut Vec<Row>,
) {
    let Some(bucket) = buckets.get(path.len()) else {
        let numbers = metrics.iter().zip(1..).map(|(metric, id)| {
            let value = &answer[id.to_string()];
            match metric {
                Metric::Count(_) => vec![count as f64],
                Metric::Sum(..) => vec![value["value"].as_f64().expect("a sum")],
                Metric::Percentiles(..) => {
                    value["values"].as_object().expect("percentiles").values().filter_map(Value::as_f64).collect()
                }
            }
        });
        found.push(Row { path: path.clone(), count, metrics: numbers.collect() });
        return;
    };
    let id = (metrics.len() + path.len() + 1).to_string();
    for each in answer[&id]["buckets"].as_array().unwrap_or_else(|| panic!("no buckets {id} in {answer}")) {
        let key = each["key_as_string"].as_str().or(each["key"].as_str()).expect("a key");
        path.push(if matches!(bucket, Bucket::Time) { key[..10].to_owned() } else { key.to_owned() });
        rows(metrics, buckets, each, each["doc_count"].as_u64().expect("a count"), path, found);
        path.pop();
    }
}

fn compare(named: &str, chart: &Chart, found: &[Row], expected: &Groups) {
    let View::Numbers { metrics, buckets, .. } = &chart.view else { return };
    assert!(found.iter().any(|row| row.count > 0), "{named} is empty: the samples say nothing of it");
    for row in found {
        let group =
            expected.get(&row.path).unwrap_or_else(|| panic!("{named}: {:?} is not in the documents", row.path));
        assert_eq!(row.count, group.count, "{named}: {:?}", row.path);
        for (metric, numbers) in metrics.iter().zip(&row.metrics) {
            match metric {
                Metric::Count(_) => assert_eq!(numbers[..], [group.count as f64], "{named}: {:?}", row.path),
                Metric::Sum(..) => {
                    let sum: f64 = group.values.iter().sum();
                    assert!(
                        (numbers[0] - sum).abs() <= sum.abs() * 1e-9,
                        "{named}: {:?}: {} for {sum}",
                        row.path,
                        numbers[0]
                    );
                }
                Metric::Percentiles(..) => percentiles(&format!("{named}: {:?}", row.path), numbers, group),
            }
        }
    }
    // Of equally busy ones an engine takes any: then fewer are found than are counted.
    let sizes: Vec<u32> = buckets
        .iter()
        .filter_map(|bucket| match bucket {
            Bucket::Terms { size, .. } => Some(*size),
            Bucket::Time => None,
        })
        .collect();
    let outermost: BTreeSet<&String> = expected.keys().filter_map(|path| path.first()).collect();
    if sizes.first().is_none_or(|size| outermost.len() <= *size as usize) {
        assert_eq!(found.len(), expected.len(), "{named}");
    }
}

/// Engines estimate percentiles, each in its own way: between the neighbours of the exact rank.
fn percentiles(named: &str, numbers: &[f64], group: &Group) {
    let mut values = group.values.clone();
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return assert!(numbers.is_empty(), "{named}: percentiles of nothing: {numbers:?}");
    };
    assert_eq!(numbers.len(), 3, "{named}");
    for (number, share) in numbers.iter().zip([0.5, 0.95, 0.99]) {
        let rank = share * last as f64;
        let (low, high) =
            (values[(rank.floor() as usize).saturating_sub(1)], values[(rank.ceil() as usize + 1).min(last)]);
        assert!((low..=high).contains(number), "{named}: {number} is not between {low} and {high}");
    }
}

fn hits(answer: &Value) -> Vec<&Value> {
    answer["hits"]["hits"].as_array().expect("hits").iter().map(|hit| &hit["_source"]).collect()
}
