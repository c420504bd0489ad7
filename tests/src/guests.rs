//! Stages that misbehave.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Host, World, get, guest, lines, metric, numbered};

/// A pipeline of three stages: TOML of each without its table's head.
fn pipeline(source: &str, transform: &str, sink: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        api.address = "127.0.0.1:0"
        dead_letter.probe_secs = 1

        [sources.in]
        {source}

        [transforms.middle]
        inputs = ["in"]
        {transform}

        [sinks.out]
        inputs = ["middle"]
        {sink}
        "#
    )
}

fn plugin(name: &str) -> String {
    format!("plugin = {:?}\n", guest(name))
}

/// `{"n":0}` and so on; every so many, one says `poison`.
fn counting(count: u64, poison_every: u64) -> String {
    plugin("guest-source") + &format!("options = {{ count = {count}, poison_every = {poison_every} }}")
}

/// The options of a transform, as TOML.
fn transform(options: &str) -> String {
    plugin("guest-transform") + options
}

fn queue(name: &str, stop_when_empty: bool) -> String {
    format!(
        "plugin = \"queue-source\"\ngrants.queue = {{ url = \"file:{name}\", visibility_secs = 1 }}\noptions.stop_when_empty = {stop_when_empty}"
    )
}

const FILES: &str = "plugin = \"file-sink\"\ngrants.objects = \"file:out\"\nbatch.timeout_secs = 0.1";

/// The numbers in the files below a folder, each of which is there once.
fn numbers(folder: &Path) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for (_, line) in lines(folder) {
        let body: Value = serde_json::from_str(&line).expect("JSON");
        let number = body["n"].as_u64().expect("a number");
        assert!(numbers.insert(number), "{number} is there twice");
    }
    numbers
}

/// The bodies and reasons of all dead letters.
fn dead(world: &World) -> Vec<(String, String)> {
    let letters = world.letters().into_iter();
    letters.map(|letter| (String::from_utf8(letter.message).expect("UTF-8"), letter.reason)).collect()
}

/// Runs `count` events, every `poison_every`th of which meets the fault; returns the reasons of the dead letters, which
/// must be of the poisonous ones, and the others must all arrive.
fn sorted_out(count: u64, poison_every: u64, options: &str) -> Vec<String> {
    let world = World::new();
    let ended = world.run(&pipeline(&counting(count, poison_every), &transform(options), FILES));
    ended.says(&format!("{count} in,"));
    let poisonous = |n: &u64| n % poison_every == poison_every - 1;
    assert_eq!(numbers(&world.path("out")), (0..count).filter(|n| !poisonous(n)).collect());
    let mut dead = dead(&world);
    dead.sort();
    let mut expected: Vec<_> = (0..count).filter(poisonous).map(|n| format!(r#"{{"n":{n},"poison":true}}"#)).collect();
    expected.sort();
    assert!(dead.iter().map(|(body, _)| body).eq(&expected), "{dead:?}");
    dead.into_iter().map(|(_, reason)| reason).collect()
}

fn paused(host: &mut Host, address: &str, stage: &str) {
    host.until("a paused stage", |_| {
        let (status, body) = get(address, "/health")?;
        let health: Value = serde_json::from_str(&body).ok()?;
        let stages = health["pipelines"][0]["stages"].as_array()?;
        let paused = stages.iter().any(|found| found["name"] == stage && found["paused"] == true);
        assert!(!paused || status == 503, "{status} {body}");
        paused.then_some(())
    });
}

#[test]
fn three_events_of_ten_thousand_that_trap_a_transform_are_the_dead_letter() {
    let reasons = sorted_out(10_000, 3_333, "options = { fault = \"panic\", at = \"poison\" }");
    assert_eq!(reasons.len(), 3);
    for reason in reasons {
        assert!(reason.contains("asked to panic") && reason.contains("src/lib.rs:"), "{reason}");
    }
}

#[test]
fn a_loop_ends_when_its_time_is_spent() {
    let options = "options = { fault = \"loop\", at = \"poison\" }\nlimits.call_secs = 1";
    let reasons = sorted_out(20, 20, options);
    assert!(reasons[0].contains("1 s of computing"), "{reasons:?}");
}

#[test]
fn a_transform_that_grows_meets_its_limit() {
    let options = "options = { fault = \"grow\", at = \"poison\" }\nlimits.memory_bytes = 33_554_432";
    let reasons = sorted_out(200, 100, options);
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].contains("more than its 32 MiB"), "{reasons:?}");
}

#[test]
fn an_event_that_a_transform_rejects_is_a_dead_letter() {
    let options = "options = { fault = \"reject\", at = \"poison\" }\nbatch.max_events = 1";
    assert_eq!(sorted_out(20, 10, options), ["asked to reject", "asked to reject"]);
}

