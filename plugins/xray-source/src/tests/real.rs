//! Real traces.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::trace::Facts;

fn data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/xray-data");
    if !data.is_dir() {
        println!("skipped: no real traces at {}", data.display());
        return None;
    }
    Some(data)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn traces(value: Value) -> Vec<Value> {
    match value["Traces"].as_array() {
        Some(traces) => traces.clone(),
        None => vec![value],
    }
}

#[test]
fn facts_of_real_traces() {
    let Some(data) = data() else { return };
    let mut seen = 0;
    for entry in fs::read_dir(data.join("traces")).unwrap() {
        let path = entry.unwrap().path();
        for trace in traces(read(&path)) {
            let facts = Facts::read(&trace.to_string());
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(!facts.is_in_progress, "{name}: all of them are finished, some with clipped leaves");
            assert!(facts.latest_end > 0, "{name}");
            if name.starts_with("iatk-trace01") {
                assert_eq!(facts.executions.len(), 3);
            }
            let mut turned = trace.clone();
            turned["Segments"].as_array_mut().unwrap().reverse();
            assert_eq!(Facts::read(&turned.to_string()).digest, facts.digest, "{name}");
            turned["Segments"].as_array_mut().unwrap().pop();
            assert_ne!(Facts::read(&turned.to_string()).digest, facts.digest, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 19, "{seen}");
    for (file, in_progress, full) in [
        ("sfn-standard-v1-in-progress.json", true, false),
        ("sfn-standard-v2-complete.json", false, false),
        ("limit-exceeded.json", false, true),
    ] {
        let facts = Facts::read(&traces(read(&data.join("synthetic").join(file)))[0].to_string());
        assert_eq!((facts.is_in_progress, facts.limit_exceeded), (in_progress, full), "{file}");
    }
}

#[test]
fn status_events_as_they_are_documented() {
    let Some(data) = data() else { return };
    let arn = "arn:aws:states:us-east-1:012345678912:execution:state-machine-name:execution-name";
    for (file, status) in [("running", "RUNNING"), ("succeeded", "SUCCEEDED"), ("failed", "FAILED")] {
        testing::xray::place(XRAY, "012345678912", "us-east-1");
        testing::queue::grant(EVENTS);
        let mut collector = Collector::open("{}", None);
        let body = fs::read_to_string(data.join(format!("events/sfn-execution-{file}.json"))).unwrap();
        notify(&body);
        let bodies = collector.collect();
        assert_eq!(bodies.len(), 1, "{file}");
        assert_eq!(bodies[0]["executions"][0]["executionArn"], arn);
        assert_eq!(bodies[0]["executions"][0]["status"], status);
        testing::queue::take(EVENTS);
    }
}

/// One trace with three executions, one of them clipped at 64 KB.
#[test]
fn a_real_trace_is_settled() {
    let Some(data) = data() else { return };
    testing::xray::place(XRAY, "123456789012", "us-east-1");
    testing::queue::grant(EVENTS);
    let trace = traces(read(&data.join("traces/iatk-trace01.json"))).remove(0);
    testing::xray::put_trace(XRAY, "123456789012", "us-east-1", trace.clone());
    let told = read(&data.join("synthetic/describe-execution-iatk-trace01.json"));
    testing::xray::put_execution(XRAY, told.clone());
    let mut collector = Collector::open("{}", None);
    notify(told["executionArn"].as_str().unwrap());
    let run = collector.run(60);
    let verdicts: Vec<&str> = run.iter().map(|(_, body)| body["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["partial", "settled"]);
    assert_eq!(run[1].1["trace"], trace, "as X-Ray gave it");
    assert_eq!(run[1].1["executions"], json!([told]));
    assert_queue_is_empty();
}

/// Running, then failed: from the one state to the other.
#[test]
fn an_execution_that_ends_between_two_fetches() {
    let Some(data) = data() else { return };
    testing::xray::place(XRAY, "210987654321", "eu-west-1");
    testing::queue::grant(EVENTS);
    let put = |version: &str, status: &str| {
        let trace = traces(read(&data.join(format!("synthetic/sfn-standard-{version}.json")))).remove(0);
        testing::xray::put_trace(XRAY, "210987654321", "eu-west-1", trace);
        let told = read(&data.join(format!("synthetic/describe-execution-{status}.json")));
        testing::xray::put_execution(XRAY, told.clone());
        told["executionArn"].as_str().unwrap().to_owned()
    };
    let mut collector = Collector::open("{}", None);
    notify(&put("v1-in-progress", "v1-running"));
    assert_eq!(shorts(&collector.run(10)), ["0 partial(order-1001=RUNNING)+1"]);
    put("v2-complete", "v2-failed");
    let run = shorts(&collector.run(100));
    assert_eq!(run, ["5 partial(order-1001=FAILED)+2", "20 settled(order-1001=FAILED)+2"]);
    assert_queue_is_empty();
}
