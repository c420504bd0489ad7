//! Queues on SQS: limits, claim checks, what is held, several hosts, errors, who sent a message.

mod proxy;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use serde_json::{Value, json};

use self::proxy::{Fault, Proxy};
use crate::harness::{Host, Invocation, World, generated, get, guest, malformed, metric, numbered};
use crate::servers::request::request;
use crate::servers::sqs::{REGION, Sqs};
use crate::servers::{elasticmq, moto, unique};

/// A host with credentials and a region.
fn rayline(world: &World, args: &[&str]) -> Invocation {
    let invocation = world.rayline(args).with_credentials();
    invocation.env("AWS_REGION", REGION).env("AWS_ENDPOINT_URL_STS", &moto().url)
}

fn run(world: &World, pipeline: &str) -> Invocation {
    world.write("pipeline.toml", pipeline);
    rayline(world, &["run", "pipeline.toml"])
}

/// Everything from one queue to another. Each is a grant as the file has it.
fn move_all(from: &str, to: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.from]
        plugin = "queue-source"
        grants.queue = {from}
        options.stop_when_empty = true
        [sinks.to]
        plugin = "queue-sink"
        inputs = ["from"]
        grants.queue = {to}
        batch.timeout_secs = 0.05
        retry.initial_secs = 0.1
        "#
    )
}

/// Everything from a queue to `out.queue`, by a stage that does it slowly or, asked to refuse, never.
fn hold(from: &str, options: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.from]
        plugin = "queue-source"
        grants.queue = {from}
        options.stop_when_empty = true
        [sinks.out]
        plugin = "{}"
        inputs = ["from"]
        grants = {{ queue = "file:out.queue", stall = "file:never.queue" }}
        options = {options}
        batch.timeout_secs = 0.05
        "#,
        guest("guest-sink").display()
    )
}

/// Sends through a host: SQS itself takes only text.
fn send<M: AsRef<[u8]>>(world: &World, grant: &str, messages: &[M]) {
    world.send("sent.queue", messages);
    run(world, &move_all("\"file:sent.queue\"", grant)).succeeds();
}

fn bodies(world: &World, queue: &str) -> Vec<String> {
    world.take(queue).iter().map(|event| event["body"].to_string()).collect()
}

fn until_held(host: &mut Host, sqs: &Sqs, queue: &str, messages: u64) {
    host.until("messages that are held", |_| (sqs.depth(queue) == (0, messages)).then_some(()));
}

/// The body of a message that points to an object.
fn pointer(bucket: &str, key: &str) -> String {
    let place = json!({ "s3BucketName": bucket, "s3Key": key });
    json!(["software.amazon.payloadoffloading.PayloadS3Pointer", place]).to_string()
}

