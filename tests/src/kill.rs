//! `kill -9` at each point where something is half done.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::e2e::{assert_same, reasons};
use crate::harness::{Documents, World, generated, lines, malformed, numbered};

/// The main job, and beside it a note of each event that was received. A message comes again soon.
const MAIN_JOB: &str = r#"
    data_dir = "data"

    [sources.inbox]
    plugin = "queue-source"
    grants.queue = { url = "file:inbox.queue", visibility_secs = 1 }
    options.stop_when_empty = true

    [sinks.received]
    plugin = "file-sink"
    inputs = ["inbox"]
    grants.objects = "file:received"
    options.format = "event"
    batch.timeout_secs = 0.01

    [sinks.archive]
    plugin = "archive-sink"
    inputs = ["inbox"]
    grants.objects = "file:archive"
    batch.timeout_secs = 0.01

    [transforms.flatten]
    plugin = "flatten"
    inputs = ["inbox"]

    [sinks.documents]
    plugin = "file-sink"
    inputs = ["flatten"]
    grants.objects = "file:documents"
    options.format = "event"
    batch.timeout_secs = 0.01
"#;

/// What is there in the end, whatever happened on the way.
#[derive(Clone)]
struct State {
    archived: BTreeSet<Vec<u8>>,
    documents: Documents,
    rejected: BTreeSet<(Vec<u8>, String)>,
}

fn state(world: &World) -> State {
    State {
        archived: world.archived("archive").into_iter().map(|message| message.raw).collect(),
        documents: world.documents("documents"),
        rejected: reasons(&world.letters()),
    }
}

fn world() -> World {
    let world = World::new();
    world.send("inbox.queue", &[generated(300), malformed(8)].concat());
    world
}

fn unharmed() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let world = world();
        // However slow the machine is.
        world.run(&MAIN_JOB.replace("visibility_secs = 1", "visibility_secs = 600"));
        assert_eq!(highest_count(&world), 1, "nothing comes twice");
        state(&world)
    })
}

/// The highest receive count of all messages.
fn highest_count(world: &World) -> u64 {
    let events = lines(&world.path("received"));
    let count = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("an event");
        event["attrs"]["receive_count"].as_u64().unwrap_or_else(|| panic!("no receive count in {line}"))
    };
    events.iter().map(|(_, line)| count(line)).max().expect("events")
}

/// Kills at the named point; the folders of `safe` must hold something then. Then runs to the end.
fn check(point: &str, safe: &[&str]) {
    let world = world();
    dies(&world, MAIN_JOB, point);
    for folder in safe {
        assert!(!lines(&world.path(folder)).is_empty(), "nothing is in {folder} at {point}");
    }
    goes_on(&world, unharmed());
}

fn dies(world: &World, pipeline: &str, point: &str) {
    world.write("pipeline.toml", pipeline);
    let mut host = world.rayline(&["run", "pipeline.toml"]).env("FAILPOINTS", format!("{point}=return")).start();
    host.until_it_says("reached ");
    assert_eq!(host.kill().status.signal(), Some(9));
}

/// The main job, to its end.
fn goes_on(world: &World, expected: &State) {
    world.run(MAIN_JOB);
    assert!(highest_count(world) > 1, "nothing was in flight and came again");
    let found = state(world);
    assert!(found.archived == expected.archived, "{} messages are archived", found.archived.len());
    assert_same(&found.documents, &expected.documents);
    assert!(found.rejected == expected.rejected, "{} rejections", found.rejected.len());
    assert_eq!(world.take("inbox.queue"), [] as [Value; 0], "the queue is empty");
}

#[test]
fn after_receive() {
    check("after-receive", &[]);
}

#[test]
fn after_the_archive_put() {
    check("after-write-archive", &["archive"]);
}

#[test]
fn after_the_documents_are_written() {
    check("after-write-documents", &["documents"]);
}

#[test]
fn before_settling() {
    check("before-settle", &["documents", "archive"]);
}

#[test]
fn inside_a_dead_letter_write() {
    check("in-dead-letter-write", &[]);
}

/// A large object lies beside its place until all of it is there.
#[test]
fn before_a_large_dead_letter_is_committed() {
    let world = world();
    let large = format!("this is no JSON {}", "x".repeat(9 << 20)).into_bytes();
    world.send("inbox.queue", &[&large]);
    // The sinks wait for more, so that nothing else is committed.
    let waiting = "batch = { max_bytes = 33_554_432, max_events = 100_000, timeout_secs = 3600 }";
    let pipeline = MAIN_JOB.replace("batch.timeout_secs = 0.01", waiting);
    dies(&world, &pipeline.replace("stop_when_empty = true", "stop_when_empty = false"), "before-object-commit");
    assert_eq!(half_written(&world.path("data/dead-letter")), 1);

    let mut expected = unharmed().clone();
    expected.archived.insert(large.clone());
    expected.rejected.insert((large, "not an X-Ray message".to_owned()));
    goes_on(&world, &expected);
}

/// How many files below a folder are named `KEY#NUMBER`.
fn half_written(folder: &Path) -> usize {
    let paths = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| if path.is_dir() { half_written(&path) } else { path.to_string_lossy().matches('#').count() })
        .sum()
}

/// The first checkpoint is saved, the second is written but not there: the replay goes on from the first.
#[test]
fn between_writing_and_renaming_a_checkpoint() {
    let world = World::new();
    let messages = numbered(300);
    for (n, messages) in messages.chunks(10).enumerate() {
        world.write(&format!("archive/{n:03}.ndjson"), messages.join("\n"));
    }
    world.write(
        "replay.toml",
        r#"
        data_dir = "data"
        [sources.archive]
        plugin = "archive-source"
        grants.objects = "file:archive"
        [sinks.queue]
        plugin = "queue-sink"
        inputs = ["archive"]
        grants.queue = "file:out.queue"
        batch.timeout_secs = 0.01
        "#,
    );
    let mut host = world
        .rayline(&["replay", "replay.toml", "--rate", "50"])
        .env("FAILPOINTS", "before-checkpoint-rename=1*off->return")
        .start();
    host.until_it_says("reached before-checkpoint-rename");
    assert_eq!(host.kill().status.signal(), Some(9));
    let checkpoints: Vec<_> = std::fs::read_dir(world.path("data/checkpoints/replay"))
        .expect("checkpoints")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(BTreeSet::from_iter(checkpoints), BTreeSet::from(["archive-0".into(), "archive-0.new".into()]));

    world.rayline(&["replay", "replay.toml"]).succeeds();
    let bodies: Vec<String> = world.take("out.queue").iter().map(|event| event["body"].to_string()).collect();
    let different: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(different.len(), messages.len(), "every message was replayed");
    assert!(bodies.len() > messages.len(), "nothing was in flight and came again");
    assert!(bodies.len() < 2 * messages.len(), "it began anew instead of going on: {}", bodies.len());
}
