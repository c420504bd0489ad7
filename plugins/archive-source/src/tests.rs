use std::io::Read as _;

use rayline_sdk::objects;
use rayline_sdk::testing::{self, OpenSource, Read, Seen};

use super::*;

const NOON: &str = "2025-01-01T12:00:00Z";

/// An archive of two accounts and hours, and what others left beside it.
fn store() {
    let line = |sha256: &str, sent_at: &str, raw: &str| {
        let raw = serde_json::to_string(raw).unwrap();
        format!("{{\"sha256\":\"{sha256}\",\"sent_at\":\"{sent_at}\",\"message_id\":\"m\",\"raw\":{raw}}}\n")
    };
    let first = line(&"a".repeat(64), NOON, r#"{"trace":{"n":1}}"#)
        + "broken\n"
        + &line(&"b".repeat(64), "2025-01-01T12:30:00Z", r#"{"trace":{"n":2},"arn":"arn:aws:x:1"}"#);
    let second = line(&"c".repeat(64), "2025-01-02T00:00:00Z", r#"{"account":"9","trace":{"n":3}}"#);
    for (key, content) in [
        ("account=1/region=r/year=2025/month=01/day=01/hour=12/a.ndjson.zst", first.as_str()),
        ("account=2/region=r/year=2025/month=01/day=02/hour=00/b.ndjson.zst", second.as_str()),
        ("others/empty.json", ""),
        ("others/one.json", "{\n  \"account\": \"1\",\n  \"collected_at\": \"2025-01-01T12:10:00Z\"\n}\n"),
        ("others/sub/lines.ndjson.gz", "{\"account\":\"2\",\"x\":1}\n\n{\"account\":\"2\",\"x\":2}\n"),
    ] {
        testing::objects::put(OBJECTS, key, content.as_bytes());
    }
}

/// Reads to the end. Every reading's checkpoint is good to go on from.
fn read_all(source: &mut OpenSource<ArchiveSource>) -> (Vec<Seen>, Vec<String>) {
    let (mut all, mut checkpoints) = (Vec::new(), Vec::new());
    loop {
        match source.read(1).unwrap() {
            Read::Events { events, checkpoint, .. } => {
                all.extend(events);
                checkpoints.extend(checkpoint);
            }
            Read::Finished => return (all, checkpoints),
            Read::Idle(ms) => testing::clock::advance(Duration::from_millis(ms.into())),
        }
    }
}

fn bodies(options: &str) -> Vec<String> {
    store();
    let mut source = testing::open_source::<ArchiveSource>(options, None).unwrap();
    read_all(&mut source).0.into_iter().map(|event| event.body).collect()
}

const ONE: &str = r#"{"trace":{"n":1}}"#;
const TWO: &str = r#"{"trace":{"n":2},"arn":"arn:aws:x:1"}"#;
const THREE: &str = r#"{"account":"9","trace":{"n":3}}"#;
const OTHER: &str = "{\n  \"account\": \"1\",\n  \"collected_at\": \"2025-01-01T12:10:00Z\"\n}";
const X1: &str = r#"{"account":"2","x":1}"#;
const X2: &str = r#"{"account":"2","x":2}"#;

#[test]
fn what_is_selected() {
    let b = "B".repeat(64);
    // Computed: it stands in no line.
    let x2 = "811efe1f6afd420ad9cf6ba7f3f4ef0f9bc49e2cd79cbbb80342fc85a94d1f7f";
    for (options, expected) in [
        ("{}".to_owned(), &[ONE, "broken", TWO, THREE, OTHER, X1, X2][..]),
        (r#"{"prefix":"others/o"}"#.into(), &[OTHER]),
        (r#"{"account":"1"}"#.into(), &[ONE, "broken", TWO, OTHER]),
        (r#"{"account":"9"}"#.into(), &[]),
        (r#"{"to":"2025-01-01T12:30:00Z"}"#.into(), &[ONE, OTHER]),
        (r#"{"from":"2025-01-01T12:05:00Z","to":"2025-01-01T12:30:00.1Z"}"#.into(), &[TWO, OTHER]),
        (r#"{"from":"2025-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}"#.into(), &[THREE]),
        (r#"{"execution_arn":"arn:aws:x:1"}"#.into(), &[TWO]),
        (r#"{"execution_arn":"arn:aws:x"}"#.into(), &[]),
        (format!(r#"{{"sha256":"{b}"}}"#), &[TWO]),
        (format!(r#"{{"sha256":"{x2}"}}"#), &[X2]),
    ] {
        assert_eq!(bodies(&options), expected, "{options}");
    }
}

#[test]
fn labels_attributes_and_times() {
    store();
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    let seen: Vec<String> = read_all(&mut source)
        .0
        .iter()
        .map(|event| {
            let labels: Vec<String> = event.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let (id, time) = (&event.id, event.time / 1_000_000_000);
            format!("{} {id} {time} {}", labels.join(","), event.attrs.replace('"', ""))
        })
        .collect();
    let first = "object:account=1/region=r/year=2025/month=01/day=01/hour=12/a.ndjson.zst";
    let second = "object:account=2/region=r/year=2025/month=01/day=02/hour=00/b.ndjson.zst";
    assert_eq!(
        seen,
        [
            format!("kind=raw,account=1,region=r  1735732800 {{message_id:m,sent_at:2025-01-01T12:00:00Z,{first}}}"),
            format!("kind=raw,account=1,region=r  0 {{{first}}}"),
            format!("kind=raw,account=1,region=r  1735734600 {{message_id:m,sent_at:2025-01-01T12:30:00Z,{first}}}"),
            format!("kind=raw,account=2,region=r  1735776000 {{message_id:m,sent_at:2025-01-02T00:00:00Z,{second}}}"),
            "kind=raw,account=1  1735733400 {object:others/one.json}".into(),
            "kind=raw,account=2  0 {object:others/sub/lines.ndjson.gz}".into(),
            "kind=raw,account=2  0 {object:others/sub/lines.ndjson.gz}".into(),
        ]
    );
}

#[test]
fn goes_on_at_every_checkpoint() {
    store();
    let read = |checkpoint: Option<&str>| {
        let mut source = testing::open_source::<ArchiveSource>("{}", checkpoint).unwrap();
        let (events, checkpoints) = read_all(&mut source);
        (events.into_iter().map(|event| event.body).collect::<Vec<_>>(), checkpoints)
    };
    let (all, checkpoints) = read(None);
    let (ended, running) = checkpoints.split_last().unwrap();
    assert_eq!(running.len(), all.len(), "a message a reading");
    for (read_before, checkpoint) in (1..).zip(running) {
        assert_eq!(read(Some(checkpoint)).0, all[read_before..], "{checkpoint}");
    }
    assert_eq!(read(Some(ended)).0, all, "a replay that has ended begins again");

    let mut other = testing::open_source::<ArchiveSource>(r#"{"account":"2"}"#, Some(&running[2])).unwrap();
    assert_eq!(read_all(&mut other).0.len(), 3, "another selection does not go on there");
    let mut faster = testing::open_source::<ArchiveSource>(r#"{"rate_per_sec":9}"#, Some(&running[2])).unwrap();
    assert_eq!(read_all(&mut faster).0.len(), 4, "another rate does");
}

#[test]
fn an_object_that_is_gone_is_passed_over() {
    store();
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    source.read(1).unwrap();
    let gone = "account=2/region=r/year=2025/month=01/day=02/hour=00/b.ndjson.zst".to_owned();
    objects::delete(OBJECTS, &[gone]).unwrap();
    let rest: Vec<String> = read_all(&mut source).0.into_iter().map(|event| event.body).collect();
    assert_eq!(rest, ["broken", TWO, OTHER, X1, X2]);
    let (_, line) = testing::log::take().pop().unwrap();
    assert!(line.starts_with("an object was deleted before it was read object=account=2/"), "{line}");
}

#[test]
fn what_a_check_left_is_no_message() {
    store();
    testing::objects::put(OBJECTS, "others/rayline-validate-00112233aabbccdd", b"a check whether this can be written");
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    assert_eq!(read_all(&mut source).0.len(), 7);
}

#[test]
fn one_instance_reads_everything() {
    let read = |instances| {
        testing::objects::grant(OBJECTS);
        ArchiveSource::open(Options::default(), &Context { instances, ..Context::default() }).err()
    };
    assert!(read(1).is_none());
    match read(2) {
        Some(Failure::Fatal(reason)) => {
            assert!(reason.starts_with("2 instances would each read everything"), "{reason}")
        }
        other => panic!("opened: {other:?}"),
    }
}

#[test]
fn a_rate_is_kept() {
    store();
    let mut source = testing::open_source::<ArchiveSource>(r#"{"rate_per_sec":2}"#, None).unwrap();
    let start = clock::monotonic();
    assert_eq!(read_all(&mut source).0.len(), 7);
    assert_eq!(clock::monotonic() - start, Duration::from_millis(3500));
}

#[test]
fn many_objects_are_listed_in_pages() {
    let times: Vec<String> =
        (0..2500).map(|n| format!("year=2025/month=01/day={:02}/{n:05}.json", n % 2 + 1)).collect();
    for key in &times {
        testing::objects::put(OBJECTS, key, b"{}");
    }
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    assert_eq!(read_all(&mut source).0.len(), 2500);
    // Its objects have no time of their own: only the folder's name and the time of the object say anything.
    let from = r#"{"from":"2025-01-02T00:00:00Z"}"#;
    let mut source = testing::open_source::<ArchiveSource>(from, None).unwrap();
    assert_eq!(read_all(&mut source).0.len(), 1250);
}

#[test]
fn a_message_that_is_too_long_names_its_object() {
    testing::objects::put(OBJECTS, "big/long.json", &vec![b'['; rayline_message::Line::MOST_BYTES + 2]);
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    match source.read(1) {
        Err(Failure::Fatal(reason)) => {
            assert!(reason.starts_with("object big/long.json: message 1 is longer"), "{reason}")
        }
        other => panic!("read it: {other:?}"),
    }
}

#[test]
fn the_committed_archive_is_read_for_ever() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/archive-1.ndjson.gz");
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(fixture).unwrap()).read_to_end(&mut content).unwrap();
    testing::objects::put(OBJECTS, "archive-1.ndjson", &content);
    let mut source = testing::open_source::<ArchiveSource>("{}", None).unwrap();
    let seen: Vec<(String, String)> = read_all(&mut source).0.into_iter().map(|it| (it.body, it.attrs)).collect();
    let attrs = |rest: &str| format!("{{{rest}\"object\":\"archive-1.ndjson\"}}");
    let beside = r#""message_id":"3a1c","sent_at":"2025-01-01T12:00:02Z","received_at":"2025-01-01T12:00:03.5Z","sender_id":"AROAEXAMPLE:collector","#;
    assert_eq!(seen, [
        (r#"{"schema":"rayline.raw/1","account_id":"111122223333","region":"eu-west-1","collected_at":"2025-01-01T12:00:00Z","trace":{"Id":"1-67752c40-000000000000000000000001","Segments":[{"Id":"1","Document":"{\"id\":\"1\",\"name\":\"a \\\"b\\\" \\\\ ü\u2028\"}"}]}}"#.to_owned(), attrs(beside)),
        ("{\n\t\"account\": \"444455556666\",\r\n\t\"trace\": \"{}\"\n}\n\u{7f}\u{1}\0\u{2028}\u{feff}\u{1f600}".to_owned(), attrs("")),
        ("not UTF-8: \u{fffd}\u{fffd}\0".to_owned(), attrs("")),
        (String::new(), attrs("")),
    ]);
}
