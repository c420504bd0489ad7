//! The other commands, signals, exit codes, logs, metrics.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::{World, generated, get, guest, lines, malformed, metric, numbered};

/// From a queue to a folder.
fn copying(data_dir: &str, queue: &str, folder: &str, more: &str) -> String {
    format!(
        r#"
        data_dir = "{data_dir}"
        {more}
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:{queue}"
        [sinks.out]
        plugin = "file-sink"
        inputs = ["in"]
        grants.objects = "file:{folder}"
        batch.timeout_secs = 0.1
        "#
    )
}

fn written(world: &World, folder: &str) -> BTreeSet<String> {
    lines(&world.path(folder)).into_iter().map(|(_, line)| line).collect()
}

#[test]
fn what_is_asked_without_a_pipeline() {
    let world = World::new();
    for (args, code, says) in [
        (&["--version"][..], 0, "stage contract: rayline:stage@0.1.0"),
        (&["--help"], 0, "Exit codes:"),
        (&["replay", "--help"], 0, "--dry-run"),
        (&["completion", "bash"], 0, "complete -F _rayline"),
        (&["completion", "zsh"], 0, "#compdef rayline"),
        (&["plugin", "list"], 0, "flatten            transform"),
        (&["plugin", "show", "flatten"], 0, "flatten: a transform"),
        (&["plugin", "show", "queue-source"], 0, "grants.queue (queue, required)"),
        (&["plugin", "show", "archive-source"], 0, "\"rate_per_sec\""),
        (&[], 2, "Usage:"),
        (&["rum"], 2, "unrecognized subcommand 'rum'"),
        (&["run", "missing.toml"], 1, "cannot read the pipeline file missing.toml"),
        (&["validate", "missing.toml"], 1, "cannot read the pipeline file missing.toml"),
        (&["replay", "missing.toml"], 1, "cannot read the pipeline file missing.toml"),
        (&["plugin", "build", "."], 1, "there is no Cargo.toml in"),
    ] {
        world.rayline(args).ends().with_code(code).says(says);
    }
    let listed = world.rayline(&["plugin", "list"]).succeeds().stdout;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    let shipped = [
        "archive-sink",
        "archive-source",
        "elasticsearch-sink",
        "file-sink",
        "flatten",
        "print-sink",
        "queue-sink",
        "queue-source",
        "xray-source",
    ];
    assert_eq!(names, shipped);
}

