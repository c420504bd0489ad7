//! An index template that refuses every document.

use serde_json::json;

use super::account::{Account, assert_complete};
use crate::e2e::flattened;
use crate::harness::{Archived, generated, get, malformed, metric};
use crate::servers::{Engine, search, unique};

/// How many of these messages become documents, if they are sent now.
fn fruitful(messages: &[Vec<u8>]) -> u64 {
    let now = jiff::Timestamp::now().to_string();
    let archived = messages.iter().map(|raw| Archived {
        raw: raw.clone(),
        account: None,
        region: None,
        sent_at: Some(now.clone()),
    });
    archived.filter(|message| !flattened(std::slice::from_ref(message)).0.is_empty()).count() as u64
}

#[test]
fn a_wrong_template_holds_the_queue_until_it_is_right() {
    let (search, prefix) = (search(Engine::OpenSearch2), unique("wrong"));
    let account = Account::new(search, &prefix, "30");
    account.edit(
        "central",
        &[
            // It is not the archive that holds the messages.
            ("timeout_secs = 300", "timeout_secs = 2"),
            // The breaker wants a hundred documents to judge by: they come at once.
            ("timeout_secs = 1 }", "timeout_secs = 10 }"),
            ("dead_letter.location", "dead_letter.probe_secs = 1\ndead_letter.location"),
        ],
    );
    // It comes before what `rayline setup` made.
    let template = json!({
        "index_patterns": [format!("{prefix}-*")],
        "priority": 1_000,
        "template": { "mappings": { "dynamic": false, "properties": { "doc.kind": { "type": "integer" } } } },
    });
    let wrong = format!("/_index_template/{prefix}-wrong");
    search.request("PUT", &wrong, template.to_string()).ok();
    let messages = [generated(190), malformed(8)].concat();
    account.send(&messages);

    let mut host = account.central().start();
    let address = host.address();
    let of_index = |name: &str| metric(&get(&address, "/metrics")?.1, &[name, "component_id=\"index\""]);
    let queued = || {
        let (waiting, held) = account.queued();
        waiting + held
    };
    host.until("a paused stage", |_| of_index("component_paused{").filter(|paused| *paused == 1.0));
    let kept = fruitful(&messages);
    assert!(kept > 170, "{kept} messages become documents");
    host.until("only what becomes no document off the queue", |_| (queued() == kept).then_some(()));
    let calls = || of_index("component_call_duration_seconds_count{");
    let before = calls().expect("a number");
    host.until("three more tries", |_| calls().filter(|calls| *calls >= before + 3.0));
    assert_eq!(queued(), kept, "a message has left the queue");
    assert_eq!(get(&address, "/health").map(|(status, _)| status), Some(503));
    assert!(account.documents().is_empty());

    search.request("DELETE", &wrong, "").ok();
    account.delete_indices();
    host.until("an empty queue", |_| (account.queued() == (0, 0)).then_some(()));
    host.stops().says("an event passed");
    // No document is in the dead letter.
    assert_complete(&account, &messages);
}
