//! Answers that a healthy cluster never gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::fake::{Fake, Reply, bad};
use super::{files, pipeline, refused};
use crate::e2e::assert_same;
use crate::harness::{Host, World, generated, get, lines, metric};

#[test]
fn whatever_a_server_answers_each_document_ends_where_it_belongs() {
    let faults = [
        Reply::Refused(429, "slow down"),
        Reply::Cut,
        Reply::Short,
        Reply::Refused(200, "<html>please log in</html>"),
        Reply::Busy,
        Reply::Refused(503, "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"no master\"}}"),
        Reply::Written,
        Reply::Refused(502, ""),
    ];
    let fake = Fake::start(move |bulk| match bulk.ids.len() {
        30.. => Reply::Refused(413, "too large"),
        _ => faults[bulk.number % faults.len()],
    });
    let world = World::new();
    let source = files(&world, "messages", &generated(38));
    let index = format!("grants.http = {:?}\nbatch = {{ max_events = 100, timeout_secs = 0.2 }}", fake.url);
    world.run(&pipeline("data", &source, "documents", &index)).says("lower `batch.max_bytes`");

    let mut expected = world.documents("documents");
    expected.retain(|id, _| !bad(id));
    assert!(expected.len() > 200, "{}", expected.len());
    assert_same(&fake.documents(), &expected);
    let written = lines(&world.path("documents")).into_iter();
    let events = written.map(|(_, line)| serde_json::from_str::<Value>(&line).expect("JSON"));
    let wrong = events.filter(|event| bad(event["id"].as_str().expect("an id"))).count();
    let letters = refused(&world.path("data/dead-letter"));
    assert!(wrong > 5, "{wrong}");
    assert_eq!(letters.len(), wrong);
    assert!(letters.iter().all(|letter| letter.reason == "400: some_exception: said the test"), "{letters:?}");
}

#[test]
fn writes_in_flight_follow_what_the_server_can_take() {
    let (in_flight, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, refuses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (now, peak, is_seen, refusing) = (in_flight, most.clone(), seen.clone(), refuses.clone());
    let fake = Fake::start(move |_| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(200));
        // Two at once stay until the test has seen it.
        while peak.load(Ordering::SeqCst) >= 2 && !is_seen.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10));
        }
        now.fetch_sub(1, Ordering::SeqCst);
        if refusing.load(Ordering::SeqCst) { Reply::Refused(429, "") } else { Reply::Written }
    });
    let world = World::new();
    world.send("in.queue", &generated(76));
    let source = "plugin = \"queue-source\"\ngrants.queue = \"file:in.queue\"";
    let index = format!(
        "grants.http = {:?}\nbatch = {{ max_events = 10, timeout_secs = 0.1 }}\ninstances = {{ min = 1, max = 4 }}",
        fake.url
    );
    let mut host = world.start(&pipeline("data", source, "documents", &index));
    let address = host.address();
    let until = |host: &mut Host, what: &str, is_so: fn(f64) -> bool| {
        host.until(what, |_| {
            let (_, page) = get(&address, "/metrics")?;
            let limit = metric(&page, &["component_instances{", "component_id=\"index\"", "state=\"limit\""])?;
            is_so(limit).then_some(())
        });
    };
    until(&mut host, "more at once", |limit| limit >= 2.0);
    host.until("two at once", |_| (most.load(Ordering::SeqCst) >= 2).then_some(()));
    refuses.store(true, Ordering::SeqCst);
    seen.store(true, Ordering::SeqCst);
    until(&mut host, "one at a time", |limit| limit == 1.0);
    refuses.store(false, Ordering::SeqCst);
    host.until("everything", |_| {
        let (_, page) = get(&address, "/metrics")?;
        let left = |state| metric(&page, &["queue_messages{", state]);
        (left("state=\"visible\"")? + left("state=\"invisible\"")? == 0.0).then_some(())
    });
    host.stops();
    let documents: Vec<_> = fake.documents().into_keys().collect();
    let expected: Vec<_> = world.documents("documents").into_keys().filter(|id| !bad(id)).collect();
    assert_eq!(documents, expected);
    assert!(most.load(Ordering::SeqCst) <= 4);
}

#[test]
fn a_server_that_wants_credentials_ends_the_pipeline_with_advice() {
    let fake = Fake::start(|_| Reply::Refused(401, "{\"error\":{\"type\":\"security_exception\"},\"status\":401}"));
    let world = World::new();
    let source = files(&world, "messages", &generated(1));
    world.write("pipeline.toml", pipeline("data", &source, "documents", &format!("grants.http = {:?}", fake.url)));
    let ended = world.rayline(&["run", "pipeline.toml"]).ends().with_code(1);
    ended.says("look at `grants.http.auth`").says("401: security_exception");
    assert_eq!((fake.requests(), world.letters().len()), (1, 0));
}
