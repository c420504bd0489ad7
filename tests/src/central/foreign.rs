//! A bucket that others filled, replayed into the index.

use super::account::Account;
use crate::e2e::{assert_same, expected};
use crate::harness::{Archived, generated};
use crate::servers::{Engine, search, unique};

/// One raw message an object, under the keys of whoever wrote them.
#[test]
fn what_lambdas_left_goes_into_the_index() {
    let account = Account::new(search(Engine::Elasticsearch8), &unique("foreign"), "30");
    let messages = generated(120);
    for (n, message) in messages.iter().enumerate() {
        let key = match n % 3 {
            0 => format!("2026/11/14/execution-{n}.json"),
            1 => format!("arn:aws:states:eu-west-1:111122223333:execution:Orders:{n}"),
            _ => format!("111122223333/{n:08x}"),
        };
        account.put(&format!("raw/{key}"), std::str::from_utf8(message).expect("UTF-8"));
    }
    account.rayline(&["replay", "pipelines/replay-to-index.toml"]).succeeds().says("read 120 messages");
    // White space around a message is not part of it.
    let left = |message: Vec<u8>| {
        let raw = message.trim_ascii().to_vec();
        Archived { raw, account: None, region: None, sent_at: None }
    };
    let (documents, _) = expected(&messages.into_iter().map(left).collect::<Vec<_>>());
    assert!(documents.len() > 500, "{} documents", documents.len());
    assert_same(&account.documents(), &documents);
}
