//! What a queue of SQS does with its messages, against what the pipeline does with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use super::{Finding, field, is_shipped, senders};
use crate::grant::check::in_time;
use crate::grant::queue::Sqs;
use crate::pipeline::{Grant, Kind, Pipeline, QueueGrant, Stage};

/// One binding to a queue.
#[derive(Clone, Debug, Default, PartialEq)]
struct Use {
    field: String,
    url: String,
    /// What the grant says instead of the queue.
    visibility: Option<Duration>,
    max_hold: Duration,
    has_claim_check: bool,
    reads: bool,
    /// Sends what is collected or replayed, of any size.
    sends: bool,
    /// Status events come from it, and pending work goes back to it with a delay.
    is_of_events: bool,
    /// What may hold a message longest, and for how long.
    waits: Option<(String, Duration)>,
}

/// SQS's own limit of a message.
const LARGEST: u64 = 1 << 20;

/// A status event of an execution may have as many bytes.
const EVENT: u64 = 262_144;

/// Fewer receives than that, and restarts use them up.
const RECEIVES: u64 = 100;

/// Seconds. Shorter, and a pause of the host brings messages twice.
const SHORTEST_VISIBILITY: u64 = 10;

/// Seconds. Longer, and messages of a host that died come again late.
const LONGEST_VISIBILITY: u64 = 3600;

const DAY: u64 = 86_400;

/// Seconds. A weekend with nobody there, and some.
const RETENTION: u64 = 4 * DAY;

/// Every binding to a queue of SQS. What cannot be asked is not usable either, as `reach` says.
pub async fn examine(pipeline: &Pipeline) -> Vec<Finding> {
    let looks = pipeline.stages.iter().flat_map(|stage| {
        stage.grants.iter().filter_map(move |(name, grant)| match grant {
            Grant::Queue(QueueGrant::Sqs(grant)) => Some((stage, name, grant)),
            _ => None,
        })
    });
    let looks = looks.map(|(stage, name, grant)| async move {
        let is_of_events = is_shipped(stage, "xray-source") && name == "events";
        let used = Use {
            field: field(stage, name),
            url: grant.url.clone(),
            visibility: grant.visibility,
            max_hold: grant.max_hold,
            has_claim_check: grant.claim_check.is_some(),
            reads: stage.kind == Kind::Source,
            sends: stage.kind == Kind::Sink,
            is_of_events,
            waits: longest_wait(pipeline, stage),
        };
        let attributes = in_time(async { Sqs::attributes(grant).await.map_err(|error| error.to_string()) }).await;
        attributes.map(|attributes| judge(&used, &attributes)).unwrap_or_default()
    });
    join_all(looks).await.concat()
}

/// Of the stages that get what this one reads, the longest that a batch or another try may wait.
fn longest_wait(pipeline: &Pipeline, source: &Stage) -> Option<(String, Duration)> {
    let mut after = BTreeSet::from([source.name.as_str()]);
    let mut waits = Vec::new();
    // Each round reaches stages one further away.
    for _ in &pipeline.stages {
        let reached = pipeline.stages.iter().filter(|stage| stage.inputs.iter().any(|it| after.contains(it.as_str())));
        let reached: Vec<&Stage> = reached.filter(|stage| !after.contains(stage.name.as_str())).collect();
        for stage in reached {
            after.insert(&stage.name);
            waits.push((format!("a batch of `{}`", stage.name), stage.batch.timeout));
            waits.push((format!("another try of `{}`", stage.name), stage.retry.max));
        }
    }
    waits.into_iter().max_by_key(|(_, wait)| *wait)
}

