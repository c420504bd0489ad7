//! Objects on S3: archive and replay, dead letters, credentials, errors, what `validate` finds.

mod recorder;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use self::recorder::Recorder;
use crate::harness::{Invocation, World, generated, guest, lines, malformed, numbered};
use crate::servers::{moto, unique};

/// A bucket on moto.
struct Bucket(String);

impl Bucket {
    fn new() -> Bucket {
        let name = unique("objects");
        moto().create_bucket(&name);
        Bucket(name)
    }

    fn put(&self, key: &str, body: &str) {
        let key: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        moto().s3("PUT", &format!("/{}/{key}", self.0), body).ok();
    }

    /// What S3 says of its first thousand objects.
    fn listing(&self) -> String {
        moto().s3("GET", &format!("/{}?list-type=2", self.0), "").ok()
    }

    fn keys(&self) -> Vec<String> {
        let listing = self.listing();
        let keys = listing.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().expect("a key").to_owned());
        keys.collect()
    }
}

/// With credentials and a region, and S3 and STS at this address.
fn on_s3(invocation: Invocation, endpoint: &str) -> Invocation {
    let invocation = invocation.with_credentials().env("AWS_REGION", "eu-west-1");
    invocation.env("AWS_ENDPOINT_URL_STS", &moto().url).env("AWS_ENDPOINT_URL_S3", endpoint)
}

fn rayline(world: &World, args: &[&str]) -> Invocation {
    on_s3(world.rayline(args), &moto().url)
}

/// Everything in the queue to objects of this grant.
fn archive_to(grant: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.in]
        plugin = "queue-source"
        grants.queue = {{ url = "file:in.queue", visibility_secs = 1 }}
        options.stop_when_empty = true
        [sinks.archive]
        plugin = "archive-sink"
        inputs = ["in"]
        grants.objects = {grant}
        retry.initial_secs = 0.1
        "#
    )
}

/// Everything below a grant to a folder.
fn copy_from(grant: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.archive]
        plugin = "archive-source"
        grants.objects = {grant}
        [sinks.copy]
        plugin = "archive-sink"
        inputs = ["archive"]
        grants.objects = "file:copy"
        "#
    )
}

#[test]
fn an_archive_comes_back_byte_for_byte() {
    let (world, bucket) = (World::new(), Bucket::new());
    let mut sent = [generated(300), malformed(8)].concat();
    world.send("in.queue", &sent);
    world.write("archive.toml", archive_to(&format!("\"s3://{}/raw/x y\"", bucket.0)));
    rayline(&world, &["run", "archive.toml"]).succeeds();
    let keys = bucket.keys();
    assert!(keys.iter().all(|key| key.starts_with("raw/x y/account=")), "{keys:?}");

    bucket.put("raw/x yz/account=1/other.ndjson", "{\"another\":\"prefix\"}");
    world.write("copy.toml", copy_from(&format!("{{ url = \"s3://{}/raw/x y/\", path_style = true }}", bucket.0)));
    rayline(&world, &["replay", "copy.toml"]).succeeds();
    let mut copied: Vec<Vec<u8>> = world.archived("copy").into_iter().map(|message| message.raw).collect();
    sent.sort();
    copied.sort();
    assert_eq!(copied, sent);
}