/// Text that does not become smaller when packed.
fn noise(bytes: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

#[test]
fn whatever_is_sent_comes_back_byte_for_byte() {
    for (sqs, name) in [(&elasticmq().sqs, "ElasticMQ"), (&moto().sqs, "moto")] {
        let world = World::new();
        let queue = format!("\"{}\"", sqs.create_queue(&unique("bytes"), &[]));
        let mut sent = [generated(150), malformed(8), vec![b"\x07 bell".to_vec(), "x".repeat(400_000).into()]].concat();
        send(&world, &queue, &sent);
        run(
            &world,
            &format!(
                r#"
                data_dir = "data"
                [sources.in]
                plugin = "queue-source"
                grants.queue = {queue}
                options.stop_when_empty = true
                [sinks.archive]
                plugin = "archive-sink"
                inputs = ["in"]
                grants.objects = "file:archive"
                "#
            ),
        )
        .succeeds();
        let archived = world.archived("archive");
        assert!(archived.iter().all(|message| message.sent_at.is_some()), "{name}");
        let mut raw: Vec<Vec<u8>> = archived.into_iter().map(|message| message.raw).collect();
        sent.sort();
        raw.sort();
        assert!(raw == sent, "{name}: {} of {}", raw.len(), sent.len());
        assert_eq!(sqs.depth(queue.trim_matches('"')), (0, 0), "{name}");
    }
}

#[test]
fn a_message_above_the_queues_own_limit_goes_by_claim_check() {
    let (world, bucket) = (World::new(), unique("payloads"));
    moto().create_bucket(&bucket);
    let limit = ("MaximumMessageSize", "262144");
    let queue = moto().sqs.create_queue(&unique("large"), &[limit]);
    let claim_check = format!(
        "{{ url = \"s3://{bucket}/large\", endpoint_url = \"{}\", path_style = true, region = \"{REGION}\" }}",
        moto().url
    );
    let grant = format!("{{ url = \"{queue}\", claim_check = {claim_check} }}");
    let messages = [noise(3_000_000), noise(300_000), "x".repeat(3_000_000)]
        .map(|payload| json!({ "payload": payload }).to_string());
    send(&world, &grant, &messages);

    let received = moto().sqs.call(
        "ReceiveMessage",
        &json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "MessageAttributeNames": ["All"]}),
    );
    let received = received["Messages"].as_array().expect("messages");
    assert!(received.iter().all(|message| message["Body"].as_str().expect("a body").len() <= 262_144));
    let pointer = received.iter().find(|message| message["MessageAttributes"]["ExtendedPayloadSize"].is_object());
    let pointer: Value =
        serde_json::from_str(pointer.expect("a pointer")["Body"].as_str().expect("text")).expect("JSON");
    assert_eq!(pointer[0], "software.amazon.payloadoffloading.PayloadS3Pointer");
    assert_eq!(pointer[1]["s3BucketName"], bucket.as_str());
    let key = pointer[1]["s3Key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("large/"), "{key}");

    run(&world, &move_all(&grant, "\"file:back.queue\"")).succeeds();
    let back = BTreeSet::from_iter(bodies(&world, "back.queue"));
    assert!(back == BTreeSet::from(messages), "{:?} bytes", back.iter().map(String::len).collect::<Vec<_>>());
    assert_eq!(moto().s3("GET", &format!("/{bucket}/{key}"), "").status, 200, "nobody here deletes a payload");
}

#[test]
fn a_message_that_does_not_fit_is_rejected_and_the_others_go() {
    let world = World::new();
    let queue = moto().sqs.create_queue(&unique("small"), &[("MaximumMessageSize", "262144")]);
    world.send("sent.queue", &[noise(900_000), "{}".to_owned()]);
    run(&world, &move_all("\"file:sent.queue\"", &format!("\"{queue}\""))).succeeds();
    assert_eq!(moto().sqs.depth(&queue), (1, 0));
    let letters = world.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.ends_with("the queue takes 262144; give the queue's grant a claim_check"));
}

#[test]
fn a_pointer_to_somebody_elses_object_is_not_followed() {
    let world = World::new();
    let bucket = unique("pointers");
    moto().create_bucket(&bucket);
    let sample = String::from_utf8(generated(1).remove(0)).expect("a sample");
    moto().s3("PUT", &format!("/{bucket}/own/ours"), sample.clone()).ok();
    moto().s3("PUT", &format!("/{bucket}/ownership/theirs"), "{\"secret\":1}").ok();
    let queue = moto().sqs.create_queue(&unique("pointers"), &[]);
    let pointer = |class: &str, bucket: &str, key: &str| {
        moto().sqs.send(&queue, &json!([class, {"s3BucketName": bucket, "s3Key": key}]).to_string());
    };
    let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
    pointer("com.amazon.sqs.javamessaging.MessageS3Pointer", &bucket, "own/ours");
    pointer(class, &bucket, "ownership/theirs");
    pointer(class, &bucket, "own/../ownership/theirs");
    pointer(class, "another-bucket", "own/ours");
    pointer(class, &bucket, "own/gone");
    run(
        &world,
        &format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue.url = "{queue}"
            grants.queue.claim_check = {{ url = "s3://{bucket}/own", endpoint_url = "{}", path_style = true }}
            options.stop_when_empty = true
            [sinks.archive]
            plugin = "archive-sink"
            inputs = ["in"]
            grants.objects = "file:archive"
            [transforms.flatten]
            plugin = "flatten"
            inputs = ["in"]
            [sinks.documents]
            plugin = "file-sink"
            inputs = ["flatten"]
            grants.objects = "file:documents"
            options.format = "event"
            "#,
            moto().url
        ),
    )
    .succeeds();
    let archived: Vec<Vec<u8>> = world.archived("archive").into_iter().map(|message| message.raw).collect();
    assert_eq!(archived.len(), 5);
    assert!(archived.contains(&sample.into_bytes()), "ours is fetched");
    let is_pointer = |message: &&Vec<u8>| message.starts_with(b"[\"software.amazon");
    assert_eq!(archived.iter().filter(is_pointer).count(), 4, "the others are archived as they came");
    assert!(!world.documents("documents").is_empty());
    let mut reasons: Vec<String> = world.letters().into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    assert!(reasons[0].contains("cannot be an object's key"), "{reasons:?}");
    assert_eq!(
        reasons[1..],
        [
            "its payload is not in the bucket any more",
            "its payload is not where the queue's grant has its claim_check",
            "its payload is not where the queue's grant has its claim_check",
        ]
    );
    assert_eq!(moto().sqs.depth(&queue), (0, 0));
}

