//! The pipelines that are shipped for every account, as they are.

use std::collections::BTreeMap;

use super::collector::{OWN, with_aws};
use super::fake::{Fake, Manners, Place};
use super::organisation::{Organisation, Story};
use crate::central::account::Account;
use crate::harness::{Documents, Host, Invocation};
use crate::servers::sqs::REGION;
use crate::servers::{Engine, elasticmq, search, unique};

/// An account with executions that have ended, and a log account.
struct Way {
    account: Account,
    fake: Fake,
    organisation: Organisation,
    events: String,
}

impl Way {
    fn new(prefix: &str) -> Way {
        let way = Way {
            account: Account::new(search(Engine::OpenSearch2), &unique(prefix), "30"),
            fake: Fake::start(Manners::good(), None),
            organisation: Organisation::of(
                &Place::new(OWN, REGION),
                &[Story::Succeeds, Story::Fails, Story::Parent(2), Story::Express, Story::Unsampled],
            ),
            events: elasticmq().sqs.create_queue(&unique("events"), &[]),
        };
        way.fake.knows("AKIDEXAMPLE", OWN);
        way.organisation.put(&way.fake);
        way
    }

    fn rayline(&self, args: &[&str]) -> Invocation {
        let invocation = with_aws(self.account.rayline(args), &self.fake, &self.fake.url);
        invocation.env("RAYLINE_EVENTS", &self.events).env("RAYLINE_ACCOUNT", OWN)
    }

    /// A queue that EventBridge fills gets what happened, but not of EXPRESS executions: the pipeline finds these by itself.
    fn send_events(&self) {
        for event in &self.organisation.events {
            elasticmq().sqs.send(&self.events, &event.body.to_string());
        }
    }

    /// Waits until the index says how each execution ended.
    fn until_indexed(&self, host: &mut Host) {
        let expected = &self.organisation.expected;
        let expected: BTreeMap<&str, &str> = expected.iter().map(|(arn, it)| (arn.as_str(), it.status)).collect();
        host.until("how each execution ended", |_| {
            let documents = self.account.documents();
            (statuses(&documents) == expected).then_some(())
        });
    }
}

fn statuses(documents: &Documents) -> BTreeMap<&str, &str> {
    let executions = documents.iter().filter(|(_, (_, body))| body["doc.kind"] == "execution");
    executions.map(|(arn, (_, body))| (arn.as_str(), body["execution.status"].as_str().unwrap_or_default())).collect()
}

#[test]
fn collect_hands_over_to_the_log_account() {
    let way = Way::new("collect");
    way.send_events();
    way.rayline(&["validate", "pipelines/collect.toml"]).succeeds();
    way.rayline(&["doctor", "pipelines/collect.toml"]).succeeds().says(", all with tracing");
    let mut central = way.account.central().start();
    let collector = way.rayline(&["run", "pipelines/collect.toml"]).start();
    way.until_indexed(&mut central);
    collector.stops();
    central.stops();
    assert!(way.account.letters().is_empty());
}

#[test]
fn direct_does_it_all() {
    let way = Way::new("direct");
    way.send_events();
    way.rayline(&["validate", "pipelines/direct.toml"]).succeeds();
    let mut host = way.rayline(&["run", "pipelines/direct.toml"]).start();
    way.until_indexed(&mut host);
    host.stops();
    let archived = way.account.archived();
    assert!(archived.len() >= way.organisation.trace_ids().count(), "{} messages are archived", archived.len());
    assert!(way.account.letters().is_empty());
}