/// `attributes` are the queue's, by SQS's names. One that is missing has the value that SQS gives a new queue.
fn judge(used: &Use, attributes: &BTreeMap<String, String>) -> Vec<Finding> {
    let text = |name: &str| attributes.get(name).map(String::as_str);
    let number = |name: &str, default: u64| text(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    let mut found = Vec::new();
    if used.is_of_events && (used.url.ends_with(".fifo") || text("FifoQueue") == Some("true")) {
        found.push(Finding::failure(
            &used.field,
            "a FIFO queue cannot delay single messages, and pending work waits that way",
            "make a standard queue for the events, as deploy/member-account.yaml has it",
        ));
    }
    if used.reads {
        found.push(senders::judge(&used.field, text("Policy"), used.is_of_events));
    }
    found.push(size(used, number("MaximumMessageSize", LARGEST)));
    if used.reads {
        found.push(visibility(used, number("VisibilityTimeout", 30)));
        found.push(redrive(&used.field, text("RedrivePolicy")));
        found.push(retention(&used.field, number("MessageRetentionPeriod", 4 * DAY)));
    }
    found
}

fn size(used: &Use, max: u64) -> Finding {
    let raise = || format!("set the queue's MaximumMessageSize to {LARGEST}");
    let claim_check = "give the grant a `claim_check = \"s3://BUCKET/claims\"`, the same prefix on both sides";
    match (used.has_claim_check, max < LARGEST) {
        (true, _) => Finding::ok(&used.field, format!("messages up to {max} bytes, larger ones by the claim check")),
        (false, true) if used.is_of_events && max < EVENT => Finding::warning(
            &used.field,
            format!("messages up to {max} bytes: status events with large inputs have up to {EVENT}"),
            raise(),
        ),
        (false, true) if !used.is_of_events => Finding::warning(
            &used.field,
            format!("messages up to {max} bytes, and SQS has {LARGEST}: a claim check is needed"),
            format!("{}; {claim_check}", raise()),
        ),
        (false, false) if used.sends => Finding::warning(
            &used.field,
            format!("messages up to {max} bytes when packed: traces with large payloads go to the dead letter"),
            claim_check,
        ),
        _ => Finding::ok(&used.field, format!("messages up to {max} bytes")),
    }
}

fn visibility(used: &Use, of_queue: u64) -> Finding {
    let secs = used.visibility.map_or(of_queue, |own| own.as_secs());
    let max_hold = used.max_hold.as_secs();
    let invisible = format!("what is held is invisible for {secs} s, and renewed after half of that");
    if let Some((what, wait)) = &used.waits {
        let wait = wait.as_secs();
        let shorten =
            "shorten `batch.timeout_secs` or `retry.max_secs` of that stage, or raise `max_hold_secs` of the grant";
        if wait >= max_hold {
            let words =
                format!("{what} waits up to {wait} s, and messages go back after {max_hold} s: it is never done");
            return Finding::failure(&used.field, words, shorten);
        }
        if wait.saturating_mul(2) > max_hold {
            let words =
                format!("{what} waits up to {wait} s, and messages go back after {max_hold} s: some come twice");
            return Finding::warning(&used.field, words, shorten);
        }
    }
    let set = "set the queue's VisibilityTimeout, or `visibility_secs` of the grant, to between 30 and 120";
    if secs < SHORTEST_VISIBILITY {
        return Finding::warning(
            &used.field,
            format!("{invisible}: a short pause of the host brings messages twice"),
            set,
        );
    }
    if secs > LONGEST_VISIBILITY {
        let words = format!("{invisible}: messages of a host that died come again only then");
        return Finding::warning(&used.field, words, set);
    }
    match &used.waits {
        Some((what, wait)) if wait.as_secs() >= secs => {
            let wait = wait.as_secs();
            Finding::ok(&used.field, format!("{invisible}, so that {what} may wait {wait} s"))
        }
        _ => Finding::ok(&used.field, invisible),
    }
}

fn redrive(subject: &str, policy: Option<&str>) -> Finding {
    let Some(policy) = policy.filter(|policy| !policy.is_empty()) else {
        return Finding::ok(
            subject,
            "no redrive policy: what cannot be processed is in the pipeline's own dead letter",
        );
    };
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let most = match policy.get("maxReceiveCount") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    match most {
        Some(most) if most < RECEIVES => Finding::failure(
            subject,
            format!(
                "after {most} receives a message goes to the queue's dead-letter queue though nothing is wrong with it: each \
                 restart, and each long stop of what is behind, costs one"
            ),
            "set `maxReceiveCount` of the queue's redrive policy to 1000, or take the policy away",
        ),
        Some(most) => Finding::ok(subject, format!("to the queue's dead-letter queue only after {most} receives")),
        None => {
            let words = "not checked: the queue's redrive policy names no maxReceiveCount";
            Finding::warning(subject, words, "set it to 1000")
        }
    }
}

fn retention(subject: &str, secs: u64) -> Finding {
    let long = if secs.is_multiple_of(DAY) { format!("{} days", secs / DAY) } else { format!("{secs} s") };
    if secs < RETENTION {
        let words = format!("what nobody takes for {long} is lost: not even a long weekend");
        return Finding::warning(subject, words, "set the queue's MessageRetentionPeriod to 1209600 (14 days)");
    }
    Finding::ok(subject, format!("what nobody takes is kept for {long}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn inbox() -> Use {
        Use {
            field: "sources.inbox.grants.queue".to_owned(),
            url: "https://sqs.eu-west-1.amazonaws.com/111122223333/xray-inbox".to_owned(),
            max_hold: Duration::from_secs(43_200),
            has_claim_check: true,
            reads: true,
            waits: Some(("a batch of `archive`".to_owned(), Duration::from_secs(300))),
            ..Use::default()
        }
    }

    fn events() -> Use {
        Use { is_of_events: true, has_claim_check: false, ..inbox() }
    }

    fn judged(used: &Use, attributes: &[(&str, &str)]) -> Vec<Finding> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        judge(used, &attributes)
    }

    fn not_ok(used: &Use, attributes: &[(&str, &str)]) -> Vec<(Level, String)> {
        let found = judged(used, attributes).into_iter().filter(|finding| finding.level != Level::Ok);
        found.map(|finding| (finding.level, finding.words)).collect()
    }

    const POLICY: &str = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":["sqs:SendMessage","sqs:GetQueueAttributes"],
        "Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"},
                     "ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/x"}}}]}"#;

    /// What deploy/ makes.
    const GOOD: [(&str, &str); 5] = [
        ("Policy", POLICY),
        ("MaximumMessageSize", "1048576"),
        ("VisibilityTimeout", "120"),
        ("MessageRetentionPeriod", "1209600"),
        ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn","maxReceiveCount":1000}"#),
    ];

    fn but(name: &str, value: &str) -> Vec<(&'static str, String)> {
        let others = GOOD.iter().filter(|(other, _)| *other != name).map(|(name, value)| (*name, (*value).to_owned()));
        let name = GOOD.iter().map(|(other, _)| *other).find(|other| *other == name).unwrap();
        others.chain([(name, value.to_owned())]).collect()
    }

    fn wrong(used: &Use, name: &str, value: &str) -> Vec<(Level, String)> {
        let attributes = but(name, value);
        let attributes: Vec<_> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        not_ok(used, &attributes)
    }

    #[test]
    fn what_deploy_makes_is_good() {
        for used in [inbox(), events()] {
            assert_eq!(not_ok(&used, &GOOD), []);
        }
        let words: Vec<String> = judged(&inbox(), &GOOD).into_iter().map(|finding| finding.words).collect();
        let expected = [
            "messages up to 1048576 bytes, larger ones by the claim check",
            "what is held is invisible for 120 s, and renewed after half of that, so that a batch of `archive` may wait 300 s",
            "to the queue's dead-letter queue only after 1000 receives",
            "what nobody takes is kept for 14 days",
        ];
        assert_eq!(words[1..], expected);
    }

    #[test]
    fn few_receives() {
        for policy in [r#"{"maxReceiveCount":3}"#, r#"{"maxReceiveCount":"99"}"#] {
            let found = wrong(&inbox(), "RedrivePolicy", policy);
            assert!(matches!(found.as_slice(), [(Level::Failure, words)] if words.contains("restart")), "{found:?}");
        }
        assert_eq!(wrong(&inbox(), "RedrivePolicy", r#"{"maxReceiveCount":"100"}"#), []);
        assert_eq!(wrong(&inbox(), "RedrivePolicy", ""), []);
        assert_eq!(wrong(&inbox(), "RedrivePolicy", "{}").len(), 1);
    }

    #[test]
    fn retention_is_longer_than_a_weekend() {
        assert_eq!(wrong(&inbox(), "MessageRetentionPeriod", "345600"), []);
        let found = wrong(&inbox(), "MessageRetentionPeriod", "172800");
        assert_eq!(
            found,
            [(Level::Warning, "what nobody takes for 2 days is lost: not even a long weekend".to_owned())]
        );
    }

    #[test]
    fn sizes() {
        let small = "262144";
        assert_eq!(wrong(&inbox(), "MaximumMessageSize", small), []);
        assert_eq!(wrong(&events(), "MaximumMessageSize", small), []);
        assert_eq!(wrong(&events(), "MaximumMessageSize", "65536").len(), 1);
        let without = Use { has_claim_check: false, ..inbox() };
        assert_eq!(not_ok(&without, &GOOD), []);
        let found = wrong(&without, "MaximumMessageSize", small);
        let expected = "messages up to 262144 bytes, and SQS has 1048576: a claim check is needed";
        assert_eq!(found, [(Level::Warning, expected.to_owned())]);
        let sends = Use { reads: false, sends: true, ..without };
        let found = judged(&sends, &GOOD);
        assert!(matches!(found.as_slice(), [one] if one.level == Level::Warning), "only its size: {found:?}");
        assert_eq!(not_ok(&Use { has_claim_check: true, ..sends }, &GOOD), []);
    }

    #[test]
    fn visibility_against_what_waits() {
        assert_eq!(wrong(&inbox(), "VisibilityTimeout", "30"), [], "a heartbeat renews what a batch holds");
        for (visibility, part) in [("9", "a short pause"), ("3601", "a host that died")] {
            let found = wrong(&inbox(), "VisibilityTimeout", visibility);
            assert!(matches!(found.as_slice(), [(Level::Warning, words)] if words.contains(part)), "{found:?}");
        }
        let own = Use { visibility: Some(Duration::from_secs(45)), ..inbox() };
        assert_eq!(wrong(&own, "VisibilityTimeout", "1"), [], "the grant's own counts");
        for (max_hold, level) in [(300, Level::Failure), (500, Level::Warning), (600, Level::Ok)] {
            let short = Use { max_hold: Duration::from_secs(max_hold), ..inbox() };
            let worst = judged(&short, &GOOD).into_iter().map(|finding| finding.level).max().unwrap();
            assert_eq!(worst, level, "{max_hold}");
        }
    }

    #[test]
    fn events_are_on_a_standard_queue() {
        let fifo = |used: Use| Use { url: format!("{}.fifo", used.url), ..used };
        let found = not_ok(&fifo(events()), &GOOD);
        assert!(matches!(found.as_slice(), [(Level::Failure, words)] if words.contains("delay")), "{found:?}");
        assert_eq!(not_ok(&fifo(inbox()), &GOOD), []);
    }
}