/// Anyone can send junk: that says nothing of the stage.
#[test]
fn a_transform_that_rejects_most_events_is_not_paused() {
    let world = World::new();
    let poison: Vec<String> = (0..300).map(|n| format!("{{\"poison\":{n}}}")).collect();
    world.send("in.queue", &[poison.clone(), numbered(100)].concat());
    let rejects = transform("options = { fault = \"reject\", at = \"poison\" }\nbatch.max_events = 50");
    let ended = world.run(&pipeline(&queue("in.queue", true), &rejects, FILES));
    assert!(!ended.stderr.contains("over half of the last events are bad"), "{}", ended.stderr);
    let mut dead = dead(&world);
    dead.sort();
    let mut expected: Vec<_> = poison.into_iter().map(|body| (body, "asked to reject".to_owned())).collect();
    expected.sort();
    assert_eq!(dead, expected);
    assert_eq!(numbers(&world.path("out")), (0..100).collect());
    assert_eq!(world.take("in.queue"), [] as [Value; 0], "the queue is empty");
}

#[test]
fn a_transform_that_asks_for_ever_is_given_up_after_its_attempts() {
    let options = "options = { fault = \"retry\", at = \"poison\" }\nbatch.max_events = 1\n\
                   retry = { initial_secs = 0.01, max_secs = 0.01, max_attempts = 3 }";
    assert_eq!(sorted_out(20, 20, options), ["gave up after 3 attempts: asked to try again"]);
}

#[test]
fn waiting_in_a_host_call_costs_no_time_of_its_own() {
    let world = World::new();
    let wait = "options = { fault = \"wait\", at = \"poison\", wait_ms = 5000 }\nlimits.call_secs = 1\n\
                grants.queue = \"file:empty.queue\"";
    world.run(&pipeline(&counting(20, 20), &transform(wait), FILES));
    assert_eq!(numbers(&world.path("out")), (0..20).collect());
    assert_eq!(dead(&world), []);
}

#[test]
fn a_transform_that_traps_on_everything_leaves_the_queue_full() {
    let world = World::new();
    let messages = numbered(2000);
    world.send("in.queue", &messages);
    let panics = transform("options.fault = \"panic\"");

    let mut host = world.start(&pipeline(&queue("in.queue", false), &panics, FILES));
    let address = host.address();
    host.until("a paused stage", |_| {
        let (_, page) = get(&address, "/metrics")?;
        metric(&page, &["component_paused{", "component_id=\"middle\""]).filter(|paused| *paused == 1.0)
    });
    paused(&mut host, &address, "middle");
    assert!(host.stderr().contains("over half of the last events are bad"), "{}", host.stderr());
    host.signal("TERM");
    host.ends().with_code(5);
    let few = dead(&world).len();
    assert!((1..200).contains(&few), "{few} dead letters");

    let finite = pipeline(&queue("in.queue", true), &panics, FILES);
    world.write("pipeline.toml", finite);
    world.rayline(&["run", "pipeline.toml"]).ends().with_code(3).says("asked to panic");

    let mut found: BTreeSet<String> = world.take("in.queue").iter().map(|event| event["body"].to_string()).collect();
    assert!(found.len() > 1600, "{} messages are left", found.len());
    found.extend(dead(&world).into_iter().map(|(body, _)| body));
    assert_eq!(found, messages.into_iter().collect(), "each is in the queue or in the dead letter");
    assert!(lines(&world.path("out")).is_empty());
}

#[test]
fn a_paused_stage_goes_on_when_an_event_passes() {
    let world = World::new();
    let poison: Vec<String> = (0..101).map(|n| format!("{{\"poison\":{n}}}")).collect();
    world.send("in.queue", &[poison.clone(), numbered(300)].concat());
    let panics = transform("options = { fault = \"panic\", at = \"poison\" }");
    let mut host = world.start(&pipeline(&queue("in.queue", false), &panics, FILES));
    let address = host.address();
    host.until("all others", |_| (lines(&world.path("out")).len() == 300).then_some(()));
    host.until("health", |_| (get(&address, "/health")?.0 == 200).then_some(()));
    host.until("all dead letters", |_| (world.letters().len() == poison.len()).then_some(()));
    host.stops().says("over half of the last events are bad").says("an event passed");
    assert_eq!(numbers(&world.path("out")), (0..300).collect());
    assert_eq!(world.take("in.queue"), [] as [Value; 0]);
}