/// One message an object, keys of any form, more than one page of them, and folders as a console makes them.
#[test]
fn a_bucket_that_others_filled_is_replayed() {
    let (world, bucket) = (World::new(), Bucket::new());
    bucket.put("executions/", "");
    bucket.put("executions/empty.json", "");
    for n in 0..1200 {
        let key = format!("executions/arn:aws:states:eu-west-1:111122223333:execution:Orders:ü {n}+%&#{n}.json#1");
        bucket.put(&key, &format!("{{\"account\":\"111122223333\",\"trace\":{{\"Id\":\"{n}\"}}}}"));
    }
    world.write("copy.toml", copy_from(&format!("\"s3://{}\"", bucket.0)));
    rayline(&world, &["replay", "copy.toml"]).succeeds();
    let copied = world.archived("copy");
    let ids: BTreeSet<String> = copied
        .iter()
        .map(|message| {
            let message: Value = serde_json::from_slice(&message.raw).expect("JSON");
            message["trace"]["Id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(copied.len(), 1200);
    assert_eq!(ids, (0..1200).map(|n| n.to_string()).collect());
}

/// `object_store` takes the `/` from the key, which then is nobody's or another object's.
#[test]
fn keys_that_begin_with_a_slash_stop_a_replay_with_advice() {
    let (world, bucket) = (World::new(), Bucket::new());
    bucket.put("2024/01/x.json", "{\"n\":1}");
    bucket.put("others/y.json", "{\"n\":2}");
    bucket.put("/2024/01/x.json", "{\"n\":3}");
    let replay = |prefix: &str| {
        world.write("copy.toml", copy_from(&format!("\"s3://{}\"\noptions.prefix = \"{prefix}\"", bucket.0)));
        rayline(&world, &["replay", "copy.toml"])
    };
    let told = "the store holds objects whose keys begin with `/`, like `/2024/01/x.json`, which cannot be read";
    for prefix in ["", "/", "/2024"] {
        replay(prefix).ends().with_code(1).says(told);
    }
    assert!(lines(&world.path("copy")).is_empty());
    replay("2024").succeeds();
    replay("others").succeeds();
    assert_eq!(world.archived("copy").len(), 2);
}

#[test]
fn a_large_object_is_written_and_read_in_parts() {
    let (world, bucket) = (World::new(), Bucket::new());
    let sent: Vec<String> = (0..60).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(1_000_000))).collect();
    world.send("in.queue", &sent);
    let whole = "options.format = \"body\"\nbatch = { max_bytes = 200_000_000, timeout_secs = 3600 }";
    let pipeline = archive_to(&format!("\"s3://{}\"", bucket.0)).replace("archive-sink", "file-sink");
    world.write("archive.toml", format!("limits.in_flight_bytes = 300_000_000\n{pipeline}\n{whole}"));
    rayline(&world, &["run", "archive.toml"]).succeeds();
    let listing = bucket.listing();
    assert_eq!(bucket.keys().len(), 1, "{listing}");
    assert!(listing.contains("-8&quot;</ETag>") || listing.contains("-8\"</ETag>"), "not of eight parts: {listing}");

    world.write("copy.toml", copy_from(&format!("\"s3://{}\"", bucket.0)));
    rayline(&world, &["replay", "copy.toml"]).succeeds();
    let copied: BTreeSet<Vec<u8>> = world.archived("copy").into_iter().map(|message| message.raw).collect();
    assert!(copied == sent.into_iter().map(String::into_bytes).collect(), "{} messages", copied.len());
}

#[test]
fn a_process_killed_before_the_end_leaves_no_object() {
    let (world, bucket) = (World::new(), Bucket::new());
    world.send("in.queue", &numbered(20));
    world.write("archive.toml", archive_to(&format!("\"s3://{}\"", bucket.0)));
    let run = || rayline(&world, &["run", "archive.toml"]);
    let mut host = run().env("FAILPOINTS", "before-object-commit=return").start();
    host.until_it_says("reached before-object-commit");
    assert_eq!(host.kill().status.signal(), Some(9));
    assert_eq!(bucket.keys(), [] as [&str; 0]);
    run().succeeds();
    world.write("copy.toml", copy_from(&format!("\"s3://{}\"", bucket.0)));
    rayline(&world, &["replay", "copy.toml"]).succeeds();
    assert_eq!(world.archived("copy").len(), 20);
}

#[test]
fn dead_letters_are_listed_shown_and_replayed() {
    let (world, bucket) = (World::new(), Bucket::new());
    world.send("in.queue", &numbered(30));
    let pipeline = |options: &str| {
        format!(
            r#"
            data_dir = "data"
            dead_letter.location = {{ url = "s3://{}/dead", region = "eu-west-1" }}
            [sources.in]
            plugin = "queue-source"
            grants.queue = "file:in.queue"
            options.stop_when_empty = true
            [sinks.faulty]
            plugin = {:?}
            inputs = ["in"]
            grants.queue = "file:out.queue"
            {options}
            "#,
            bucket.0,
            guest("guest-sink")
        )
    };
    world.write("pipeline.toml", pipeline("options.reject = \"5}\""));
    rayline(&world, &["run", "pipeline.toml"]).succeeds().says(&format!("dead letter: s3://{}/dead", bucket.0));
    let keys = bucket.keys();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("dead/year=")), "{keys:?}");

    let listed = rayline(&world, &["dead-letter", "list", "pipeline.toml"]).succeeds().says("faulty").stdout;
    let object = listed.lines().next().expect("an object").to_owned();
    assert!(keys.contains(&format!("dead/{object}")), "{listed}");
    rayline(&world, &["dead-letter", "show", "pipeline.toml", &object]).succeeds().says("{\\\"n\\\":5}");
    world.write("pipeline.toml", pipeline(""));
    rayline(&world, &["dead-letter", "replay", "pipeline.toml"]).succeeds().says("0 kept");
    assert_eq!(bucket.keys(), [] as [&str; 0]);
    assert_eq!(world.take("out.queue").len(), 30);
}

