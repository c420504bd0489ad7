//! What each chart must show of given documents, counted here once more: from the documents, without Kibana's or the
//! project's own description of the charts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use rayline::setup::kibana::chart::Index;

/// A document.
pub type Document = Map<String, Value>;
/// The documents of each index.
pub type Documents = BTreeMap<Index, Vec<Document>>;

/// What a chart shows for one combination of its splits.
#[derive(Debug, Default, PartialEq)]
pub struct Group {
    /// How many documents.
    pub count: u64,
    /// The numbers that are summed, or whose percentiles are taken.
    pub values: Vec<f64>,
}

/// By the values of the splits, outermost first.
pub type Groups = BTreeMap<Vec<String>, Group>;

/// The groups of a chart.
pub fn groups(chart: &str, documents: &Documents) -> Groups {
    let (executions, traces, spans) =
        (&documents[&Index::Executions], &documents[&Index::Traces], &documents[&Index::Spans]);
    let ended = |document: &&Document| text(document, "execution.status") != Some("RUNNING");
    let calls = || spans.iter().filter(|span| span.get("xray.inferred") != Some(&Value::Bool(true)));
    let status = |document: &Document| or_missing(document, "execution.status");
    match chart {
        "rayline-status" => split(executions, none, |it| vec![vec![status(it)]]),
        "rayline-status-over-time" => split(executions, none, |it| vec![vec![status(it), day(it)]]),
        "rayline-duration-total" => split(executions.iter().filter(ended), duration, |_| vec![Vec::new()]),
        "rayline-duration-over-time" => split(executions.iter().filter(ended), duration, |it| {
            vec![vec![or_missing(it, "execution.state_machine.name"), day(it)]]
        }),
        "rayline-latency" => {
            let milliseconds = |it: &Document| duration(it).map(|nanoseconds| nanoseconds / 1e6);
            let mut machines =
                split(executions.iter().filter(ended), none, |it| each(it, "execution.state_machine.name"));
            // The five busiest. Equal ones: any of them, so all are kept here and the test looks for what is there.
            let mut counts: Vec<u64> = machines.values().map(|group| group.count).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let least = counts.get(4).copied().unwrap_or(0);
            machines.retain(|_, group| group.count >= least);
            let mut groups = split(executions.iter().filter(ended), milliseconds, |it| {
                each(it, "execution.state_machine.name")
                    .into_iter()
                    .map(|path| [path, vec![day(it)]].concat())
                    .collect()
            });
            groups.retain(|path, _| machines.contains_key(&path[..1]));
            groups
        }
        "rayline-outcome" => split(executions, none, |it| vec![vec![or_missing(it, "event.outcome"), day(it)]]),
        "rayline-accounts" => split(executions, none, |it| {
            each(it, "cloud.account.id").into_iter().map(|path| [path, vec![status(it)]].concat()).collect()
        }),
        "rayline-services-by-duration" => split(calls(), duration, |it| each(it, "xray.target.name")),
        "rayline-services-by-failures" => {
            let failed = calls()
                .filter(|it| ["xray.fault", "xray.error", "xray.throttle"].iter().any(|name| it.contains_key(*name)));
            split(failed, none, |it| each(it, "xray.target.name"))
        }
        "rayline-cold-starts" => split(spans, none, |it| {
            let cold = it.get("faas.coldstart").and_then(Value::as_bool);
            cold.map(|cold| vec![cold.to_string(), day(it)]).into_iter().collect()
        }),
        "rayline-warnings" => split(documents.values().flatten(), none, |it| each(it, "xray.parse.warnings")),
        "rayline-cut-off" => {
            split(traces.iter().filter(|it| it.contains_key("xray.limit_exceeded")), none, |_| vec![Vec::new()])
        }
        "rayline-lag" => split(traces, |it| it.get("xray.lag_ms")?.as_f64(), |it| vec![vec![day(it)]]),
        other => panic!("nothing is counted here for the chart {other}"),
    }
}

/// The durations of all executions, the longest first.
pub fn durations(documents: &Documents) -> Vec<u64> {
    let mut durations: Vec<u64> =
        documents[&Index::Executions].iter().filter_map(|it| it.get("event.duration")?.as_u64()).collect();
    durations.sort_unstable_by(|a, b| b.cmp(a));
    durations
}

fn split<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    value: impl Fn(&Document) -> Option<f64>,
    paths: impl Fn(&Document) -> Vec<Vec<String>>,
) -> Groups {
    let mut groups = Groups::new();
    for document in documents {
        for path in paths(document) {
            let group = groups.entry(path).or_default();
            group.count += 1;
            group.values.extend(value(document));
        }
    }
    groups
}

fn none(_: &Document) -> Option<f64> {
    None
}

fn duration(document: &Document) -> Option<f64> {
    document.get("event.duration")?.as_f64()
}

fn day(document: &Document) -> String {
    text(document, "@timestamp").expect("a time")[..10].to_owned()
}

fn text<'d>(document: &'d Document, field: &str) -> Option<&'d str> {
    document.get(field)?.as_str()
}

/// What Kibana calls the group of the documents without the field.
fn or_missing(document: &Document, field: &str) -> String {
    text(document, field).unwrap_or("__missing__").to_owned()
}

/// A path for each value of a field.
fn each(document: &Document, field: &str) -> Vec<Vec<String>> {
    let of = |value: &Value| vec![value.as_str().expect("text").to_owned()];
    match document.get(field) {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(of).collect(),
        Some(value) => vec![of(value)],
    }
}