/// Ten payloads of 50 MB are received at once, and fetched as there is room for them.
#[test]
fn payloads_that_wait_take_bounded_memory() {
    let (world, bucket) = (World::new(), unique("payloads"));
    moto().create_bucket(&bucket);
    moto().s3("PUT", &format!("/{bucket}/large/payload"), "x".repeat(50_000_000)).ok();
    let queue = moto().sqs.create_queue(&unique("payloads"), &[]);
    (0..10).for_each(|_| drop(moto().sqs.send(&queue, &pointer(&bucket, "large/payload"))));
    let claim_check =
        format!("{{ url = \"s3://{bucket}/large\", endpoint_url = \"{}\", path_style = true }}", moto().url);
    let grant = format!("{{ url = \"{queue}\", claim_check = {claim_check} }}");
    let held = hold(&grant, "{ refuse = true }").replace("options.stop_when_empty = true", "");
    let mut host = run(&world, &format!("api.address = \"127.0.0.1:0\"\n{held}")).start();
    let address = host.address();
    until_held(&mut host, &moto().sqs, &queue, 10);
    let received = |page: &str| metric(page, &["component_received_event_bytes_total{", "component_id=\"out\""]);
    host.until("a payload", |_| received(&get(&address, "/metrics")?.1).filter(|bytes| *bytes > 0.0));
    let peak = host.peak_memory();
    // One that waits and one on its way through the stages: 450 MB were seen. With all ten in memory they are 870.
    assert!(peak < 600_000_000, "{peak} bytes");
}

/// An object of the archive stands for a payload that looks compressed.
#[test]
fn a_payload_comes_as_it_is_stored() {
    let (world, bucket) = (World::new(), unique("payloads"));
    moto().create_bucket(&bucket);
    let place = format!("{{ url = \"s3://{bucket}/large\", endpoint_url = \"{}\", path_style = true }}", moto().url);
    let archive_all = |from: &str, to: &str| {
        format!(
            r#"
            data_dir = "data"
            [sources.from]
            plugin = "queue-source"
            grants.queue = {from}
            options.stop_when_empty = true
            [sinks.archive]
            plugin = "archive-sink"
            inputs = ["from"]
            grants.objects = {to}
            options.compression = "gzip"
            "#
        )
    };
    world.send("in.queue", &["{}"]);
    run(&world, &archive_all("\"file:in.queue\"", &place)).succeeds();
    let listing = moto().s3("GET", &format!("/{bucket}?list-type=2"), "").ok();
    let (_, key) = listing.split_once("<Key>").expect("an object");
    let (key, _) = key.split_once("</Key>").expect("a key");

    let queue = moto().sqs.create_queue(&unique("stored"), &[]);
    moto().sqs.send(&queue, &pointer(&bucket, key));
    let grant = format!("{{ url = \"{queue}\", claim_check = {place} }}");
    run(&world, &archive_all(&grant, "\"file:archive\"")).succeeds();
    let archived = world.archived("archive");
    assert!(archived.len() == 1 && archived[0].raw.starts_with(b"\x1f\x8b"), "it is not decompressed");
}

#[test]
fn what_is_held_is_renewed_beyond_its_time_in_elasticmq() {
    assert_renewed(&elasticmq().sqs);
}

#[test]
fn what_is_held_is_renewed_beyond_its_time_in_moto() {
    assert_renewed(&moto().sqs);
}