#[test]
fn what_is_written_is_encrypted_and_signed_by_the_role() {
    let (world, recorder) = (World::new(), Recorder::start(Vec::new()));
    world.send("in.queue", &numbered(3));
    let grant = r#"{ url = "s3://bucket/raw", kms_key_id = "alias/logs", role_arn = "arn:aws:iam::444455556666:role/logs", external_id = "x" }"#;
    world.write("archive.toml", archive_to(grant));
    on_s3(world.rayline(&["run", "archive.toml"]), &recorder.url).succeeds();
    let heads = recorder.heads();
    let [head] = heads.as_slice() else { panic!("one object: {heads:?}") };
    assert!(head.starts_with("put /bucket/raw/account%3dunknown/"), "{head}");
    assert_encrypted(head);
    assert!(head.contains("\r\nx-amz-security-token: ") && head.contains("credential=asia"), "{head}");
    assert!(head.contains("/eu-west-1/s3/aws4_request"), "{head}");
}

/// Of an object in parts, what begins it says how it is encrypted.
#[test]
fn what_is_written_in_parts_is_encrypted() {
    let begun = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
    let completed = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>";
    let answers = [begun, "", "", completed].map(|body| ("200 OK", body));
    let (world, recorder) = (World::new(), Recorder::start(answers.to_vec()));
    let sent: Vec<String> = (0..12).map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(1_000_000))).collect();
    world.send("in.queue", &sent);
    let pipeline = archive_to(r#"{ url = "s3://bucket/raw", kms_key_id = "alias/logs" }"#);
    let pipeline = pipeline.replace("archive-sink", "file-sink");
    let whole = "options.format = \"body\"\nbatch = { max_bytes = 30_000_000, timeout_secs = 3600 }";
    world.write("archive.toml", format!("{pipeline}\n{whole}"));
    on_s3(world.rayline(&["run", "archive.toml"]), &recorder.url).succeeds();
    let heads = recorder.heads();
    let [begin, parts @ .., end] = heads.as_slice() else { panic!("{heads:?}") };
    assert!(begin.starts_with("post /bucket/raw/") && begin.contains("?uploads"), "{begin}");
    assert_encrypted(begin);
    assert!(parts.len() == 2 && parts.iter().all(|part| part.contains("partnumber=")), "{parts:?}");
    assert!(end.starts_with("post /bucket/raw/") && end.contains("?uploadid="), "{end}");
}

