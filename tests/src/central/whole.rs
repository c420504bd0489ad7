//! The main job, and both ways back from the archive.

use std::fs;

use super::account::{Account, assert_complete, until_indexed};
use crate::e2e::{assert_same, reasons};
use crate::harness::{generated, malformed, packed, sha256, workspace};
use crate::servers::{Engine, search, unique};

/// A message of 3 MB that does not become small when packed.
fn large() -> Vec<u8> {
    let sample = fs::read_to_string(workspace("samples/messages/standard-succeeded.json")).expect("a sample");
    let noise: String = (0..47_000_u32).map(|n| sha256(&n.to_be_bytes())).collect();
    let large = sample.replace("2ec0e5f739963aff", "2ec0e5f7399600ff").replace("order-100417", "order-large");
    large.replacen("\\\"paid\\\":true", &format!("\\\"paid\\\":\\\"{noise}\\\""), 1).into_bytes()
}

/// Slow, since it is two thousand messages three times.
#[test]
fn two_thousand_messages_reach_archive_and_index_and_a_replay_changes_nothing() {
    let account = Account::new(search(Engine::OpenSearch2), &unique("central"), "30");
    let broken = malformed(40);
    let mut payloads = [generated(1959), vec![large()]].concat();
    let sent: Vec<_> =
        payloads.iter().enumerate().map(|(n, m)| if n % 5 == 0 { packed(m) } else { m.clone() }).collect();
    account.send(&[sent, broken.clone()].concat());
    payloads.extend(broken.iter().cloned());
    payloads.sort();
    assert_eq!(account.keys("claims").len(), 1, "the large message went by claim check");
    account
        .rayline(&["validate", "pipelines/central.toml", "pipelines/replay.toml", "pipelines/replay-to-index.toml"])
        .succeeds()
        .says("sources.inbox.grants.queue: http://127.0.0.1")
        .says("sinks.archive.grants.objects: s3://")
        .says("sinks.index.grants.http: http://127.0.0.1");

    let mut host = account.central().start();
    until_indexed(&mut host, payloads.len());
    assert!(account.queued().1 > 0, "no message is settled before the archive has it");
    host.stops();
    let mut archived: Vec<Vec<u8>> = account.archived().into_iter().map(|message| message.raw).collect();
    archived.sort();
    assert!(archived == payloads, "the archive holds {} messages, not every one byte for byte", archived.len());
    let documents = assert_complete(&account, &payloads);
    assert!(documents.len() > 5 * payloads.len(), "{} documents", documents.len());
    let letters = reasons(&account.letters());
    for message in &broken {
        assert!(letters.iter().any(|(dead, _)| dead == message), "{:?}", String::from_utf8_lossy(message));
    }

    account.delete_indices();
    let mut host = account.central().start();
    account.rayline(&["replay", "pipelines/replay.toml"]).succeeds().says("read 2000 messages");
    until_indexed(&mut host, 2000);
    host.stops();
    assert_same(&account.documents(), &documents);
    assert_eq!(assert_complete(&account, &payloads).len(), documents.len());

    account.rayline(&["replay", "pipelines/replay-to-index.toml"]).succeeds().says("read 4000 messages");
    assert_same(&account.documents(), &documents);
    assert_eq!(account.queued(), (0, 0));
}
