//! A whole organisation: three accounts with collectors, one queue, the central host, OpenSearch and S3.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::collector::{OPTIONS, until_all_is_known, with_aws, wrong};
use super::fake::{Fake, Manners, Place};
use super::organisation::Organisation;
use crate::central::account::Account;
use crate::e2e::{assert_same, expected};
use crate::harness::{Documents, Host, World, get, metric};
use crate::servers::sqs::REGION;
use crate::servers::{Engine, moto, search, unique};

/// Each in a region of its own.
const PLACES: [(&str, &str); 3] =
    [("111122223333", "eu-west-1"), ("444455556666", "us-east-1"), ("777788889999", "ap-southeast-2")];

/// The account of the queue and of the central host.
const LOG: &str = "123456789012";

/// One account and its event queue.
struct Member {
    place: Place,
    events: String,
}

impl Member {
    /// The event queue is in the account, and in the region that all queues of the tests are in.
    fn new((account, region): (&str, &str)) -> Member {
        let input = json!({ "QueueName": unique("events"), "Attributes": { "VisibilityTimeout": "10" } });
        let queue = moto().sqs_of(account, "CreateQueue", &input);
        let events = queue["QueueUrl"].as_str().expect("a URL").to_owned();
        Member { place: Place::new(account, region), events }
    }

    /// Puts status events on its event queue.
    fn send(&self, bodies: &[String]) {
        for bodies in bodies.chunks(10) {
            let entries =
                bodies.iter().enumerate().map(|(n, body)| json!({ "Id": n.to_string(), "MessageBody": body }));
            let input = json!({ "QueueUrl": self.events, "Entries": entries.collect::<Vec<_>>() });
            let answer = moto().sqs_of(&self.place.account, "SendMessageBatch", &input);
            assert_eq!(answer["Successful"].as_array().map(Vec::len), Some(bodies.len()), "{answer}");
        }
    }

    /// Its collector: in the account itself, or outside of it with a role in it.
    fn collect(&self, world: &World, fake: &Fake, inbox: &str, is_inside: bool) -> Host {
        let Place { account, region } = &self.place;
        let role = format!("arn:aws:iam::{account}:role/rayline-collector");
        let (xray, events) = match is_inside {
            true => ("{}".to_owned(), format!("{{ url = \"{}\", region = \"{REGION}\" }}", self.events)),
            false => (
                format!(
                    "{{ accounts = [{{ id = \"{account}\", role_arn = \"{role}\", external_id = \"rayline\", regions = [\"{region}\"] }}] }}"
                ),
                format!("{{ url = \"{}\", region = \"{REGION}\", role_arn = \"{role}\" }}", self.events),
            ),
        };
        let data_dir = format!("data/{account}");
        world.share_cache(&data_dir);
        world.write(
            &format!("{account}.toml"),
            format!(
                r#"
                data_dir = "{data_dir}"
                api.address = "127.0.0.1:0"

                [sources.collected]
                plugin = "xray-source"
                grants.xray = {xray}
                grants.events = {events}

                [sources.collected.options]
                {OPTIONS}
                sweep = {{ every_secs = 5, overlap_secs = 900, start = "2d", express = true }}

                [sinks.queue]
                plugin = "queue-sink"
                inputs = ["collected"]
                grants.queue = {{ url = "{inbox}", region = "{REGION}", role_arn = "arn:aws:iam::{LOG}:role/rayline-sender" }}
                "#
            ),
        );
        let host =
            with_aws(world.rayline(&["run", &format!("{account}.toml")]), fake, &moto().url).env("AWS_REGION", region);
        match is_inside {
            false => host.start(),
            true => {
                let [key, secret, token] = moto().assume(&role);
                let host = host.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
                host.env("AWS_SESSION_TOKEN", token).start()
            }
        }
    }
}

