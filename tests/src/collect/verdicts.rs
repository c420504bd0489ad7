//! One account: every execution has a verdict, however the services behave and hosts end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::collector::{OPTIONS, OWN, Site, XRAY_SOURCE, messages};
use super::fake::{Machine, Manners, Place};
use super::organisation::{Organisation, Story};
use crate::harness::{get, metric};
use crate::servers::sqs::REGION;
use crate::servers::{elasticmq, unique};

/// All that events tell of.
const STORIES: [Story; 14] = [
    Story::Succeeds,
    Story::Fails,
    Story::EndsLate,
    Story::Unsampled,
    Story::Parent(3),
    Story::TimesOut,
    Story::Clipped,
    Story::Redriven,
    Story::LimitExceeded,
    Story::Aborted,
    Story::TraceLate,
    Story::StartsExpress,
    Story::Headerless,
    Story::Lost,
];

/// Every status event comes.
fn with_every_event(mut organisation: Organisation) -> Organisation {
    organisation.events.iter_mut().for_each(|event| event.is_lost = false);
    organisation
}

#[test]
fn however_rude_the_services_are_every_execution_has_a_verdict() {
    let rude = Manners {
        throttled: 0.3,
        failing: 0.1,
        unprocessed: 0.4,
        unknown_unprocessed: 1.0,
        paging: 0.5,
        ..Manners::default()
    };
    let site = Site::new(rude);
    // Throttled at random, a budget goes down to two calls a second: more executions would take minutes.
    let organisation = with_every_event(Organisation::of(&site.place, &STORIES.repeat(2)));
    organisation.put(&site.fake);
    let mut host = site.start("one", XRAY_SOURCE, OPTIONS);
    site.send(&organisation.events);
    site.until_all_is_known(&mut host, &organisation);
    let (_, page) = get(&host.address(), "/metrics").expect("metrics");
    for api in ["DescribeExecution", "BatchGetTraces"] {
        assert_counted(&page, &site, api);
    }
    host.stops();
    let calls = site.fake.calls();
    let sum = |count: fn(&super::fake::Calls) -> u64| calls.values().map(count).sum::<u64>();
    assert!(sum(|it| it.throttled) > 20 && sum(|it| it.failed) > 5, "{calls:#?}");
    assert_eq!(sum(|it| it.refused), 0, "a call that was wrong: {calls:#?}");
}

/// What the host's metrics say of an API is plausible beside what the endpoint has counted since.
fn assert_counted(page: &str, site: &Site, api: &str) {
    let of = |name: &str, outcome: &str| {
        let labels = [("account", OWN), ("region", REGION), ("api", api)];
        let labels = labels.map(|(label, value)| format!("{label}=\"{value}\""));
        let [account, region, api] = labels.each_ref().map(String::as_str);
        metric(page, &[name, account, region, api, outcome])
    };
    let calls = site.fake.calls();
    let counted = &calls[&(OWN.to_owned(), REGION.to_owned(), api.to_owned())];
    let good = (counted.asked - counted.throttled - counted.failed) as f64;
    let ok = of("xray_calls_total{", "outcome=\"ok\"").unwrap_or_default();
    assert!(ok > 0.0 && ok <= good, "{ok} good calls of {api}, {counted:?}");
    let throttled = of("xray_calls_total{", "outcome=\"throttled\"").unwrap_or_default();
    assert!(throttled <= counted.throttled as f64, "{throttled} throttled calls of {api}, {counted:?}");
    let in_flight = of("xray_calls_in_flight{", "").expect("calls in flight");
    assert!((0.0..=16.0).contains(&in_flight), "{in_flight} calls of {api}");
    let rate = of("xray_calls_per_second{", "").expect("calls a second");
    assert!(rate > 0.0 && rate < 1_000.0, "{rate} calls of {api} a second");
}

/// Slow: little is there within the second that a source waits.
#[test]
fn however_slow_the_services_are_every_execution_has_a_verdict() {
    let slow = Manners {
        latency: Duration::from_millis(400),
        retrieval: Duration::from_secs(4),
        unknown_unprocessed: 1.0,
        // Three of state machines.
        page: 2,
        ..Manners::good()
    };
    for searches in [false, true] {
        let site = Site::new(slow.clone());
        let mut stories = vec![Story::Succeeds, Story::Lost, Story::Fails];
        if searches {
            site.fake.searches(&site.place.account, 0.0);
        } else {
            stories.push(Story::Express);
        }
        let organisation = with_every_event(Organisation::of(&site.place, &stories));
        for name in ["one", "two", "three", "four"] {
            let machine = Machine { name: name.to_owned(), kind: "STANDARD", traced: true, created: 1.0 };
            site.fake.put_machine(&site.place, machine);
        }
        organisation.put(&site.fake);
        let sweep = "sweep = { every_secs = 5, overlap_secs = 900, start = \"2d\", express = true }";
        let mut host = site.start("one", XRAY_SOURCE, &format!("{OPTIONS}\n{sweep}"));
        site.send(&organisation.events);
        site.until_all_is_known(&mut host, &organisation);
        host.until("a list of executions", |_| (site.fake.asked("ListExecutions") > 0).then_some(()));
        host.stops();
    }
}