/// Takes 40 s: renewals come at half of the visibility timeout, and the rest of it is what a busy server may be late.
fn assert_renewed(sqs: &Sqs) {
    let world = World::new();
    let queue = sqs.create_queue(&unique("held"), &[("VisibilityTimeout", "16")]);
    let messages = numbered(25);
    messages.iter().for_each(|message| drop(sqs.send(&queue, message)));
    let mut host = run(&world, &hold(&format!("\"{queue}\""), "{ stall_ms = 40_000 }")).start();
    until_held(&mut host, sqs, &queue, 25);
    let others = sqs.call("ReceiveMessage", &json!({"QueueUrl": queue, "WaitTimeSeconds": 20}));
    assert!(others["Messages"].as_array().is_none_or(Vec::is_empty), "{others}");
    host.ends().with_code(0);
    let bodies = bodies(&world, "out.queue");
    assert_eq!(bodies.len(), 25);
    assert_eq!(BTreeSet::from_iter(bodies), BTreeSet::from_iter(messages));
    assert_eq!(sqs.depth(&queue), (0, 0));
}

#[test]
fn a_message_received_twice_while_it_is_held_is_processed_once() {
    for sqs in [&elasticmq().sqs, &moto().sqs] {
        let world = World::new();
        let queue = sqs.create_queue(&unique("twice"), &[]);
        sqs.send(&queue, "{\"n\":0}");
        let grant = format!("{{ url = \"{queue}\", visibility_secs = 4, max_hold_secs = 8 }}");
        // It is received again after about 6 s, and would be once more after 12.
        run(&world, &hold(&grant, "{ stall_ms = 9500 }")).succeeds();
        assert_eq!(bodies(&world, "out.queue"), ["{\"n\":0}"]);
        assert_eq!(sqs.depth(&queue), (0, 0), "its newest receipt was used");
    }
}

#[test]
fn what_a_killed_host_held_comes_again() {
    let (world, sqs) = (World::new(), &elasticmq().sqs);
    let queue = sqs.create_queue(&unique("killed"), &[("VisibilityTimeout", "2")]);
    let messages = numbered(40);
    messages.iter().for_each(|message| drop(sqs.send(&queue, message)));
    let mut host = run(&world, &hold(&format!("\"{queue}\""), "{ refuse = true }")).start();
    until_held(&mut host, sqs, &queue, 40);
    assert_eq!(host.kill().status.signal(), Some(9));
    run(&world, &hold(&format!("\"{queue}\""), "{}")).succeeds();
    assert_eq!(BTreeSet::from_iter(bodies(&world, "out.queue")), BTreeSet::from_iter(messages));
    assert_eq!(sqs.depth(&queue), (0, 0));
}

#[test]
fn a_host_that_ends_gives_back_what_it_holds() {
    for (sqs, name, attributes) in [
        (&elasticmq().sqs, unique("ended"), vec![]),
        (&elasticmq().sqs, unique("ended") + ".fifo", vec![("FifoQueue", "true")]),
        (&moto().sqs, unique("ended") + ".fifo", vec![("FifoQueue", "true")]),
    ] {
        let world = World::new();
        let attributes = [attributes, vec![("VisibilityTimeout", "600")]].concat();
        let queue = sqs.create_queue(&name, &attributes);
        let messages = numbered(40);
        send(&world, &format!("\"{queue}\""), &messages);
        let mut host = run(&world, &hold(&format!("\"{queue}\""), "{ refuse = true }")).start();
        host.until("messages that are held", |_| (sqs.depth(&queue).1 > 0).then_some(()));
        host.signal("TERM");
        host.signal("TERM");
        host.ends();
        assert_eq!(sqs.depth(&queue), (40, 0), "{name}");
        run(&world, &hold(&format!("\"{queue}\""), "{}")).succeeds();
        let bodies = bodies(&world, "out.queue");
        match name.ends_with(".fifo") {
            true => assert_eq!(bodies, messages, "{name}: in their order"),
            false => assert_eq!(BTreeSet::from_iter(bodies), BTreeSet::from_iter(messages), "{name}"),
        }
        assert_eq!(sqs.depth(&queue), (0, 0));
    }
}

#[test]
fn several_hosts_share_a_queue() {
    let sqs = &elasticmq().sqs;
    let queue = sqs.create_queue(&unique("shared"), &[]);
    let messages = numbered(3000);
    let sender = World::new();
    send(&sender, &format!("\"{queue}\""), &messages);
    let worlds = [World::new(), World::new(), World::new()];
    let pipeline = move_all(&format!("\"{queue}\""), "\"file:out.queue\"");
    let hosts: Vec<Host> = worlds.iter().map(|world| run(world, &pipeline).start()).collect();
    hosts.into_iter().for_each(|host| drop(host.ends().with_code(0)));
    let all: Vec<String> = worlds.iter().flat_map(|world| bodies(world, "out.queue")).collect();
    assert_eq!(all.len(), 3000, "none twice");
    assert_eq!(BTreeSet::from_iter(all), BTreeSet::from_iter(messages));
}

