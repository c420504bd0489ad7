//! The main job: queue to archive and documents, and the archive replayed.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::harness::{Archived, Documents, Letter, World, generated, malformed, packed};
use crate::reference::{self, Input, Payloads};

const MAIN_JOB: &str = r#"
    data_dir = "data"

    [sources.inbox]
    plugin = "queue-source"
    grants.queue = "file:inbox.queue"
    options.stop_when_empty = true

    [sinks.archive]
    plugin = "archive-sink"
    inputs = ["inbox"]
    grants.objects = "file:archive"
    batch = { max_bytes = 33_554_432, max_events = 100_000, timeout_secs = 60, group_by = ["account", "region"] }

    [transforms.flatten]
    plugin = "flatten"
    inputs = ["inbox"]
    instances = 2

    [sinks.documents]
    plugin = "file-sink"
    inputs = ["flatten"]
    grants.objects = "file:documents"
    options.format = "event"
"#;

const REPLAY: &str = r#"
    data_dir = "data/replay"

    [sources.archive]
    plugin = "archive-source"
    grants.objects = "file:archive"

    [sinks.queue]
    plugin = "queue-sink"
    inputs = ["archive"]
    grants.queue = "file:inbox.queue"
"#;

#[test]
fn two_thousand_messages_become_an_archive_and_documents_and_a_replay_changes_nothing() {
    let world = World::new();
    let broken = malformed(40);
    let mut payloads = generated(1960);
    let sent: Vec<_> =
        payloads.iter().enumerate().map(|(n, m)| if n % 5 == 0 { packed(m) } else { m.clone() }).collect();
    world.send("inbox.queue", &[sent, broken.clone()].concat());
    payloads.extend(broken.iter().cloned());
    payloads.sort();

    world.run(MAIN_JOB);
    let archived = world.archived("archive");
    assert!(
        archived.iter().map(|message| &message.raw).eq(&payloads),
        "the archive holds every payload, byte for byte"
    );
    let (expected, rejections) = expected(&archived);
    assert!(expected.len() > 5 * payloads.len(), "{} documents", expected.len());
    assert_same(&world.documents("documents"), &expected);
    let letters = reasons(&world.letters());
    assert_eq!(letters, rejections);
    for message in &broken {
        assert!(letters.iter().any(|(dead, _)| dead == message), "{:?}", String::from_utf8_lossy(message));
    }
    assert_eq!(world.take("inbox.queue"), [] as [Value; 0], "the queue is empty");

    world.write("replay.toml", REPLAY);
    world.share_cache("data/replay");
    world.rayline(&["replay", "replay.toml"]).succeeds().says("read 2000 messages");
    // What is there afterwards is of the second run alone.
    for folder in ["archive", "documents", "data/dead-letter"] {
        fs::remove_dir_all(world.path(folder)).expect("what the first run wrote");
    }
    world.run(MAIN_JOB).says("read 2000 messages");
    let again = world.archived("archive");
    assert!(again.iter().map(|message| &message.raw).eq(&payloads), "what was archived again is what was there");
    assert_same(&world.documents("documents"), &expected);
    assert_eq!(reasons(&world.letters()), rejections);
}

/// A document: id, version, body.
pub type Document = (String, u64, Value);

/// What the specification says of these messages: the documents in their last versions, and each rejection's message and
/// reason.
pub fn expected(archived: &[Archived]) -> (Documents, BTreeSet<(Vec<u8>, String)>) {
    let (made, rejections) = flattened(archived);
    let mut documents = Documents::new();
    for (id, version, body) in made {
        if documents.get(&id).is_none_or(|(other, _)| version >= *other) {
            documents.insert(id, (version, body));
        }
    }
    (documents, rejections)
}

/// Every document, earlier versions too.
pub fn flattened(archived: &[Archived]) -> (Vec<Document>, BTreeSet<(Vec<u8>, String)>) {
    let (mut documents, mut rejections) = (Vec::new(), BTreeSet::new());
    for message in archived {
        let sent_at = message.sent_at.as_deref().map(|time| time.parse::<jiff::Timestamp>().expect("a time"));
        let (made, rejected) = reference::reference(&Input {
            payload: &message.raw,
            account: message.account.as_deref(),
            region: message.region.as_deref(),
            sender_account: None,
            sent_at_ms: sent_at.map(jiff::Timestamp::as_millisecond),
            payloads: Payloads::Truncated,
        });
        documents.extend(made.into_iter().map(|made| (made.id, made.version, Value::Object(made.body))));
        rejections.extend(rejected.into_iter().map(|rejection| (message.raw.clone(), rejection.reason)));
    }
    (documents, rejections)
}

pub fn reasons(letters: &[Letter]) -> BTreeSet<(Vec<u8>, String)> {
    letters.iter().map(|letter| (letter.message.clone(), letter.reason.clone())).collect()
}

/// With a message that a person can read: the fields that differ.
pub fn assert_same(found: &Documents, expected: &Documents) {
    for (id, (version, body)) in expected {
        let Some((found_version, found)) = found.get(id) else { panic!("there is no {id}") };
        assert_eq!(found_version, version, "the version of {id}");
        let (Value::Object(found), Value::Object(body)) = (found, body) else { panic!("{id} is no object") };
        let fields: BTreeSet<&String> = found.keys().chain(body.keys()).collect();
        for field in fields {
            assert_eq!(found.get(field), body.get(field), "{field} of {id}");
        }
    }
    let more: Vec<_> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
    assert!(more.is_empty(), "documents that should not be there: {more:?}");
}