#[test]
fn sweeps_find_what_no_event_tells() {
    let site = Site::new(Manners::default());
    let stories = [&STORIES[..], &[Story::Express, Story::Runs]].concat();
    let organisation = Organisation::of(&site.place, &stories.repeat(3));
    organisation.put(&site.fake);
    let sweep = "sweep = { every_secs = 3, overlap_secs = 900, start = \"2d\", express = true }";
    let mut host = site.start("one", XRAY_SOURCE, &format!("{OPTIONS}\n{sweep}"));
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
    // The watermark is all that a sweep keeps: a host without it finds the same, and changes nothing.
    let before = site.documents();
    let mut host = site.start("two", XRAY_SOURCE, &format!("{OPTIONS}\n{sweep}"));
    let listed = site.fake.asked("ListStateMachines");
    host.until("two sweeps", |_| (site.fake.asked("ListStateMachines") >= listed + 4).then_some(()));
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
    assert!(site.documents().keys().eq(before.keys()), "documents that were not there before");
}

#[test]
fn killed_collectors_lose_nothing_and_one_with_an_empty_folder_takes_over() {
    let site = Site::new(Manners::default());
    let organisation = with_every_event(Organisation::of(&site.place, &STORIES.repeat(4)));
    organisation.put(&site.fake);
    site.send_bodies(&organisation.events.iter().map(|event| event.body.to_string()).collect::<Vec<_>>());
    let points = ["after-receive", "after-write-archive", "after-write-documents", "before-settle"];
    for point in points {
        let invocation = site.invocation(point, XRAY_SOURCE, OPTIONS).env("FAILPOINTS", format!("{point}=return"));
        let mut host = invocation.start();
        host.until_it_says("reached ");
        host.kill();
    }
    // And at some moment of its own.
    let mut host = site.start("killed", XRAY_SOURCE, OPTIONS);
    let asked = site.fake.asked("BatchGetTraces");
    host.until("some work", |_| (site.fake.asked("BatchGetTraces") > asked + 10).then_some(()));
    host.kill();
    let mut host = site.start("last", XRAY_SOURCE, OPTIONS);
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
}

#[test]
fn two_collectors_share_an_event_queue() {
    let site = Site::new(Manners::default());
    let organisation = with_every_event(Organisation::of(&site.place, &STORIES.repeat(4)));
    organisation.put(&site.fake);
    let mut host = site.start("one", XRAY_SOURCE, OPTIONS);
    let other = site.start("two", XRAY_SOURCE, OPTIONS);
    site.send(&organisation.events);
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
    other.stops();
}

#[test]
fn traces_of_an_account_with_transaction_search_are_retrieved() {
    let site = Site::new(Manners::default());
    site.fake.searches(&site.place.account, 0.0);
    let organisation = with_every_event(Organisation::of(&site.place, &STORIES.repeat(2)));
    organisation.put(&site.fake);
    let mut host = site.start("one", XRAY_SOURCE, OPTIONS);
    site.send(&organisation.events);
    // A retrieval does not say that a trace exceeded its limit.
    let mut expected = organisation;
    for it in expected.expected.values_mut().filter(|it| it.verdict == "limit_exceeded") {
        it.verdict = "settled";
    }
    site.until_all_is_known(&mut host, &expected);
    host.stops();
    let calls = site.fake.calls();
    let ids_of = |api: &str| {
        let of = calls.iter().filter(|((_, _, name), _)| name == api);
        of.fold((0, 0), |(asked, ids), (_, calls)| (asked + calls.asked, ids + calls.ids))
    };
    let (retrievals, ids) = ids_of("StartTraceRetrieval");
    assert!(retrievals > 0 && ids > retrievals, "{calls:#?}");
}

