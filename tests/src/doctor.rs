//! `rayline doctor`: what it says of pipelines that are right, and of such that are wrong in every way.

use serde_json::{Value, json};

use crate::collect::collector::{OWN, with_aws};
use crate::collect::fake::{Fake, Machine, Manners, Place};
use crate::harness::{Ended, World};
use crate::servers::request::request;
use crate::servers::sqs::REGION;
use crate::servers::{Engine, moto, search, unique};

/// Another account, in which the host has a role.
const OTHER: &str = "444455556666";

/// A region in which no other test has state machines.
const ELSEWHERE: &str = "eu-north-1";

/// A queue on moto: with a dead-letter queue after so many receives, and with this policy.
fn queue(name: &str, receives: u32, policy: &Value, attributes: &[(&str, &str)]) -> String {
    let is_fifo = attributes.iter().any(|(name, _)| *name == "FifoQueue");
    let (suffix, kind): (_, &[(&str, &str)]) = if is_fifo { (".fifo", &[("FifoQueue", "true")]) } else { ("", &[]) };
    let dead = format!("{}{suffix}", unique(&format!("{name}-dead")));
    moto().sqs.create_queue(&dead, kind);
    let target = format!("arn:aws:sqs:{REGION}:{OWN}:{dead}");
    let redrive = json!({ "deadLetterTargetArn": target, "maxReceiveCount": receives }).to_string();
    let policy = policy.to_string();
    let own = [("RedrivePolicy", redrive.as_str()), ("Policy", policy.as_str())];
    let attributes: Vec<_> = own.into_iter().chain(attributes.iter().copied()).collect();
    moto().sqs.create_queue(&format!("{}{suffix}", unique(name)), &attributes)
}

fn allows(principal: Value, condition: Value) -> Value {
    let statement = json!({"Sid": "Senders", "Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage",
        "Resource": "*", "Condition": condition});
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

/// Like the queues of `deploy/`.
const GOOD: [(&str, &str); 3] =
    [("MaximumMessageSize", "1048576"), ("MessageRetentionPeriod", "1209600"), ("VisibilityTimeout", "120")];

fn bucket() -> String {
    let name = unique("doctor");
    moto().create_bucket(&name);
    name
}

/// Levels with what follows them.
fn lines(ended: &Ended) -> Vec<(&str, &str)> {
    let lines = ended.stdout.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(level, line)| (level, line.trim_start())).collect()
}

/// One line of this level begins so and holds that.
fn assert_found(ended: &Ended, level: &str, subject: &str, part: &str) {
    let lines = lines(ended);
    let is_it = |(found, line): &(&str, &str)| *found == level && line.starts_with(subject) && line.contains(part);
    assert_eq!(
        lines.iter().filter(|line| is_it(line)).count(),
        1,
        "{level} {subject} … {part}\n{}\n{}",
        ended.stdout,
        ended.stderr
    );
}

fn machine(name: &str, kind: &'static str, traced: bool) -> Machine {
    Machine { name: name.to_owned(), kind, traced, created: 1_700_000_000.0 }
}