#[test]
fn a_plugin_that_cannot_be_used_is_refused_with_the_reason() {
    let world = World::new();
    let component = fs::read(guest("guest-transform")).expect("a component");
    let later = replaced(&component, b"@0.1.0", b"@0.2.0");
    world.write("text.wasm", "not WebAssembly at all");
    world.write("module.wasm", b"\0asm\x01\0\0\0");
    world.write("later.wasm", later);
    world.write("cut.wasm", &component[..component.len() / 2]);
    for (file, says) in [
        ("./missing.wasm", "there is no such file"),
        ("./text.wasm", "the file is not WebAssembly"),
        ("./module.wasm", "the file is a WebAssembly module, not a component"),
        ("./later.wasm", "0.2.0"),
        ("./cut.wasm", "cut.wasm"),
        ("flaten", "no plugin of this name is shipped with this host"),
    ] {
        world.rayline(&["plugin", "show", file]).ends().with_code(1).says(says);
        let pipeline = copying("data", "q", "f", "").replace("\"file-sink\"", &format!("{file:?}"));
        world.write("pipeline.toml", pipeline);
        world.rayline(&["run", "pipeline.toml"]).ends().with_code(2).says("sinks.out.plugin");
    }
    let transform = guest("guest-transform");
    world.write("pipeline.toml", copying("data", "q", "f", "").replace("\"file-sink\"", &format!("{transform:?}")));
    world.rayline(&["validate", "pipeline.toml"]).ends().with_code(2).says("transform");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn validate_names_every_file() {
    let world = World::new();
    world.write("good.toml", copying("data", "q", "f", ""));
    world.write("bad.toml", copying("data", "q", "f", "limit = 1"));
    world.rayline(&["validate", "good.toml"]).succeeds().says("good.toml: ok, 2 stages");
    let both = world.rayline(&["validate", "good.toml", "bad.toml"]).ends().with_code(2);
    both.says("good.toml: ok").says("bad.toml:3").says("limits");
    assert!(!world.path("q").exists() && !world.path("f").exists(), "validate makes nothing");
}

#[test]
fn two_pipelines_in_one_host() {
    let world = World::new();
    for name in ["one", "two"] {
        world.send(&format!("{name}.queue"), &numbered(10));
        world.share_cache(&format!("data-{name}"));
        world.write(
            &format!("{name}.toml"),
            copying(&format!("data-{name}"), &format!("{name}.queue"), name, "api.address = \"127.0.0.1:0\""),
        );
    }
    let mut host = world.rayline(&["run", "one.toml", "two.toml"]).start();
    let address = host.address();
    for name in ["one", "two"] {
        host.until(name, |_| (written(&world, name).len() == 10).then_some(()));
    }
    let (_, health) = get(&address, "/health").expect("health");
    assert!(health.contains("\"name\":\"one\"") && health.contains("\"name\":\"two\""), "{health}");
    host.stops();
}

#[test]
fn a_data_dir_has_one_host() {
    let world = World::new();
    let mut host = world.start(&copying("data", "in.queue", "out", ""));
    host.until_it_says("running");
    world.rayline(&["run", "pipeline.toml"]).ends().with_code(4).says("another host works in");
    host.kill();
    let mut host = world.rayline(&["run", "pipeline.toml"]).start();
    host.until_it_says("running");
}

#[test]
fn a_signal_stops_in_good_order() {
    for signal in ["TERM", "INT"] {
        let world = World::new();
        let messages = numbered(3000);
        world.send("in.queue", &messages);
        // What was read waits in a batch that is far from full.
        let pipeline = copying("data", "in.queue", "out", "").replace("timeout_secs = 0.1", "timeout_secs = 3600");
        let pipeline = pipeline.replace("batch.", "batch.max_events = 100_000\nbatch.max_bytes = 100_000_000\nbatch.");
        let mut host = world.start(&(pipeline + "\n[sinks.seen]\nplugin = \"print-sink\"\ninputs = [\"in\"]\ngrants.output = \"stdout\"\nbatch.timeout_secs = 0.01"));
        host.until("something in flight", |host| (!host.stdout().is_empty()).then_some(()));
        assert!(written(&world, "out").is_empty());
        host.signal(signal);
        let ended = host.ends().with_code(0);
        let read = ended.stdout.lines().count();
        let mut all = written(&world, "out");
        assert_eq!(all.len(), read, "what was read is written");
        let left = world.take("in.queue");
        assert_eq!(left.len() + read, messages.len(), "and nothing else");
        assert!(left.iter().all(|event| event["attrs"]["receive_count"] == 1), "what was not delivered was not read");
        all.extend(left.iter().map(|event| event["body"].to_string()));
        assert_eq!(all, messages.into_iter().collect());
    }
}

#[test]
fn a_hangup_reads_the_files_again() {
    let world = World::new();
    world.send("in.queue", &numbered(10));
    let mut host = world.start(&copying("data", "in.queue", "first", ""));
    host.until("the first folder", |_| (written(&world, "first").len() == 10).then_some(()));
    world.write("pipeline.toml", "data_dir = 3");
    host.signal("HUP");
    host.until_it_says("the pipeline files have errors");
    fs::remove_file(world.path("pipeline.toml")).expect("a file");
    host.signal("HUP");
    host.until_it_says("cannot read the pipeline file");
    world.write("pipeline.toml", copying("data", "in.queue", "second", ""));
    host.signal("HUP");
    host.until_it_says("starting anew");
    world.send("in.queue", &numbered(20));
    host.until("the second folder", |_| (written(&world, "second").len() == 20).then_some(()));
    assert_eq!(written(&world, "first").len(), 10);
    host.stops();
}

#[test]
fn an_address_that_is_taken_is_said_before_anything_is_read() {
    let world = World::new();
    world.send("in.queue", &numbered(10));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    world.write("pipeline.toml", copying("data", "in.queue", "out", &format!("api.address = \"{address}\"")));
    world.rayline(&["run", "pipeline.toml"]).ends().with_code(1).says("is another host there?");
    let left = world.take("in.queue");
    assert_eq!(left.len(), 10);
    assert!(left.iter().all(|event| event["attrs"]["receive_count"] == 1), "{left:?}");
}

/// What a terminal's pager does that nobody scrolls.
#[test]
fn a_host_whose_output_nobody_reads_ends_when_it_is_told_twice() {
    let world = World::new();
    // More than a pipe holds.
    world.send("in.queue", &[format!("{{\"x\":\"{}\"}}", "x".repeat(200_000))]);
    world.write(
        "pipeline.toml",
        r#"
        data_dir = "data"
        api.address = "127.0.0.1:0"
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:in.queue"
        [sinks.out]
        plugin = "print-sink"
        inputs = ["in"]
        grants.output = "stdout"
        "#,
    );
    let mut host = world.rayline(&["run", "pipeline.toml"]).start_unread();
    let address = host.address();
    host.until("an event that cannot be written", |_| {
        let (_, page) = get(&address, "/metrics")?;
        metric(&page, &["component_received_events_total{", "component_id=\"out\""]).filter(|events| *events == 1.0)
    });
    host.signal("TERM");
    host.until_it_says("stopping");
    host.signal("TERM");
    host.ends().with_code(5);
}

#[test]
fn a_replay_takes_what_the_archive_has_and_arguments_that_can_be() {
    let world = World::new();
    world.send("in.queue", &numbered(1));
    world.write("archive/one.json", "{}");
    world.write(
        "replay.toml",
        copying("data", "in.queue", "out", "").replace("inputs = [\"in\"]", "inputs = [\"in\", \"archive\"]")
            + "[sources.archive]\nplugin = \"archive-source\"\ngrants.objects = \"file:archive\"",
    );
    let arguments =
        [("--sha256", "abc"), ("--execution", "foo"), ("--rate", "0")].map(|(argument, value)| [argument, value]);
    for [argument, value] in arguments {
        let says = format!("error: {argument}: ");
        world.rayline(&["replay", "replay.toml", argument, value]).ends().with_code(2).says(&says).says(value);
    }
    let dry = world.rayline(&["replay", "replay.toml", "--dry-run"]).succeeds();
    assert_eq!(dry.stdout, "archive: 1 objects read, 1 messages, 2 bytes would be replayed\n");
    assert_eq!(world.take("in.queue").len(), 1);
}

#[test]
fn logs_are_json_or_text() {
    let world = World::new();
    let mut host = world.start(&copying("data", "in.queue", "out", ""));
    host.until_it_says("running");
    let logs = host.stderr();
    for line in logs.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string() && line["message"].is_string(), "{line}");
    }
    host.stops();
    let mut host = world.rayline(&["run", "pipeline.toml", "--log-format", "text"]).start();
    host.until_it_says("running");
    assert!(!host.stderr().contains('{'), "{}", host.stderr());
    host.kill();
}