#[test]
fn a_parent_with_a_hundred_children_in_one_trace_is_one_message() {
    let site = Site::new(Manners::default());
    let organisation = with_every_event(Organisation::of(&site.place, &[Story::Parent(100)]));
    organisation.put(&site.fake);
    let bodies: Vec<String> = organisation.events.iter().map(|event| event.body.to_string()).collect();
    assert_eq!(bodies.len(), 101);
    site.send_bodies(&bodies);
    let mut host = site.start("one", XRAY_SOURCE, &format!("{OPTIONS}\nhand_over = \"final\""));
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
    let messages = messages(&site.archived());
    assert_eq!(messages.len(), 1, "messages");
    let arns: BTreeSet<&str> = messages[0]["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .map(|execution| execution["executionArn"].as_str().expect("an ARN"))
        .collect();
    assert!(arns.iter().copied().eq(organisation.expected.keys().map(String::as_str)), "{} executions", arns.len());
}

#[test]
fn an_execution_goes_out_early_and_again_or_only_once() {
    for (hand_over, is_early) in [("early", true), ("final", false)] {
        let site = Site::new(Manners::good());
        let organisation = with_every_event(Organisation::of(&site.place, &[Story::EndsLate, Story::TraceLate]));
        organisation.put(&site.fake);
        let mut host = site.start("one", XRAY_SOURCE, &format!("{OPTIONS}\nhand_over = \"{hand_over}\""));
        site.send(&organisation.events);
        site.until_all_is_known(&mut host, &organisation);
        host.stops();
        let mut verdicts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for message in messages(&site.archived()) {
            let arn = message["executions"][0]["executionArn"].as_str().expect("an ARN").to_owned();
            verdicts.entry(arn).or_default().push(message["verdict"].as_str().expect("a verdict").to_owned());
        }
        assert_eq!(verdicts.len(), 2);
        for verdicts in verdicts.values() {
            assert_eq!(verdicts.iter().any(|verdict| verdict == "partial"), is_early, "{hand_over}: {verdicts:?}");
            assert_eq!(verdicts.iter().filter(|verdict| *verdict == "settled").count(), 1, "{hand_over}: {verdicts:?}");
        }
    }
}

/// Slow: what waits for an account waits for a minute.
#[test]
fn an_account_that_lets_nobody_in_does_not_stop_the_others() {
    let site = Site::new(Manners::default());
    let [first, second, third] =
        ["111122223333", "444455556666", "777788889999"].map(|account| Place::new(account, &site.place.region));
    site.fake.guards(&first.account, "rayline");
    site.fake.guards(&second.account, "");
    let of = |place: &Place| with_every_event(Organisation::of(place, &STORIES));
    let (mut organisation, other, shut) = (of(&first), of(&third), of(&second));
    for it in [&organisation, &other, &shut] {
        it.put(&site.fake);
    }
    let each = [&first, &second, &third].map(|place| {
        let Place { account, region } = place;
        let role = format!("arn:aws:iam::{account}:role/rayline");
        format!(r#"{{ id = "{account}", role_arn = "{role}", external_id = "rayline", regions = ["{region}"] }}"#)
    });
    let plugin = XRAY_SOURCE.replace("xray = {}", &format!("xray = {{ accounts = [{}] }}", each.join(", ")));
    let mut host = site.start("one", &plugin, OPTIONS);
    site.send(&organisation.events);
    site.send(&other.events);
    site.send(&shut.events);
    organisation.expected.extend(other.expected.clone());
    site.until_all_is_known(&mut host, &organisation);
    // What could not be collected still waits, and is collected once the role can be assumed.
    site.fake.guards(&second.account, "rayline");
    organisation.expected.extend(shut.expected.clone());
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
}

/// As in a VPC whose endpoints have names of their own: also the one that gives out roles.
#[test]
fn endpoints_of_the_grant_come_before_the_environments() {
    let site = Site::new(Manners::good());
    let place = Place::new("444455556666", REGION);
    site.fake.guards(&place.account, "rayline");
    let organisation =
        with_every_event(Organisation::of(&place, &[Story::Succeeds, Story::Parent(2), Story::Unsampled]));
    organisation.put(&site.fake);
    let Place { account, region } = &place;
    let role = format!("arn:aws:iam::{account}:role/rayline");
    let account =
        format!(r#"{{ id = "{account}", role_arn = "{role}", external_id = "rayline", regions = ["{region}"] }}"#);
    let endpoints = ["xray", "sfn", "sts"].map(|service| format!("{service} = \"{}\"", site.fake.url)).join(", ");
    let grant = format!("xray = {{ endpoint_urls = {{ {endpoints} }}, accounts = [{account}] }}");
    let invocation = site.invocation("one", &XRAY_SOURCE.replace("xray = {}", &grant), OPTIONS);
    // Nobody answers there.
    let elsewhere = ["XRAY", "SFN", "STS"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
    let invocation = elsewhere.iter().fold(invocation, |invocation, name| invocation.env(name, "http://127.0.0.1:9"));
    let mut host = invocation.start();
    site.send(&organisation.events);
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
}

#[test]
fn what_waits_on_sqs_is_delayed_there() {
    let site = Site::new(Manners::good());
    let organisation = with_every_event(Organisation::of(&site.place, &[Story::Runs]));
    organisation.put(&site.fake);
    let sqs = &elasticmq().sqs;
    let queue = sqs.create_queue(&unique("delayed"), &[]);
    organisation.events.iter().for_each(|event| drop(sqs.send(&queue, &event.body.to_string())));
    let plugin = XRAY_SOURCE.replace("file:events.queue", &queue).replace("_secs = 3", "_secs = 30");
    let mut host = site.start("one", &plugin, "retry_secs = [600]");
    let names = ["", "NotVisible", "Delayed"].map(|state| format!("ApproximateNumberOfMessages{state}"));
    let counts = || {
        let answer = sqs.call("GetQueueAttributes", &json!({ "QueueUrl": queue, "AttributeNames": names }));
        names.each_ref().map(|name| answer["Attributes"][name].as_str().expect("a number").to_owned())
    };
    host.until("nothing but a message for later", |_| (counts() == ["0", "0", "1"]).then_some(()));
    site.until_all_is_known(&mut host, &organisation);
    host.stops();
}