#[test]
fn a_paused_stage_comes_to_the_end_of_a_batch_that_is_all_bad() {
    let world = World::new();
    let poison: Vec<String> = (0..103).map(|n| format!("{{\"poison\":{n}}}")).collect();
    world.send("in.queue", &poison);
    let panics = transform("options = { fault = \"panic\", at = \"poison\" }\nbatch.max_events = 103");
    let mut host = world.start(&pipeline(&queue("in.queue", false), &panics, FILES));
    let address = host.address();
    paused(&mut host, &address, "middle");
    world.send("in.queue", &numbered(10));
    host.until("the others", |_| (lines(&world.path("out")).len() == 10).then_some(()));
    host.until("health", |_| (get(&address, "/health")?.0 == 200).then_some(()));
    host.stops().says("an event passed");
    let dead: BTreeSet<String> = dead(&world).into_iter().map(|(body, _)| body).collect();
    assert_eq!(dead, poison.into_iter().collect());
}

#[test]
fn what_waits_for_another_try_does_not_keep_the_host_from_stopping() {
    let slow = "retry = { initial_secs = 600, max_secs = 600 }\n";
    let traps = plugin("guest-source") + slow + "options = { count = 1000, panic_at = 0 }";
    let keeps = transform("options.fault = \"none\"");
    let not_yet = transform(&format!("{slow}options.fault = \"not_yet\""));
    for (source, middle, waits) in
        [(traps, &keeps, "the source trapped"), (queue("in.queue", false), &not_yet, "cannot open the stage")]
    {
        let world = World::new();
        let mut host = world.start(&pipeline(&source, middle, FILES));
        let address = host.address();
        host.until_it_says(waits);
        host.until("a problem", |_| (get(&address, "/health")?.0 == 503).then_some(()));
        host.stops();
    }
}

fn faulty_sink(options: &str) -> String {
    plugin("guest-sink") + "grants.queue = \"file:out.queue\"\nbatch.timeout_secs = 0.1\n" + options
}

fn arrived(world: &World) -> BTreeSet<String> {
    world.take("out.queue").iter().map(|event| event["body"].to_string()).collect()
}

#[test]
fn a_sink_that_rejects_everything_is_paused() {
    let world = World::new();
    world.send("in.queue", &numbered(2000));
    let keep = transform("options.fault = \"none\"");
    let rejects = faulty_sink("options.reject = \"n\"\nbatch.max_events = 100");
    let mut host = world.start(&pipeline(&queue("in.queue", false), &keep, &rejects));
    let address = host.address();
    paused(&mut host, &address, "out");
    host.kill();
    let mut found: BTreeSet<String> = dead(&world).into_iter().map(|(body, _)| body).collect();
    assert!(found.len() < 300, "{} dead letters", found.len());
    found.extend(world.take("in.queue").iter().map(|event| event["body"].to_string()));
    assert_eq!(found, numbered(2000).into_iter().collect(), "each is in the queue or in the dead letter");

    world.send("again.queue", &numbered(2000));
    world.write("pipeline.toml", pipeline(&queue("again.queue", true), &keep, &rejects));
    world.rayline(&["run", "pipeline.toml"]).ends().with_code(3).says("asked to reject");
}

#[test]
fn what_a_sink_wants_again_arrives() {
    let world = World::new();
    world.run(&pipeline(
        &counting(500, 10),
        &transform("options.fault = \"none\""),
        &faulty_sink("options = { retry = \"poison\", retries = 3 }"),
    ));
    assert_eq!(arrived(&world).len(), 500);
    assert_eq!(dead(&world), []);
}

#[test]
fn a_sink_does_not_wait_longer_than_the_pipeline_says() {
    let world = World::new();
    let options =
        "options = { retry = \"poison\", retry_ms = 86_400_000 }\nretry = { initial_secs = 0.01, max_secs = 0.05 }";
    let keeps = transform("options.fault = \"none\"");
    world.run(&pipeline(&counting(20, 10), &keeps, &faulty_sink(options)));
    assert_eq!(arrived(&world).len(), 20);
}

#[test]
fn what_traps_or_is_rejected_by_a_sink_does_not_take_others_along() {
    for (fault, reason) in [("panic", "asked to panic"), ("reject", "asked to reject")] {
        let world = World::new();
        world.run(&pipeline(
            &counting(500, 100),
            &transform("options.fault = \"none\""),
            &faulty_sink(&format!("options.{fault} = \"poison\"")),
        ));
        assert_eq!(arrived(&world).len(), 495);
        let dead = dead(&world);
        assert_eq!(dead.len(), 5, "{dead:?}");
        assert!(dead.iter().all(|(body, found)| body.contains("poison") && found.contains(reason)), "{dead:?}");
    }
}

#[test]
fn fatal_ends_the_pipeline() {
    for (options, says) in [
        ("options = { fault = \"fatal\", at = \"poison\" }", "stage `middle`: asked to stop"),
        ("options.fault = \"open\"", "stage `middle`: asked not to open"),
    ] {
        let world = World::new();
        world.write("pipeline.toml", pipeline(&counting(20, 10), &transform(options), FILES));
        world.rayline(&["run", "pipeline.toml"]).ends().with_code(1).says(says);
    }
}

