//! `rayline dead-letter`, also while the host runs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{World, guest, lines, numbered};

/// From a queue through a transform to a sink that fails and to one that does not.
fn pipeline(transform: &str, sink: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:in.queue"
        [transforms.middle]
        plugin = {:?}
        inputs = ["in"]
        {transform}
        [sinks.faulty]
        plugin = {:?}
        inputs = ["middle"]
        grants.queue = "file:out.queue"
        batch.timeout_secs = 0.1
        {sink}
        [sinks.files]
        plugin = "file-sink"
        inputs = ["middle"]
        grants.objects = "file:files"
        batch.timeout_secs = 0.1
        "#,
        guest("guest-transform"),
        guest("guest-sink")
    )
}

const HARMLESS: &str = "options.fault = \"none\"";

/// How often each number is in the files.
fn written(world: &World) -> BTreeMap<u64, usize> {
    let mut written = BTreeMap::new();
    for (_, line) in lines(&world.path("files")) {
        let body: Value = serde_json::from_str(&line).expect("JSON");
        *written.entry(body["n"].as_u64().expect("a number")).or_default() += 1;
    }
    written
}

fn sent(world: &World) -> Vec<u64> {
    let events = world.take("out.queue");
    let mut numbers: Vec<u64> = events.iter().map(|event| event["body"]["n"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

fn each_once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    numbers.into_iter().map(|n| (n, 1)).collect()
}

#[test]
fn messages_are_listed_shown_and_replayed_while_the_host_runs() {
    let world = World::new();
    world.send("in.queue", &numbered(200));
    let mut host = world.start(&pipeline("options = { fault = \"panic\", at = \"7}\" }", ""));
    host.until("20 dead letters", |_| (world.letters().len() == 20).then_some(()));
    host.until("the others", |_| (written(&world).len() == 180).then_some(()));

    let listed = world.rayline(&["dead-letter", "list", "pipeline.toml"]).succeeds().stdout;
    assert!(listed.contains("middle: ") && listed.contains("asked to panic"), "{listed}");
    let object = listed.lines().next().expect("an object").to_owned();
    let shown = world.rayline(&["dead-letter", "show", "pipeline.toml", &object]).succeeds();
    shown.says("\"reason\": \"panicked at").says("\"stage\": \"middle\"").says("{\\\"n\\\":");

    // With the cause still there everything comes again, in new objects.
    world.rayline(&["dead-letter", "replay", "pipeline.toml"]).succeeds().says("delivered and deleted");
    assert_eq!(world.letters().len(), 20);
    let relisted = world.rayline(&["dead-letter", "list", "pipeline.toml"]).succeeds().stdout;
    assert!(!relisted.contains(&object), "{object} was replayed and is still there:\n{relisted}");

    world.write("pipeline.toml", pipeline(HARMLESS, ""));
    world.rayline(&["dead-letter", "replay", "pipeline.toml"]).succeeds().says("0 kept");
    assert_eq!(world.rayline(&["dead-letter", "list", "pipeline.toml"]).succeeds().stdout, "");
    host.signal("TERM");
    host.ends().with_code(0);
    assert_eq!(written(&world), each_once(0..200));
    assert_eq!(sent(&world), (0..200).collect::<Vec<_>>());
}

#[test]
fn events_are_given_to_one_stage_alone() {
    let world = World::new();
    world.send("in.queue", &numbered(100));
    let mut host = world.start(&pipeline(HARMLESS, "options.reject = \"5}\""));
    host.until("10 dead letters", |_| (world.letters().len() == 10).then_some(()));
    host.until("the files", |_| (written(&world).len() == 100).then_some(()));

    world.write("pipeline.toml", pipeline(HARMLESS, ""));
    let replay = |at| world.rayline(&["dead-letter", "replay", "pipeline.toml", "--at", at]);
    replay("nobody")
        .ends()
        .with_code(1)
        .says("pipeline.toml has no stage `nobody`: use one of in, middle, faulty, files");
    replay("middle").succeeds().says("0 delivered and deleted");
    assert_eq!(world.letters().len(), 10, "letters of another stage stay");
    replay("faulty").succeeds().says("0 kept");
    assert_eq!(world.letters().len(), 0);
    host.signal("TERM");
    host.ends().with_code(0);
    assert_eq!(sent(&world), (0..100).collect::<Vec<_>>());
    assert_eq!(written(&world), each_once(0..100), "the other sink got nothing twice");
}