#[test]
fn metrics_have_the_right_numbers() {
    let world = World::new();
    // The last is a message of which nothing comes.
    let messages = [generated(100), malformed(4), vec![b"{\"Traces\":[]}".to_vec()]].concat();
    world.send("in.queue", &messages);
    let mut host = world.start(
        r#"
        data_dir = "data"
        api.address = "127.0.0.1:0"
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:in.queue"
        [transforms.flatten]
        plugin = "flatten"
        inputs = ["in"]
        [sinks.out]
        plugin = "file-sink"
        inputs = ["flatten"]
        grants.objects = "file:out"
        batch.timeout_secs = 0.1
        "#,
    );
    let address = host.address();
    let page = host.until("an empty queue", |_| {
        let (_, page) = get(&address, "/metrics")?;
        let of = |state| metric(&page, &["queue_messages{", &format!("state=\"{state}\"")]);
        let empty = of("visible") == Some(0.0) && of("invisible") == Some(0.0);
        let received = metric(&page, &["component_received_events_total{", "component_id=\"in\""]);
        (empty && received == Some(105.0)).then_some(page)
    });
    let of = |name: &str, stage: &str| metric(&page, &[&format!("{name}{{"), &format!("component_id=\"{stage}\"")]);
    let bytes = messages.iter().map(Vec::len).sum::<usize>() as f64;
    let documents = lines(&world.path("out"));
    let document_bytes = documents.iter().map(|(_, body)| body.len()).sum::<usize>() as f64;
    let documents = documents.len() as f64;
    let letters = world.letters().len() as f64;
    for (name, stage, expected) in [
        ("component_sent_events_total", "in", 105.0),
        ("component_received_events_total", "flatten", 105.0),
        ("component_received_event_bytes_total", "in", bytes),
        ("component_sent_event_bytes_total", "in", bytes),
        ("component_sent_event_bytes_total", "flatten", document_bytes),
        ("component_sent_event_bytes_total", "out", document_bytes),
        ("component_sent_events_total", "flatten", documents),
        ("component_received_events_total", "out", documents),
        ("component_sent_events_total", "out", documents),
        ("component_paused", "flatten", 0.0),
    ] {
        assert_eq!(of(name, stage), Some(expected), "{name} of {stage}\n{page}");
    }
    for (intentional, expected) in [("intentional=\"false\"", letters), ("intentional=\"true\"", 1.0)] {
        let discarded = ["component_discarded_events_total{", "component_id=\"flatten\"", intentional];
        assert_eq!(metric(&page, &discarded), Some(expected), "{page}");
    }
    assert!(documents > 500.0 && letters >= 4.0);
    let labels = ["pipeline=\"pipeline\"", "component_kind=\"transform\"", "component_type=\"flatten\""];
    assert_eq!(
        metric(&page, &[&["component_errors_total{", "error_type=\"reject\""], &labels[..]].concat()),
        Some(letters)
    );
    for name in [
        "component_call_duration_seconds_bucket",
        "component_received_events_count_bucket",
        "source_oldest_unsettled_seconds",
        "pipeline_in_flight_bytes",
    ] {
        assert!(page.contains(name), "{name}\n{page}");
    }
    let (status, health) = get(&address, "/health").expect("health");
    assert_eq!(status, 200, "{health}");
    let (status, _) = get(&address, "/elsewhere").expect("an answer");
    assert_eq!(status, 404);
}
