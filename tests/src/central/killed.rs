//! `kill -9` at each point where something is half done.

use std::os::unix::process::ExitStatusExt;

use super::account::{Account, assert_complete, until_indexed};
use crate::harness::{generated, malformed};
use crate::servers::{Engine, search, unique};

/// When a point is reached.
#[derive(PartialEq)]
enum When {
    /// While it runs.
    Running,
    /// When it is told to end: until then the archive's batch is open, and nothing is settled.
    Ending,
}

/// Kills at the named point, where archive and index must hold something already or need not. Then runs to the end.
fn check(point: &str, when: When, is_archived: bool, is_indexed: bool) {
    let account = Account::new(search(Engine::OpenSearch2), &unique("killed"), "5");
    let messages = [generated(190), malformed(8)].concat();
    account.send(&messages);
    let mut host = account.central().env("FAILPOINTS", format!("{point}=return")).start();
    if when == When::Ending {
        until_indexed(&mut host, messages.len());
        host.signal("TERM");
    }
    host.until_it_says("reached ");
    let (waiting, held) = account.queued();
    assert!(held > 0, "nothing is in flight at {point}");
    assert_eq!(waiting + held, messages.len() as u64, "a message has left the queue at {point}");
    assert_eq!(host.kill().status.signal(), Some(9));
    assert_eq!(!account.keys("raw").is_empty(), is_archived, "the archive at {point}");
    assert!(!is_indexed || !account.documents().is_empty(), "no document is in the index at {point}");

    let mut host = account.central().start();
    until_indexed(&mut host, messages.len());
    host.stops();
    assert_complete(&account, &messages);
}

#[test]
fn after_receive() {
    check("after-receive", When::Running, false, false);
}

#[test]
fn after_the_archive_put() {
    check("after-write-archive", When::Ending, true, true);
}

#[test]
fn after_the_documents_are_written() {
    check("after-write-index", When::Running, false, true);
}

#[test]
fn before_settling() {
    check("before-settle", When::Ending, true, true);
}

#[test]
fn inside_a_dead_letter_write() {
    check("in-dead-letter-write", When::Running, false, false);
}