#[test]
fn what_is_right() {
    let (world, bucket) = (World::new(), bucket());
    let fake = Fake::start(Manners::good(), None);
    fake.knows("AKIDEXAMPLE", OWN);
    fake.guards(OTHER, "acme");
    for account in [OWN, OTHER] {
        fake.put_machine(&Place::new(account, REGION), machine("orders", "STANDARD", true));
        fake.put_machine(&Place::new(account, REGION), machine("checkout", "EXPRESS", true));
    }
    let rule = format!("arn:aws:events:{REGION}:{OWN}:rule/rayline-executions");
    let of_events = allows(json!({"Service": "events.amazonaws.com"}), json!({"ArnEquals": {"aws:SourceArn": rule}}));
    let events = queue("events", 1000, &of_events, &GOOD);
    let inbox = queue("inbox", 1000, &allows(json!("*"), json!({})), &GOOD);
    world.write(
        "collect.toml",
        format!(
            r#"
            data_dir = "data"
            dead_letter.location = "s3://{bucket}/dead"

            [sources.executions]
            plugin = "xray-source"
            grants.events = "{events}"
            grants.xray.accounts = [
                {{ id = "{OWN}", regions = ["{REGION}"] }},
                {{ id = "{OTHER}", role_arn = "arn:aws:iam::{OTHER}:role/rayline", external_id = "acme", regions = ["{REGION}"] }},
            ]
            options.sweep = {{ every_secs = 300, express = true }}

            [sinks.queue]
            plugin = "queue-sink"
            inputs = ["executions"]
            grants.queue = {{ url = "{inbox}", claim_check = "s3://{bucket}/claims" }}

            [sinks.archive]
            plugin = "archive-sink"
            inputs = ["executions"]
            grants.objects = "s3://{bucket}/raw"
            batch = {{ timeout_secs = 300, group_by = ["account", "region"] }}
            "#
        ),
    );
    let doctor = with_aws(world.rayline(&["doctor", "collect.toml"]), &fake, &fake.url);
    let ended = doctor.env("AWS_ENDPOINT_URL_S3", &moto().url).succeeds();
    let (events, xray) = ("sources.executions.grants.events: ", "sources.executions.grants.xray");
    assert_found(&ended, "ok", "data_dir: ", "data can be written");
    assert_found(&ended, "ok", "credentials at hand: of the account 123456789012", "dead_letter.location");
    assert_found(&ended, "ok", events, "by its own account, and by events.amazonaws.com");
    assert_found(&ended, "ok", events, "renewed after half of that, so that a batch of `archive` may wait 300 s");
    assert_found(&ended, "ok", events, "only after 1000 receives");
    assert_found(&ended, "ok", events, "kept for 14 days");
    assert_found(&ended, "ok", "sinks.queue.grants.queue: ", "larger ones by the claim check");
    assert_found(&ended, "ok", "sinks.queue.grants.queue.claim_check: ", "claims: writable");
    assert_found(&ended, "ok", "sinks.archive.grants.objects: ", "raw: writable");
    assert_found(&ended, "ok", "dead_letter.location: ", "dead: writable");
    for account in [OWN, OTHER] {
        assert_found(&ended, "ok", &format!("{xray}: {account} in {REGION}: reachable"), "traces are in X-Ray");
        let subject = format!("{xray}: {account} {REGION}: ");
        assert_found(&ended, "ok", &subject, "2 state machines (1 STANDARD, 1 EXPRESS), all with tracing");
        assert_found(&ended, "ok", &subject, "traces are in X-Ray");
        assert_found(&ended, "warning", &subject, "Default traces 1 a second and 5 % of the others");
    }
    assert_found(&ended, "ok", &format!("{xray}: calls a day: Step Functions"), "about 2,900 ListExecutions");
    assert_found(&ended, "ok", &format!("{xray}: calls a day: X-Ray"), "about 580 GetTraceSummaries");
    assert_found(&ended, "ok", "sinks.queue.grants.queue: calls a day", "a request for each 64 KB");
    assert_found(&ended, "ok", "sinks.archive.grants.objects: calls a day", "up to 580 PutObject");
    ended.says("collect.toml: 0 failures, 2 warnings, ");
    let left = moto().s3("GET", &format!("/{bucket}?list-type=2"), "").ok();
    assert!(!left.contains("<Key>"), "nothing is left behind: {left}");
}

