//! Real traces and our samples, as X-Ray would answer them: what is archived is what X-Ray holds.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::collector::{OPTIONS, OWN, Site, XRAY_SOURCE, messages};
use super::fake::{Arrival, Execution, Manners, Place, Trace};
use crate::harness::workspace;

#[test]
fn recorded_traces_are_archived_as_x_ray_has_them() {
    let site = Site::new(Manners::default());
    let traces: Vec<Trace> =
        recorded("samples/messages").into_iter().chain(recorded("../shared/xray-data/traces")).collect();
    assert!(traces.len() >= 20, "{} traces", traces.len());
    for trace in &traces {
        site.fake.put_trace(&site.place, trace.clone());
    }
    // A trace header is all that a service says of itself.
    let bodies =
        traces.iter().map(|trace| json!({ "traceHeader": format!("Root={};Sampled=1", trace.id) }).to_string());
    site.send_bodies(&bodies.collect::<Vec<_>>());
    let mut host = site.start("one", XRAY_SOURCE, OPTIONS);
    let segments = |trace: &Value| -> BTreeMap<String, Value> {
        let each = trace["Segments"].as_array().expect("segments").iter();
        each.map(|it| (it["Id"].as_str().expect("an id").to_owned(), it["Document"].clone())).collect()
    };
    host.until("every trace in the archive", |host| {
        std::thread::sleep(Duration::from_millis(500));
        let archived: BTreeMap<String, Value> = messages(&site.archived())
            .into_iter()
            .filter(|message| message["trace"].is_object() && message["verdict"] != "partial")
            .map(|mut message| (message["trace"]["Id"].as_str().expect("an id").to_owned(), message["trace"].take()))
            .collect();
        let missing = traces.iter().find(|trace| !archived.contains_key(&trace.id) && !is_open(trace));
        assert!(!host.stderr().contains("panicked"));
        if missing.is_some() {
            return None;
        }
        for trace in traces.iter().filter(|trace| archived.contains_key(&trace.id)) {
            let whole = site.fake.whole_trace(&site.place, &trace.id).expect("a trace");
            assert_eq!(segments(&archived[&trace.id]), segments(&whole), "{}", trace.id);
        }
        Some(())
    });
    host.stops();
    for message in messages(&site.archived()) {
        assert_eq!((&message["account_id"], &message["region"]), (&json!(OWN), &json!(site.place.region)));
    }
}

#[test]
fn recorded_executions_are_archived_as_step_functions_has_them() {
    let site = Site::new(Manners::default());
    let folders = [
        ("samples/accounts/111122223333/eu-west-1", "111122223333", "eu-west-1"),
        ("samples/accounts/444455556666/eu-west-1", "444455556666", "eu-west-1"),
        ("samples/accounts/777788889999/us-east-1", "777788889999", "us-east-1"),
        ("../shared/xray-data", "123456789012", "us-east-1"),
    ];
    let (mut accounts, mut recorded_executions) = (Vec::new(), BTreeMap::new());
    for (folder, account, region) in folders {
        let place = Place::new(account, region);
        for trace in recorded(&format!("{folder}/traces")) {
            site.fake.put_trace(&place, trace);
        }
        for execution in files(&format!("{folder}/executions")) {
            let arn = execution["executionArn"].as_str().expect("an ARN").to_owned();
            site.fake.put_execution(&place, Execution { states: vec![(Duration::ZERO, execution.clone())] });
            recorded_executions.insert(arn, execution);
        }
        let role = format!("arn:aws:iam::{account}:role/rayline");
        accounts.push(format!(r#"{{ id = "{account}", role_arn = "{role}", regions = ["{region}"] }}"#));
    }
    assert!(recorded_executions.len() >= 11, "{} executions", recorded_executions.len());
    site.send_bodies(&recorded_executions.keys().cloned().collect::<Vec<_>>());
    let source = format!(
        r#"plugin = "xray-source"
        grants.events = "file:events.queue"
        grants.xray.accounts = [{}]"#,
        accounts.join(", ")
    );
    let mut host = site.start("one", &source, OPTIONS);
    host.until("every execution in the archive", |_| {
        std::thread::sleep(Duration::from_millis(500));
        let mut missing = recorded_executions.clone();
        for execution in messages(&site.archived()).iter().filter_map(|message| message["executions"].as_array()) {
            for execution in execution {
                let arn = execution["executionArn"].as_str().expect("an ARN");
                if let Some(recorded) = missing.remove(arn) {
                    assert_eq!(*execution, recorded);
                }
            }
        }
        missing.is_empty().then_some(())
    });
    host.stops();
}

/// Whether a segment of it was still in progress when it was recorded.
fn is_open(trace: &Trace) -> bool {
    trace.arrivals.iter().any(|arrival| arrival.document["end_time"].is_null())
}

/// The traces of the messages in a folder; none where it is not there. Of one that is there more than once, the largest.
fn recorded(folder: &str) -> Vec<Trace> {
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    for message in files(folder) {
        let inner = [&message, &message["trace"]];
        let lists = inner.iter().filter_map(|it| it["Traces"].as_array()).flatten();
        for trace in lists.chain(inner).filter(|it| it["Segments"].is_array()) {
            let Some(trace) = read(trace) else { continue };
            let known = traces.get(&trace.id).map_or(0, |known| known.arrivals.len());
            if trace.arrivals.len() > known {
                traces.insert(trace.id.clone(), trace);
            }
        }
    }
    traces.into_values().collect()
}

/// Those files of a folder that are JSON; none where it is not there.
fn files(folder: &str) -> Vec<Value> {
    let Ok(files) = fs::read_dir(workspace(folder)) else { return Vec::new() };
    let read = |path| serde_json::from_slice(&fs::read(path).ok()?).ok();
    files.map(|entry| entry.expect("an entry").path()).filter_map(read).collect()
}

/// Only what X-Ray itself would take: an id of its form, documents that are JSON with an id.
fn read(trace: &Value) -> Option<Trace> {
    let id = trace["Id"].as_str().filter(|id| id.len() == 35)?;
    let documents = trace["Segments"].as_array()?.iter().map(|segment| {
        let document: Value = serde_json::from_str(segment["Document"].as_str()?).ok()?;
        document["id"].is_string().then_some(Arrival { after: Duration::ZERO, document })
    });
    Some(Trace { id: id.to_owned(), arrivals: documents.collect::<Option<_>>()? })
}