#[test]
fn throttling_and_expired_credentials_pass() {
    let (world, sqs) = (World::new(), &elasticmq().sqs);
    let queue = sqs.create_queue(&unique("throttled"), &[]);
    let fault = |action, status, code, times| Fault { action, status, code, times };
    // More than the SDK itself tries.
    let proxy = Proxy::start(
        &elasticmq().sqs.endpoint,
        vec![
            fault("SendMessageBatch", "400 Bad Request", "ThrottlingException", 9),
            fault("ReceiveMessage", "403 Forbidden", "ExpiredToken", 3),
            fault("ReceiveMessage", "503 Service Unavailable", "ServiceUnavailable", 5),
            fault("DeleteMessageBatch", "400 Bad Request", "RequestThrottled", 9),
        ],
    );
    let grant = format!("\"{}\"", queue.replace(&elasticmq().sqs.endpoint, &proxy.url));
    let messages = numbered(15);
    send(&world, &grant, &messages);
    run(&world, &move_all(&grant, "\"file:out.queue\"")).succeeds();
    assert_eq!(proxy.left(), 0);
    assert_eq!(BTreeSet::from_iter(bodies(&world, "out.queue")), BTreeSet::from_iter(messages));
    assert_eq!(sqs.depth(&queue), (0, 0));
}

#[test]
fn a_start_waits_for_sqs() {
    let (world, sqs) = (World::new(), &elasticmq().sqs);
    let queue = sqs.create_queue(&unique("late"), &[]);
    sqs.send(&queue, "{}");
    // More than two starts try.
    let busy =
        Fault { action: "GetQueueAttributes", status: "503 Service Unavailable", code: "ServiceUnavailable", times: 9 };
    let proxy = Proxy::start(&sqs.endpoint, vec![busy]);
    let grant = format!("\"{}\"", queue.replace(&sqs.endpoint, &proxy.url));
    run(&world, &move_all(&grant, "\"file:out.queue\""))
        .succeeds()
        .says("ServiceUnavailable: asked to fail; trying again");
    assert_eq!((proxy.left(), sqs.depth(&queue)), (0, (0, 0)));

    let denied = Fault { action: "GetQueueAttributes", status: "403 Forbidden", code: "AccessDenied", times: 1 };
    let proxy = Proxy::start(&sqs.endpoint, vec![denied]);
    let grant = format!("\"{}\"", queue.replace(&sqs.endpoint, &proxy.url));
    run(&world, &move_all(&grant, "\"file:out.queue\"")).ends().with_code(1).says("AccessDenied");
    run(&world, &move_all(&format!("\"{queue}-gone\""), "\"file:out.queue\""))
        .ends()
        .with_code(1)
        .says("see that the queue is there");
}

#[test]
fn what_a_fifo_queue_did_not_take_holds_up_what_comes_after() {
    let (world, sqs) = (World::new(), &elasticmq().sqs);
    let queue = sqs.create_queue(&(unique("order") + ".fifo"), &[("FifoQueue", "true")]);
    // The first of three batches, more often than the SDK tries.
    let busy =
        Fault { action: "SendMessageBatch", status: "503 Service Unavailable", code: "ServiceUnavailable", times: 5 };
    let proxy = Proxy::start(&sqs.endpoint, vec![busy]);
    let messages = numbered(25);
    send(&world, &format!("\"{}\"", queue.replace(&sqs.endpoint, &proxy.url)), &messages);
    assert_eq!(proxy.left(), 0);
    run(&world, &move_all(&format!("\"{queue}\""), "\"file:out.queue\"")).succeeds();
    assert_eq!(bodies(&world, "out.queue"), messages);
}

#[test]
fn a_queue_that_may_not_be_read_stops_the_pipeline_with_advice() {
    let world = World::new();
    let queue = elasticmq().sqs.create_queue(&unique("denied"), &[]);
    elasticmq().sqs.send(&queue, "{}");
    let denied = Fault { action: "ReceiveMessage", status: "403 Forbidden", code: "AccessDenied", times: 100 };
    let proxy = Proxy::start(&elasticmq().sqs.endpoint, vec![denied]);
    let grant = format!("\"{}\"", queue.replace(&elasticmq().sqs.endpoint, &proxy.url));
    let ended = run(&world, &move_all(&grant, "\"file:out.queue\"")).ends();
    assert_ne!(ended.status.code(), Some(0));
    let ended = ended.says("AccessDenied: asked to fail; see that the queue is there, and that its policy");
    let told = ended.stderr.lines().find(|line| line.contains("the host's log says why")).expect("the guest's words");
    assert!(!told.contains(&proxy.url), "no address reaches a guest: {told}");
    assert_eq!(elasticmq().sqs.depth(&queue), (1, 0));
}

