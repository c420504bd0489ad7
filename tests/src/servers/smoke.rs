//! Each server starts and answers, and ends when it should.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::is_free;
use super::{Engine, Settings, elasticmq, moto, search, search_with, unique};

#[test]
fn search_servers_index_and_find() {
    for engine in Engine::ALL {
        let server = search(engine);
        let nodes = server.get("/_nodes/_local?filter_path=nodes.*.version").json();
        let versions: Vec<&Value> =
            nodes["nodes"].as_object().expect("nodes").values().map(|node| &node["version"]).collect();
        assert_eq!(versions, [engine.version()]);
        let index = unique("smoke");
        server.request("PUT", &format!("/{index}/_doc/1?refresh=true"), r#"{"a":1}"#).ok();
        let found = server.request("POST", &format!("/{index}/_search"), r#"{"query":{"term":{"a":1}}}"#).json();
        assert_eq!(found["hits"]["hits"][0]["_id"], "1", "{engine:?}");
    }
}

#[test]
fn a_search_server_of_ones_own_keeps_its_data() {
    let mut server = search_with(Engine::OpenSearch2, Settings::default());
    server.request("PUT", "/kept/_doc/1?refresh=true", r#"{"a":1}"#).ok();
    server.kill();
    server.start_again();
    server.get("/_cluster/health/kept?wait_for_status=yellow&timeout=60s").ok();
    assert_eq!(server.get("/kept/_doc/1").json()["_source"], json!({"a": 1}));
    server.pause();
    server.resume();
    assert_eq!(server.get("/kept/_doc/1").json()["_source"], json!({"a": 1}));
}

#[test]
fn elasticsearch_with_its_security_on() {
    let server = search_with(Engine::Elasticsearch8, Settings { password: Some("correct horse"), tls: true });
    assert!(server.url.starts_with("https://"));
    assert_eq!(server.get("/_security/_authenticate").json()["username"], "elastic");
}

#[test]
fn queues_of_both_kinds() {
    for sqs in [&moto().sqs, &elasticmq().sqs] {
        let queue = sqs.create_queue(&unique("smoke"), &[("VisibilityTimeout", "60")]);
        sqs.send(&queue, "hello");
        assert_eq!(sqs.depth(&queue), (1, 0), "{sqs:?}");
        let received = sqs.call("ReceiveMessage", &json!({"QueueUrl": queue}));
        assert_eq!(received["Messages"][0]["Body"], "hello");
        assert_eq!(sqs.depth(&queue), (0, 1), "{sqs:?}");
    }
}

#[test]
fn buckets() {
    let bucket = unique("smoke");
    moto().create_bucket(&bucket);
    moto().s3("PUT", &format!("/{bucket}/a/key"), "content").ok();
    assert_eq!(moto().s3("GET", &format!("/{bucket}/a/key"), "").ok(), "content");
    assert_eq!(moto().s3("GET", &format!("/{bucket}/none"), "").status, 404);
}

/// Starts the tests' own binary for the one test below, kills it, and sees its server go.
#[test]
fn a_killed_test_process_leaves_no_server() {
    let tests = std::env::current_exe().expect("the tests");
    let mut child = Command::new(tests)
        .args(["--exact", "servers::smoke::holds_a_server", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tests start");
    let url = BufReader::new(child.stdout.take().expect("a pipe"))
        .lines()
        .map(|line| line.expect("a line"))
        .find_map(|line| Some(line.split_once("a server at ")?.1.to_owned()))
        .expect("an address");
    let (url, folder) = url.split_once(' ').expect("a folder");
    let port = url.rsplit(':').next().expect("a port").parse().expect("a port");
    assert!(!is_free(port) && Path::new(folder).is_dir());
    child.kill().expect("a child");
    child.wait().expect("a child");
    for _ in 0..600 {
        if is_free(port) && !Path::new(folder).exists() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("{url} outlives the tests, or {folder} does");
}

#[test]
#[ignore = "run by the test above"]
fn holds_a_server() {
    let moto = moto();
    println!("a server at {} {}", moto.url, moto.process.folder().display());
    loop {
        sleep(Duration::from_secs(60));
    }
}
