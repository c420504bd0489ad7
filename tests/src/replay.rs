//! `rayline replay`: what of an archive is replayed, and what others left.

use std::collections::BTreeSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::harness::{World, packed, sha256};

const PRINT: &str = r#"
    data_dir = "data"
    [sources.archive]
    plugin = "archive-source"
    grants.objects = "file:archive"
    [sinks.out]
    plugin = "print-sink"
    inputs = ["archive"]
    grants.output = "stdout"
"#;

const ARN: &str = "arn:aws:states:eu-west-1:222222222222:execution:Orders:n-2";

/// Account and time of each message of the archive.
const MESSAGES: [(&str, &str); 4] = [
    ("111111111111", "2026-10-05T08:15:00Z"),
    ("111111111111", "2026-10-05T09:15:00Z"),
    ("222222222222", "2026-10-05T09:45:00Z"),
    ("222222222222", "2026-10-06T09:15:00Z"),
];

fn message(n: usize) -> String {
    let (account, time) = MESSAGES[n];
    let arn = if n == 2 { ARN } else { "arn:aws:states:eu-west-1:222222222222:execution:Orders:n-20" };
    json!({
        "n": n,
        "account_id": account,
        "region": "eu-west-1",
        "collected_at": time,
        "executions": [{ "executionArn": arn }],
    })
    .to_string()
}

/// An archive that `archive-sink` wrote.
fn archive() -> World {
    let world = World::new();
    world.send("in.queue", &(0..MESSAGES.len()).map(message).collect::<Vec<_>>());
    world.run(
        r#"
        data_dir = "data"
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:in.queue"
        options.stop_when_empty = true
        [sinks.archive]
        plugin = "archive-sink"
        inputs = ["in"]
        grants.objects = "file:archive"
        "#,
    );
    world.write("replay.toml", PRINT);
    world
}

fn numbers(stdout: &str) -> BTreeSet<u64> {
    let number = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["n"].as_u64().expect("a number");
    stdout.lines().map(number).collect()
}

#[test]
fn a_part_of_an_archive() {
    let world = archive();
    let hash = sha256(message(1).as_bytes());
    let cases: [(&[&str], &[u64]); 10] = [
        (&[], &[0, 1, 2, 3]),
        (&["--from", "2026-10-05T09:15:00Z"], &[1, 2, 3]),
        (&["--to", "2026-10-05T09:15:00Z"], &[0]),
        (&["--from", "2026-10-05T09:00:00Z", "--to", "2026-10-06T00:00:00Z"], &[1, 2]),
        (&["--account", "222222222222"], &[2, 3]),
        (&["--account", "222222222222", "--to", "2026-10-06T00:00:00Z"], &[2]),
        (&["--account", "333333333333"], &[]),
        (&["--execution", ARN], &[2]),
        (&["--sha256", &hash], &[1]),
        (&["--rate", "1000"], &[0, 1, 2, 3]),
    ];
    for (options, expected) in cases {
        let ended = world.rayline(&[&["replay", "replay.toml"], options].concat()).succeeds();
        assert_eq!(numbers(&ended.stdout), expected.iter().copied().collect(), "{options:?}");
    }
}

#[test]
fn a_dry_run_counts_and_delivers_nothing() {
    let world = archive();
    let bytes = |numbers: &[usize]| numbers.iter().map(|n| message(*n).len()).sum::<usize>();
    for (options, objects, numbers) in [
        (&[][..], 4, &[0, 1, 2, 3][..]),
        (&["--account", "111111111111"], 2, &[0, 1]),
        (&["--execution", ARN], 4, &[2]),
    ] {
        let ended = world.rayline(&[&["replay", "replay.toml", "--dry-run"], options].concat()).succeeds();
        let expected = format!(
            "archive: {objects} objects read, {} messages, {} bytes would be replayed\n",
            numbers.len(),
            bytes(numbers)
        );
        assert_eq!(ended.stdout, expected, "{options:?}");
    }
}

#[test]
fn what_others_left_is_read() {
    let world = World::new();
    let zip = |text: &str| {
        let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
        zip.write_all(text.as_bytes()).expect("in memory");
        zip.finish().expect("in memory")
    };
    let zst = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("in memory");
    world.write("archive/one.json", "{\n  \"n\": 0\n}\n");
    world.write("archive/deep/down/two.json", r#"{"n":1} {"n":2}"#);
    world.write("archive/lines.ndjson", "{\"n\":3}\n{\"n\":4}\n");
    world.write("archive/zipped.json.gz", zip("{\"n\":5}"));
    world.write("archive/lines.jsonl.gz", zip("{\"n\":6}\n{\"n\":7}\n"));
    world.write("archive/zst.json.zst", zst("{\"n\":8}"));
    world.write("archive/lines.ndjson.zst", zst("{\"n\":9}\n{\"n\":10}\n"));
    world.write("archive/packed.txt", packed(br#"{"n":11}"#));
    world.write("archive/no-extension", zip(r#"{"n":12}"#));
    world.write("archive/empty.json", "");
    world.write("replay.toml", PRINT);
    let ended = world.rayline(&["replay", "replay.toml"]).succeeds();
    assert_eq!(numbers(&ended.stdout), (0..=12).collect());
}

#[test]
fn an_object_that_cannot_be_read_stops_the_replay_with_its_name() {
    let world = World::new();
    world.write("archive/broken.json.gz", b"\x1f\x8b\x08 no gzip at all");
    world.write("replay.toml", PRINT);
    world.rayline(&["replay", "replay.toml"]).ends().with_code(1).says("broken.json.gz");
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let world = World::new();
    world.write("replay.toml", PRINT.replace("archive-source", "queue-source").replace("objects", "queue"));
    let nothing = "replay.toml has no source with `plugin = \"archive-source\"`";
    world.rayline(&["replay", "replay.toml"]).ends().with_code(1).says(nothing);
    world.write("replay.toml", PRINT);
    world.rayline(&["replay", "replay.toml", "--from", "yesterday"]).ends().with_code(1).says("yesterday");
}

/// Whatever text is in a message: the archive takes it, and the replay reads it.
#[test]
fn the_largest_payloads_of_any_kind_come_back() {
    const LARGEST: usize = 64 << 20;
    for payload in [vec![b'"'; LARGEST], vec![1; LARGEST], vec![0xff; LARGEST]] {
        let world = World::new();
        world.send("in.queue", &[&payload[..], b"{}"]);
        let all = |source: &str, archive: &str| {
            format!(
                r#"
                data_dir = "data"
                [sources.in]
                {source}
                [sinks.archive]
                plugin = "archive-sink"
                inputs = ["in"]
                grants.objects = "file:{archive}"
                "#
            )
        };
        let queue = "plugin = \"queue-source\"\ngrants.queue = \"file:in.queue\"\noptions.stop_when_empty = true";
        world.run(&all(queue, "archive"));
        assert_eq!(world.letters().len(), 0);
        world.run(&all("plugin = \"archive-source\"\ngrants.objects = \"file:archive\"", "copy"));
        let copied: Vec<Vec<u8>> = world.archived("copy").into_iter().map(|message| message.raw).collect();
        assert!(copied.len() == 2 && copied.contains(&payload) && copied.contains(&b"{}".to_vec()), "{:?}", payload[0]);
    }
}