#[test]
fn validate_says_what_a_queue_is() {
    let world = World::new();
    let queue = elasticmq().sqs.create_queue(&unique("limits"), &[("VisibilityTimeout", "45")]);
    world.write("there.toml", move_all(&format!("\"{queue}\""), "\"file:out.queue\""));
    world.write("gone.toml", move_all(&format!("\"{queue}-gone\""), "\"file:out.queue\""));
    rayline(&world, &["validate", "there.toml"]).succeeds().says("bytes, invisible for 45 seconds");
    let ended = rayline(&world, &["validate", "gone.toml"]).ends().says("see that the queue is there");
    assert_ne!(ended.status.code(), Some(0));
}

#[test]
fn the_account_of_a_known_sender_is_verified() {
    let world = World::new();
    let queue = moto().sqs.create_queue(&unique("senders"), &[]);
    let messages = generated(400);
    send(&world, &format!("\"{queue}\""), &messages);
    let received = moto()
        .sqs
        .call("ReceiveMessage", &json!({"QueueUrl": queue, "VisibilityTimeout": 0, "AttributeNames": ["SenderId"]}));
    let sender = received["Messages"][0]["Attributes"]["SenderId"].as_str().expect("a sender").to_owned();
    let sender = sender.split(':').next().expect("an id");
    run(
        &world,
        &format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue = {{ url = "{queue}", accounts = {{ {sender} = "111122223333" }} }}
            options.stop_when_empty = true
            [transforms.flatten]
            plugin = "flatten"
            inputs = ["in"]
            [sinks.documents]
            plugin = "file-sink"
            inputs = ["flatten"]
            grants.objects = "file:documents"
            options.format = "event"
            [sinks.archive]
            plugin = "archive-sink"
            inputs = ["in"]
            grants.objects = "file:archive"
            "#
        ),
    )
    .succeeds();
    let documents = world.documents("documents");
    let verified: BTreeSet<(bool, bool)> = documents
        .values()
        .map(|(_, body)| {
            let verified = body["xray.collector.account.verified"].as_bool().expect("true or false");
            (body["xray.collector.account.id"] == "111122223333", verified)
        })
        .collect();
    assert_eq!(verified, BTreeSet::from([(true, true), (false, false)]), "only the sender's own account is");

    run(
        &world,
        r#"
        data_dir = "data"
        [sources.archive]
        plugin = "archive-source"
        grants.objects = "file:archive"
        [transforms.flatten]
        plugin = "flatten"
        inputs = ["archive"]
        [sinks.documents]
        plugin = "file-sink"
        inputs = ["flatten"]
        grants.objects = "file:again"
        options.format = "event"
        "#,
    )
    .succeeds();
    assert!(world.documents("again") == documents, "the archive knows the sender");
}

#[test]
fn a_role_opens_the_queue_of_another_account() {
    let (world, name) = (World::new(), unique("foreign"));
    let in_account = |action: &str, input: Value| {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &format!("AmazonSQS.{action}")),
            ("x-moto-account-id", "444455556666"),
            (
                "authorization",
                &format!("AWS4-HMAC-SHA256 Credential=A/20260101/{REGION}/sqs/aws4_request, Signature=0"),
            ),
        ];
        request("POST", &moto().url, &headers, input.to_string()).json()
    };
    let queue = in_account("CreateQueue", json!({"QueueName": name}))["QueueUrl"].as_str().expect("a URL").to_owned();
    let role = "arn:aws:iam::444455556666:role/rayline";
    send(&world, &format!("{{ url = \"{queue}\", role_arn = \"{role}\", external_id = \"x\" }}"), &numbered(3));
    let names = json!({"QueueUrl": queue, "AttributeNames": ["ApproximateNumberOfMessages"]});
    assert_eq!(in_account("GetQueueAttributes", names)["Attributes"]["ApproximateNumberOfMessages"], "3");
}