#[test]
fn a_source_that_only_traps_ends_the_pipeline_with_its_words() {
    let world = World::new();
    let source = plugin("guest-source")
        + "options = { count = 1000, panic_at = 0 }\nretry = { initial_secs = 0.01, max_secs = 0.01 }";
    world.write("pipeline.toml", pipeline(&source, &transform("options.fault = \"none\""), FILES));
    world.rayline(&["run", "pipeline.toml"]).ends().with_code(1).says("asked to panic at 0");
}

/// It traps in its second reading, at the sixth of ten messages. The first reading goes its way, and what the instance
/// held comes again long before its time is over.
#[test]
fn a_source_that_traps_gives_back_at_once_what_it_holds() {
    let world = World::new();
    world.send("in.queue", &numbered(20));
    let ended = world.run(&format!(
        r#"
        data_dir = "data"
        [sources.in]
        {}
        grants.queue = {{ url = "file:in.queue", visibility_secs = 600 }}
        options.panic_at = 15
        retry = {{ initial_secs = 0.1, max_secs = 0.1 }}
        [sinks.out]
        inputs = ["in"]
        {FILES}
        options.format = "event"
        "#,
        plugin("guest-source")
    ));
    ended.says("the source trapped, opening it anew").says("asked to panic at 15");
    // Each number, and how often it had been received.
    let received = lines(&world.path("out")).into_iter().map(|(_, line)| {
        let event: Value = serde_json::from_str(&line).expect("JSON");
        let count = event["attrs"]["receive_count"].as_u64().expect("a receive count");
        (event["body"]["n"].as_u64().expect("a number"), count)
    });
    let mut received: BTreeSet<(u64, u64)> = received.collect();
    // What was handed out, but not settled, comes again too.
    received.retain(|(n, count)| *n >= 10 || *count == 1);
    assert_eq!(received, (0..20).map(|n| (n, if n < 10 { 1 } else { 2 })).collect());
    assert_eq!(world.take("in.queue"), [] as [Value; 0], "the queue is empty");
}

/// Nothing passes their transforms before each of the two holds messages, and neither has room for all.
#[test]
fn two_hosts_that_read_one_queue_share_its_messages() {
    let world = World::new();
    let messages: Vec<String> = (0..400).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(1000))).collect();
    world.send("in.queue", &messages);
    let waits = transform("options = { fault = \"wait\", wait_ms = 600_000 }\ngrants.queue = \"file:gate.queue\"");
    let archive = "[sinks.archive]\nplugin = \"archive-sink\"\ninputs = [\"in\"]\ngrants.objects = \"file:archive\"";
    let pipeline = pipeline(&queue("in.queue", true), &waits, &format!("{FILES}\n{archive}"));
    // However slow the machine is.
    let pipeline = pipeline.replace("visibility_secs = 1", "visibility_secs = 600");
    let mut hosts = ["one", "two"].map(|name| {
        world.share_cache(name);
        let own = format!("data_dir = {name:?}\nlimits.in_flight_bytes = 100_000");
        world.write(&format!("{name}.toml"), pipeline.replace("data_dir = \"data\"", &own));
        world.rayline(&["run", &format!("{name}.toml")]).start()
    });
    for host in &mut hosts {
        let address = host.address();
        host.until("messages of its own", |_| {
            let (_, page) = get(&address, "/metrics")?;
            metric(&page, &["component_received_events_total{", "component_id=\"in\""]).filter(|read| *read > 0.0)
        });
    }
    // One for each event, and some to spare.
    world.send("gate.queue", &numbered(1000));
    for host in hosts {
        host.ends().with_code(0);
    }
    assert_eq!(numbers(&world.path("out")), (0..400).collect());
    let archived: Vec<Vec<u8>> = world.archived("archive").into_iter().map(|message| message.raw).collect();
    let mut sent: Vec<Vec<u8>> = messages.into_iter().map(String::into_bytes).collect();
    sent.sort();
    assert!(archived == sent, "{} messages are archived", archived.len());
    assert_eq!(world.take("in.queue"), [] as [Value; 0], "the queue is empty");
}

#[test]
fn a_source_of_ones_own_takes_the_place_of_the_queue() {
    let world = World::new();
    world.run(&format!(
        r#"
        data_dir = "data"
        [sources.inbox]
        {}
        [sinks.archive]
        plugin = "archive-sink"
        inputs = ["inbox"]
        grants.objects = "file:archive"
        "#,
        counting(100, 200)
    ));
    let archived: BTreeSet<Vec<u8>> = world.archived("archive").into_iter().map(|message| message.raw).collect();
    assert_eq!(archived, numbered(100).into_iter().map(String::into_bytes).collect());
}
