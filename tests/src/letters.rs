//! `rayline dead-letter`, also while the host runs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{World, generated, get, guest, lines, metric, numbered};

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
    host.stops();
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
    host.stops();
    assert_eq!(sent(&world), (0..100).collect::<Vec<_>>());
    assert_eq!(written(&world), each_once(0..100), "the other sink got nothing twice");
}

#[test]
fn events_that_fail_again_keep_their_source_message() {
    let world = World::new();
    let message = generated(1);
    world.send("in.queue", &message);
    let pipeline = |options: &str| {
        format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue = "file:in.queue"
            options.stop_when_empty = true
            [transforms.flatten]
            plugin = "flatten"
            inputs = ["in"]
            [sinks.faulty]
            plugin = {:?}
            inputs = ["flatten"]
            grants.queue = "file:out.queue"
            {options}
            "#,
            guest("guest-sink")
        )
    };
    world.run(&pipeline("options.reject = \"{\""));
    let documents = world.letters().len();
    let list = || world.rayline(&["dead-letter", "list", "pipeline.toml"]).succeeds().stdout;
    let (before, all_of_it) = (list(), |world: &World| {
        let letters = world.letters();
        letters.len() == documents && letters.iter().all(|letter| message.contains(&letter.message))
    });
    assert!(documents > 1 && all_of_it(&world));

    world.rayline(&["dead-letter", "replay", "pipeline.toml", "--at", "faulty"]).succeeds().says("0 kept");
    assert_ne!(list(), before, "there is a new object");
    assert!(all_of_it(&world), "with the message that the source read");

    world.write("pipeline.toml", pipeline(""));
    world.rayline(&["dead-letter", "replay", "pipeline.toml"]).succeeds().says("0 kept");
    assert_eq!(list(), "");
    assert_eq!(world.take("out.queue").len(), documents, "flatten made them of the message");
}

#[test]
fn what_is_no_letter_is_passed_over() {
    let world = World::new();
    world.send("in.queue", &numbered(10));
    let rejecting = pipeline(HARMLESS, "options.reject = \"5}\"")
        .replace("[sources.in]", "[sources.in]\noptions.stop_when_empty = true");
    world.run(&rejecting);
    world.write("data/dead-letter/pipeline/rayline-validate-0123456789abcdef", "a check whether this can be written");
    world.write("data/dead-letter/pipeline/year=2025/notes.txt", "no letter");

    world.write("pipeline.toml", pipeline(HARMLESS, ""));
    let told = "warning: the object year=2025/notes.txt is passed over: line 1 is no letter";
    let listed = world.rayline(&["dead-letter", "list", "pipeline.toml"]).succeeds().says(told).says("asked to reject");
    assert!(!listed.stderr.contains("rayline-validate"), "{}", listed.stderr);
    let replay = || world.rayline(&["dead-letter", "replay", "pipeline.toml"]).succeeds().says(told);
    replay().says("1 delivered and deleted, 1 kept");
    replay().says("0 delivered and deleted, 1 kept");
    assert_eq!(sent(&world), (0..10).collect::<Vec<_>>());
}

/// Whatever waits for the dead letter: `/health` and `/metrics` say so.
#[test]
fn a_dead_letter_that_cannot_be_written_is_seen() {
    let world = World::new();
    world.send("in.queue", &numbered(10));
    let rejecting = pipeline(HARMLESS, "options.reject = \"5}\"");
    // Where its first folder would be there is a file.
    let year = format!("year={}", jiff::Timestamp::now().strftime("%Y"));
    world.write(&format!("data/dead-letter/pipeline/{year}"), "");
    let mut host = world.start(&format!("api.address = \"127.0.0.1:0\"\n{rejecting}"));
    let address = host.address();
    let health = host.until("a problem", |_| {
        let (status, health) = get(&address, "/health")?;
        (status == 503).then_some(health)
    });
    let health: Value = serde_json::from_str(&health).expect("JSON");
    let problem = health["pipelines"][0]["dead_letter"]["problem"].as_str();
    assert!(problem.is_some_and(|reason| reason.contains(&year)), "{health}");
    let failing = || metric(&get(&address, "/metrics")?.1, &["pipeline_dead_letter_failing{"]);
    assert_eq!(failing(), Some(1.0));

    std::fs::remove_file(world.path(&format!("data/dead-letter/pipeline/{year}"))).expect("a file");
    host.until("the letter", |_| (get(&address, "/health")?.0 == 200 && world.letters().len() == 1).then_some(()));
    assert_eq!(failing(), Some(0.0));
    host.stops();
}