/// Slow, since moto's queues are.
#[test]
fn every_execution_of_an_organisation_has_exactly_one_right_document_and_a_replay_changes_nothing() {
    let fake = Fake::start(Manners::default(), Some(&moto().url));
    let account = Account::on(&moto().sqs, search(Engine::OpenSearch2), &unique("organisation"), "30");
    let members: Vec<Member> = PLACES.into_iter().map(Member::new).collect();
    let places: Vec<Place> = members.iter().map(|member| member.place.clone()).collect();
    let world = World::new();

    let mut central = account.central().start();
    let organisation = Organisation::new(&places, 300);
    organisation.put(&fake);
    let collectors: Vec<Host> =
        members.iter().enumerate().map(|(n, member)| member.collect(&world, &fake, &account.queue, n == 0)).collect();
    let mut sent = Duration::ZERO;
    for group in organisation.events.chunk_by(|a, b| a.after == b.after) {
        sleep(group[0].after.saturating_sub(sent));
        sent = group[0].after;
        for member in &members {
            let bodies = group.iter().filter(|event| event.place == member.place && !event.is_lost);
            member.send(&bodies.map(|event| event.body.to_string()).collect::<Vec<_>>());
        }
    }
    until_all_is_known(&mut central, &organisation, || account.documents());

    collectors.into_iter().for_each(|host| drop(host.stops()));
    until_drained(&mut central, &account);
    central.stops();
    let documents = account.documents();
    assert_eq!(wrong(&organisation, &documents), [] as [String; 0]);
    let (specified, rejected) = expected(&account.archived());
    assert_same(&documents, &specified);
    assert_eq!((rejected.len(), account.letters().len()), (0, 0));
    assert_no_ghosts(&organisation, &fake, &documents);
    let calls = fake.calls();
    assert!(calls.values().map(|calls| calls.throttled).sum::<u64>() > 20, "{calls:#?}");
    assert_eq!(calls.values().map(|calls| calls.refused).sum::<u64>(), 0, "a call that was wrong: {calls:#?}");

    let mut central = account.central().start();
    account.rayline(&["replay", "pipelines/replay.toml"]).succeeds();
    until_drained(&mut central, &account);
    central.stops();
    assert_same(&account.documents(), &documents);
}

/// Waits until the central host has taken every message off the queue, and the index has what came of them.
fn until_drained(central: &mut Host, account: &Account) {
    let address = central.address();
    central.until("an empty queue", |_| {
        let (waiting, _) = account.queued();
        let (_, page) = get(&address, "/metrics")?;
        let count = |name: &str, stage: &str| metric(&page, &[name, &format!("component_id=\"{stage}\"")]);
        let received = count("component_received_events_total{", "inbox")?;
        let flattened = count("component_received_events_total{", "flatten")?;
        let made = count("component_sent_events_total{", "flatten")?;
        let indexed = count("component_sent_events_total{", "index")?;
        (waiting == 0 && received > 0.0 && flattened >= received && indexed == made).then_some(())
    });
}

/// Each segment in the index is one that X-Ray has in the end, and each trace too.
fn assert_no_ghosts(organisation: &Organisation, fake: &Fake, documents: &Documents) {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (place, id) in organisation.trace_ids() {
        let Some(trace) = fake.whole_trace(place, id) else { continue };
        known.insert(format!("{}:{}:{id}", place.account, place.region));
        for segment in trace["Segments"].as_array().expect("segments") {
            known.insert(format!("{id}:{}", segment["Id"].as_str().expect("an id")));
        }
    }
    let seen = documents.iter().filter(|(_, (_, body))| body["doc.kind"] == "segment" || body["doc.kind"] == "trace");
    let seen: BTreeSet<String> = seen.map(|(id, _)| id.clone()).collect();
    let ghosts: Vec<_> = seen.difference(&known).collect();
    let missing: Vec<_> = known.difference(&seen).collect();
    assert!(ghosts.is_empty() && missing.is_empty(), "ghosts: {ghosts:?}\nmissing: {missing:?}");
}