#[test]
fn what_is_wrong() {
    let world = World::new();
    let fake = Fake::start(Manners::good(), None);
    fake.knows("AKIDEXAMPLE", OWN);
    fake.guards(OTHER, "");
    fake.searches(OWN, 0.01);
    let here = Place::new(OWN, REGION);
    fake.put_machine(&here, machine("orders", "STANDARD", true));
    fake.put_machine(&here, machine("checkout", "EXPRESS", false));
    let events =
        queue("events", 3, &allows(json!("*"), json!({})), &[("FifoQueue", "true"), ("VisibilityTimeout", "5")]);
    let small = [("MaximumMessageSize", "262144")];
    let inbox = queue("inbox", 1000, &allows(json!("*"), json!({})), &small);
    let (url, prefix, missing) = (&search(Engine::OpenSearch2).url, unique("doctor"), unique("missing"));
    world.write(
        "direct.toml",
        format!(
            r#"
            data_dir = "direct.toml/data"

            [sources.executions]
            plugin = "xray-source"
            grants.events = {{ url = "{events}", max_hold_secs = 300 }}
            grants.xray.accounts = [
                {{ id = "{OWN}", regions = ["{REGION}"] }},
                {{ id = "{OTHER}", role_arn = "arn:aws:iam::{OTHER}:role/rayline", regions = ["{REGION}"] }},
            ]
            options.sweep = {{ every_secs = 1, express = true }}

            [sinks.queue]
            plugin = "queue-sink"
            inputs = ["executions"]
            grants.queue = "{inbox}"

            [sinks.archive]
            plugin = "archive-sink"
            inputs = ["executions"]
            grants.objects = {{ url = "s3://{missing}/raw", role_arn = "arn:aws:iam::{OTHER}:role/archive" }}
            batch.timeout_secs = 300

            [transforms.flatten]
            plugin = "flatten"
            inputs = ["executions"]

            [sinks.index]
            plugin = "elasticsearch-sink"
            inputs = ["flatten"]
            grants.http = "{url}"
            options.index_prefix = "{prefix}"
            "#
        ),
    );
    let doctor = with_aws(world.rayline(&["doctor", "direct.toml"]), &fake, &fake.url);
    let ended = doctor.env("AWS_ENDPOINT_URL_S3", &moto().url).ends().with_code(1);
    let (events, xray) = ("sources.executions.grants.events: ", "sources.executions.grants.xray");
    assert_found(&ended, "failure", "data_dir: ", "fix: let it be a folder that whoever runs the host may write");
    let role = format!("credentials of arn:aws:iam::{OTHER}:role/archive: the role cannot be assumed");
    assert_found(&ended, "failure", &role, "trust policy");
    assert_found(&ended, "failure", events, "a FIFO queue cannot delay single messages");
    assert_found(&ended, "failure", events, "after 3 receives");
    assert_found(&ended, "failure", events, "a batch of `archive` waits up to 300 s, and messages go back after 300 s");
    assert_found(&ended, "warning", events, "anyone may send");
    assert_found(&ended, "warning", "sinks.queue.grants.queue: ", "messages up to 262144 bytes, and SQS has 1048576");
    assert_found(&ended, "failure", "sinks.archive.grants.objects: ", "");
    assert_found(&ended, "failure", "sinks.index: OpenSearch 2", "fix: run `rayline setup elasticsearch direct.toml`");
    assert_found(&ended, "failure", &format!("{xray}: the account {OTHER} in {REGION}: "), "sts:AssumeRole");
    let subject = format!("{xray}: {OWN} {REGION}: ");
    assert_found(
        &ended,
        "warning",
        &subject,
        "1 without tracing: checkout; their executions have no trace, and EXPRESS",
    );
    assert_found(&ended, "warning", &subject, "traces are in CloudWatch Logs (Transaction Search)");
    assert_found(&ended, "warning", &format!("{xray}: calls a day: a sweep"), "takes 5 calls, about 3 s");
    assert_found(&ended, "warning", "dead_letter.location: ", "only in the folder");
    // A line each, and nothing of an account that cannot be asked but that.
    assert!(!ended.stdout.contains(&format!("{xray}: {OTHER} ")), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .lines()
            .all(|line| ["ok  ", "warning  ", "failure  ", "direct.toml: "].iter().any(|it| line.starts_with(it)))
    );
}

/// moto knows neither sampling rules nor destinations.
#[test]
fn what_may_not_be_asked_is_a_warning() {
    let world = World::new();
    for (name, traced) in [("orders", true), ("billing", false)] {
        let machine = json!({
            "name": unique(name),
            "definition": r#"{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}"#,
            "roleArn": format!("arn:aws:iam::{OWN}:role/states"),
            "tracingConfiguration": { "enabled": traced },
        });
        let scope = format!("Credential=AKIDEXAMPLE/20260101/{ELSEWHERE}/states/aws4_request");
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "AWSStepFunctions.CreateStateMachine"),
            ("authorization", &format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00")),
        ];
        request("POST", &moto().url, &headers, machine.to_string()).ok();
    }
    world.write(
        "collect.toml",
        format!(
            r#"
            data_dir = "data"
            [sources.executions]
            plugin = "xray-source"
            grants.events = "file:events.queue"
            grants.xray.accounts = [{{ regions = ["{ELSEWHERE}"] }}]
            [sinks.out]
            plugin = "print-sink"
            inputs = ["executions"]
            grants.output = "stdout"
            "#
        ),
    );
    let doctor = world.rayline(&["doctor", "collect.toml"]).with_credentials();
    let ended = doctor.env("AWS_ENDPOINT_URL", &moto().url).succeeds();
    let subject = format!("sources.executions.grants.xray: {OWN} {ELSEWHERE}: ");
    assert_found(&ended, "ok", "credentials at hand: of the account 123456789012", "grants.xray");
    assert_found(&ended, "ok", "clock: ", "");
    assert_found(&ended, "warning", &subject, "2 state machines (2 STANDARD, 0 EXPRESS), 1 without tracing: billing-");
    assert_found(&ended, "warning", &subject, "not checked: how many executions are traced");
    assert_found(&ended, "warning", &subject, "fix: allow the role xray:GetTraceSegmentDestination to have it checked");
    ended.says("collect.toml: 0 failures, 3 warnings, ");
}
