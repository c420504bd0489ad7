//! A cluster that does not answer for a while, or is killed.

use std::thread::sleep;
use std::time::Duration;

use super::account::{Account, assert_complete, progress, until_indexed};
use crate::harness::{generated, malformed};
use crate::servers::{Engine, Settings, search_with};

/// How long the cluster is away. Long: connections must stand or be refused for longer than a moment of hesitation.
const AWAY: Duration = Duration::from_secs(20);

/// Slow, since the cluster is away for 20 s twice.
#[test]
fn a_cluster_that_is_away_is_waited_for() {
    // One of its own, with the shipped pipeline's own names of indices.
    let mut search = search_with(Engine::OpenSearch2, Settings::default());
    let account = Account::new(&search, "xray", "30");
    let messages = [generated(570), malformed(8)].concat();
    let (first, rest) = messages.split_at(190);
    let (second, third) = rest.split_at(190);
    account.send(first);
    let mut host = account.central().start();
    let address = host.address();
    host.until("the first documents", |_| progress(&address).filter(|so_far| so_far.indexed > 0.0));
    let assert_documents_wait = || {
        let so_far = progress(&address).expect("metrics");
        assert!(so_far.documents > so_far.indexed, "a cluster that is away has everything");
    };

    search.pause();
    account.send(second);
    sleep(AWAY);
    assert_documents_wait();
    search.resume();
    until_indexed(&mut host, first.len() + second.len());

    search.kill();
    account.send(third);
    sleep(AWAY);
    assert_documents_wait();
    search.start_again();
    until_indexed(&mut host, messages.len());
    host.stops();
    assert_complete(&account, &messages);
}
