//! Recorded traces.

use std::fs;

use super::super::folder::Folder;
use super::*;
use crate::pipeline::XrayGrant;
use crate::stage::bindings::xray::{ExecutionQuery, SummaryQuery, TraceQuery};

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:orders";
const EARLY: &str = "1-00000064-a006649127e371903a2de979";
const LATE: &str = "1-000000c8-b006649127e371903a2de979";

/// One account with two executions and two traces, one in each form of a file.
fn recorded() -> (tempfile::TempDir, Folder) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(HERE).join(REGION);
    let write = |name: &str, value: Value| {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    };
    let execution = |name: &str, start: f64, stop: f64| {
        json!({
            "executionArn": format!("arn:aws:states:eu-west-1:111122223333:execution:orders:{name}"),
            "stateMachineArn": MACHINE, "name": name, "status": "SUCCEEDED", "startDate": start, "stopDate": stop,
            "input": "{}",
        })
    };
    write("executions/a.json", execution("a", 1.5, 3.5));
    write("executions/b.json", execution("b", 1.25, 9.5));
    let trace = |id: &str, document: Value| json!({"Id": id, "Duration": 1.5, "Segments": [{"Id": "s", "Document": document.to_string()}]});
    let early = trace(EARLY, json!({"name": "orders", "error": true, "in_progress": true}));
    let late = trace(LATE, json!({"name": "pay \"now\""}));
    write("traces/early.json", early);
    write("traces/late.json", json!({"Traces": [late], "UnprocessedTraceIds": []}));
    fs::write(place.join("traces/notes.txt"), "no trace").unwrap();
    fs::write(place.join("traces/half.json"), "{").unwrap();
    let opened = Folder::open(folder.path()).unwrap();
    (folder, opened)
}

fn summaries(folder: &Folder, after: u64, before: u64, filter: Option<&str>) -> Vec<String> {
    const SECOND: u64 = 1_000_000_000;
    let place = place(HERE, REGION);
    let filter = filter.map(str::to_owned);
    let query = SummaryQuery { place, after: after * SECOND, before: before * SECOND, filter, next: None };
    let page = folder.trace_summaries(&[query]).remove(0).unwrap();
    let page = parsed(&page.json);
    page.as_array().unwrap().iter().map(|summary| summary["Id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn everything_of_a_folder() {
    let (_folder, folder) = recorded();
    let places: Vec<Place> = folder.places().into_iter().map(Result::unwrap).collect();
    assert_eq!(places.len(), 1);
    assert_eq!((places[0].account.as_str(), places[0].region.as_str()), (HERE, REGION));

    let arn = |name: &str| format!("arn:aws:states:eu-west-1:111122223333:execution:orders:{name}");
    let express = "arn:aws:states:eu-west-1:111122223333:express:orders:a:b".to_owned();
    let elsewhere = "arn:aws:states:eu-west-1:444455556666:execution:orders:a".to_owned();
    let described = folder.describe_executions(&[arn("b"), arn("c"), express, elsewhere]);
    let expected = [
        "ok",
        "not found: there is no execution arn:aws:states:eu-west-1:111122223333:execution:orders:c",
        "permanent: executions of EXPRESS state machines have no description",
        "permanent: the account 444455556666 in eu-west-1 is not one of those that are granted",
    ];
    assert_eq!(verdicts(&described), expected);
    let answer = described[0].as_ref().unwrap();
    assert!(parsed(&answer.json)["input"] == "{}" && is_now(answer.date), "{answer:?}");

    let machines = folder.state_machines(&places).remove(0).unwrap();
    let expected = json!([{"stateMachineArn": MACHINE, "name": "orders", "type": "STANDARD", "creationDate": 0}]);
    assert_eq!(parsed(&machines.json), expected);

    let query =
        |status: &str| ExecutionQuery { state_machine: MACHINE.to_owned(), status: status.to_owned(), next: None };
    let pages = folder.executions(&[query("SUCCEEDED"), query("FAILED")]);
    let page = parsed(&pages[0].as_ref().unwrap().json);
    assert_eq!((page[0]["name"].clone(), page[1]["name"].clone()), (json!("b"), json!("a")), "what ended last first");
    assert_eq!(page[0].get("input"), None);
    assert_eq!(pages[1].as_ref().unwrap().json, "[]");

    let query = |id: &str| TraceQuery { place: places[0].clone(), id: id.to_owned() };
    let missing = "1-58406520-a006649127e371903a2de979";
    let traces = folder.traces(&[query(LATE), query(EARLY), query(missing), query("x")]);
    let not_found = format!("not found: there is no trace {missing}, or not yet");
    assert_eq!(verdicts(&traces), ["ok", "ok", not_found.as_str(), "permanent: \"x\" is no id of a trace"]);
    assert_eq!(parsed(&traces[0].as_ref().unwrap().json)["Id"], LATE);
}

#[test]
fn summaries_of_a_folder() {
    let (_folder, folder) = recorded();
    assert_eq!(summaries(&folder, 0, 300, None), [LATE, EARLY]);
    assert_eq!(summaries(&folder, 150, 300, None), [LATE]);
    assert_eq!(summaries(&folder, 0, 300, Some(r#"service(id(name: "orders"))"#)), [EARLY]);
    assert_eq!(summaries(&folder, 0, 300, Some(r#"resource.arn = "nowhere""#)), [] as [&str; 0]);
}

#[test]
fn what_is_added_is_found() {
    let (on_disk, folder) = recorded();
    assert_eq!(summaries(&folder, 300, 500, None), [] as [&str; 0]);
    let id = "1-00000190-a006649127e371903a2de979";
    let path = on_disk.path().join(HERE).join(REGION).join("traces/half.json");
    fs::write(path, json!({"Id": id, "Segments": []}).to_string()).unwrap();
    assert_eq!(summaries(&folder, 300, 500, None), [id]);
    let list = json!([{"stateMachineArn": MACHINE, "name": "orders", "type": "EXPRESS"}]);
    fs::write(on_disk.path().join(HERE).join(REGION).join("state-machines.json"), list.to_string()).unwrap();
    let machines = folder.state_machines(&[place(HERE, REGION)]).remove(0).unwrap();
    assert_eq!(parsed(&machines.json), list);
}

#[tokio::test]
async fn a_folder_that_is_not_there() {
    let error = Xray::open(&XrayGrant::Folder("/nowhere/traces".into())).await.err().unwrap();
    assert!(error.to_string().starts_with("the folder /nowhere/traces of recorded traces cannot be read: "), "{error}");
}