/// Request line and headers ask for the key `alias/logs`.
fn assert_encrypted(head: &str) {
    assert!(head.contains("\r\nx-amz-server-side-encryption: aws:kms\r\n"), "{head}");
    assert!(head.contains("\r\nx-amz-server-side-encryption-aws-kms-key-id: alias/logs\r\n"), "{head}");
}

#[test]
fn a_store_that_is_busy_is_asked_again() {
    let busy = ("503 Slow Down", "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>");
    let (world, recorder) = (World::new(), Recorder::start(vec![busy; 7]));
    world.send("in.queue", &numbered(3));
    world.write("archive.toml", archive_to("\"s3://bucket\""));
    on_s3(world.rayline(&["run", "archive.toml"]), &recorder.url).succeeds().says("SlowDown");
    assert_eq!(recorder.heads().len(), 8);
}

#[test]
fn a_bucket_that_is_not_there_stops_the_pipeline_with_advice() {
    let world = World::new();
    world.send("in.queue", &numbered(3));
    let missing = unique("missing");
    world.write("archive.toml", archive_to(&format!("\"s3://{missing}\"")));
    let ended = rayline(&world, &["run", "archive.toml"]).ends().with_code(1).says("NoSuchBucket");
    let ended = ended.says("correct the `url` of the grant, or make the bucket").says(&format!("s3://{missing}"));
    let told =
        ended.stderr.lines().find(|line| line.contains("the object store refuses")).expect("what the stage was told");
    assert!(!told.contains(&missing), "{told}");
    assert_eq!(world.take("in.queue").len(), 3, "nothing is lost");
}

#[test]
fn validate_says_what_the_grants_reach() {
    let (world, bucket) = (World::new(), Bucket::new());
    bucket.put("raw/one.json", "{}");
    let place = format!("s3://{}", bucket.0);
    world.write("archive.toml", archive_to(&format!("\"{place}/new\"")));
    world.write("copy.toml", copy_from(&format!("\"{place}/raw\"")));
    world.write("empty.toml", copy_from(&format!("\"{place}/new\"")));
    let validate = |file: &str| rayline(&world, &["validate", file]).succeeds();
    validate("archive.toml").says(&format!("sinks.archive.grants.objects: {place}/new: writable"));
    validate("copy.toml").says(&format!("sources.archive.grants.objects: {place}/raw: readable\n"));
    validate("empty.toml").says("readable, but nothing is there yet");
    assert_eq!(bucket.keys(), ["raw/one.json"], "nothing is left behind");
    assert!(lines(&world.path("copy")).is_empty());

    // What may not be deleted again stays, and is no message.
    let denied = ("403 Forbidden", "<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
    let recorder = Recorder::start(vec![("200 OK", ""), denied]);
    let validated = on_s3(world.rayline(&["validate", "archive.toml"]), &recorder.url).succeeds();
    validated
        .says("new: writable, but the object rayline-validate-")
        .says("allow s3:DeleteObject on `rayline-validate-*` there");
    bucket.put("raw/rayline-validate-0123456789abcdef", "a check whether this can be written");
    rayline(&world, &["replay", "copy.toml"]).succeeds();
    assert_eq!(world.archived("copy").len(), 1);

    world.write("archive.toml", archive_to(&format!("\"s3://{}\"", unique("missing"))));
    rayline(&world, &["validate", "archive.toml"])
        .ends()
        .with_code(1)
        .says("sinks.archive.grants.objects: s3://")
        .says("NoSuchBucket");
    rayline(&world, &["validate", "--no-connect", "archive.toml"]).succeeds();
    let nobody = r#"{ url = "s3://bucket", endpoint_url = "http://127.0.0.1:9" }"#;
    world.write("archive.toml", archive_to(nobody));
    rayline(&world, &["validate", "archive.toml"]).ends().with_code(1).says("s3://bucket: ");
    world.write("in.queue/a-file", "");
    rayline(&world, &["validate", "archive.toml"])
        .ends()
        .with_code(1)
        .says("in.queue is something else than a queue's file");
}
