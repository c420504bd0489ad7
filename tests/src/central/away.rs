//! A cluster that does not answer for a while, or is killed.

use std::thread::sleep;
use std::time::Duration;

use super::account::{Account, assert_complete, end, until_indexed};
use crate::harness::{Host, generated, get, malformed, metric};
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
    let indexed = || metric(&get(&address, "/metrics")?.1, &["component_sent_events_total{", "component_id=\"index\""]);
    host.until("the first documents", |_| indexed().filter(|documents| *documents > 0.0));

    search.pause();
    account.send(second);
    sleep(AWAY);
    search.resume();
    until_indexed(&mut host, 380);

    search.kill();
    account.send(third);
    let tries = |host: &Host| host.stderr().matches("trying again").count();
    let before = tries(&host);
    host.until("a write that fails", |host| (tries(host) > before).then_some(()));
    sleep(AWAY);
    search.start_again();
    until_indexed(&mut host, messages.len());
    assert_eq!(account.queued(), (0, messages.len() as u64), "nothing is settled before the archive has it");
    end(host);
    assert_complete(&account, &messages);
}
