//! Who may send to a queue, as its policy says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;

/// What of the policy's many words matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Senders {
    /// Everybody on earth.
    anyone: bool,
    /// Conditions that narrow everybody down: `aws:PrincipalOrgID o-example`.
    conditions: BTreeSet<String>,
    /// Accounts, roles, users.
    named: BTreeSet<String>,
    /// `events.amazonaws.com`
    services: BTreeSet<String>,
}

/// What narrows everybody down to some whom somebody knows. Conditions beside these (TLS, times) do not.
const NARROWING: [&str; 12] = [
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:principaltag",
];

const EVENTS: &str = "events.amazonaws.com";

/// `policy` is the queue's own. An event queue gets its messages from EventBridge.
pub(super) fn judge(subject: &str, policy: Option<&str>, is_of_events: bool) -> Finding {
    let senders = match policy.filter(|policy| !policy.is_empty()).map(serde_json::from_str::<Value>) {
        None => Senders::default(),
        Some(Ok(policy)) => Senders::of(&policy),
        Some(Err(error)) => {
            return Finding::not_checked(subject, "who may send", &error.to_string(), "sqs:GetQueueAttributes");
        }
    };
    if senders.anyone {
        return Finding::warning(
            subject,
            "anyone may send: whoever knows the queue's URL can put documents into the index",
            "write a condition into the queue's policy: `StringEquals: { aws:PrincipalOrgID: o-… }`, as \
             deploy/log-account.yaml has it",
        );
    }
    if is_of_events && !senders.services.contains(EVENTS) {
        return Finding::warning(
            subject,
            format!("{}: no status event arrives, and only sweeps find executions", senders.words()),
            format!(
                "allow {EVENTS} sqs:SendMessage in the queue's policy, with the rule's ARN as aws:SourceArn, as \
                 deploy/member-account.yaml has it"
            ),
        );
    }
    if !is_of_events && senders == Senders::default() {
        return Finding::warning(
            subject,
            "nobody but the queue's own account may send",
            "if other accounts collect, allow them sqs:SendMessage and sqs:GetQueueAttributes in the queue's policy, for \
             all of an organisation by `StringEquals: { aws:PrincipalOrgID: o-… }`",
        );
    }
    Finding::ok(subject, senders.words())
}

impl Senders {
    fn of(policy: &Value) -> Senders {
        let mut senders = Senders::default();
        for statement in list(policy.get("Statement")) {
            if statement.get("Effect").and_then(Value::as_str) == Some("Allow") && allows_sending(statement) {
                senders.add(statement);
            }
        }
        senders
    }

    fn add(&mut self, statement: &Value) {
        let conditions = narrowing(statement.get("Condition"));
        let is_everybody = |principal: &str| principal == "*";
        let mut everybody = statement.get("NotPrincipal").is_some();
        match statement.get("Principal") {
            Some(Value::Object(kinds)) => {
                for (kind, names) in kinds {
                    for name in list(Some(names)).filter_map(Value::as_str) {
                        if is_everybody(name) {
                            everybody = true;
                        } else if kind == "Service" {
                            self.services.insert(name.to_owned());
                        } else {
                            self.named.insert(name.to_owned());
                        }
                    }
                }
            }
            Some(Value::String(name)) => everybody |= is_everybody(name),
            _ => {}
        }
        if everybody {
            self.anyone |= conditions.is_empty();
            // An event rule is told by its ARN, also where its service is not named.
            let is_rule = |condition: &String| condition.contains(":events:") && condition.contains(":rule/");
            if conditions.iter().any(is_rule) {
                self.services.insert(EVENTS.to_owned());
            }
            self.conditions.extend(conditions);
        }
    }

    fn words(&self) -> String {
        let own = "may be sent to by its own account".to_owned();
        let conditions = self.conditions.iter().map(|condition| format!("who has {condition}"));
        let others: Vec<String> = conditions.chain(self.named.iter().chain(&self.services).cloned()).collect();
        let shown: Vec<&str> = others.iter().take(5).map(String::as_str).collect();
        match (shown.as_slice(), others.len() - shown.len()) {
            ([], _) => format!("{own} only"),
            (shown, 0) => format!("{own}, and by {}", shown.join(", ")),
            (shown, more) => format!("{own}, and by {}, and {more} more", shown.join(", ")),
        }
    }
}

/// One or several.
fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        Some(Value::Array(items)) => items.iter(),
        Some(one) => std::slice::from_ref(one).iter(),
        None => [].iter(),
    }
}

fn allows_sending(statement: &Value) -> bool {
    let fits = |action: &Value| {
        let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
        match action.strip_suffix('*') {
            Some(begin) => "sqs:sendmessage".starts_with(begin),
            None => action == "sqs:sendmessage",
        }
    };
    match statement.get("NotAction") {
        Some(but) => !list(Some(but)).any(fits),
        None => list(statement.get("Action")).any(fits),
    }
}

/// Conditions that let only some through, as `KEY VALUES`.
fn narrowing(conditions: Option<&Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (operator, keys) in conditions.and_then(Value::as_object).into_iter().flatten() {
        let operator = operator.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        // `…IfExists` and `Not…` let those through that have none.
        let is_positive = ["string", "arn"].iter().any(|kind| operator.starts_with(kind))
            && !operator.contains("not")
            && !operator.ends_with("ifexists");
        for (key, values) in keys.as_object().into_iter().flatten().filter(|_| is_positive) {
            let name = key.to_ascii_lowercase();
            let name = name.split('/').next().unwrap_or_default();
            let values: Vec<&str> = list(Some(values)).filter_map(Value::as_str).collect();
            if NARROWING.contains(&name) && !values.is_empty() && !values.contains(&"*") {
                found.insert(format!("{key} {}", values.join(" or ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    fn judged(statements: Value, is_of_events: bool) -> (Level, String) {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let found = judge("q", Some(&policy), is_of_events);
        (found.level, found.words)
    }

    fn allow(principal: Value, condition: Value) -> Value {
        json!({"Effect": "Allow", "Principal": principal, "Action": "SQS:Send*", "Resource": "*", "Condition": condition})
    }

    #[test]
    fn the_organisation_or_named_senders() {
        let organisation = allow(json!("*"), json!({"StringEquals": {"aws:PrincipalOrgID": "o-example"}}));
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*"});
        let (level, words) = judged(json!([organisation, deny]), false);
        let expected = "may be sent to by its own account, and by who has aws:PrincipalOrgID o-example";
        assert_eq!((level, words.as_str()), (Level::Ok, expected));

        let roles = json!({"AWS": ["111122223333", "arn:aws:iam::444455556666:role/r"]});
        let (level, words) = judged(allow(roles, Value::Null), false);
        let expected = "may be sent to by its own account, and by 111122223333, arn:aws:iam::444455556666:role/r";
        assert_eq!((level, words.as_str()), (Level::Ok, expected));
    }

    #[test]
    fn anyone() {
        let nothing = Value::Null;
        for statement in [
            allow(json!("*"), nothing.clone()),
            allow(json!({"AWS": "*"}), json!({"Bool": {"aws:SecureTransport": "true"}})),
            allow(json!({"AWS": ["*"]}), json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-example"}})),
            allow(json!("*"), json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}})),
            allow(json!("*"), json!({"StringLike": {"aws:PrincipalOrgID": "*"}})),
            json!({"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "NotAction": "sqs:DeleteMessage"}),
        ] {
            let (level, words) = judged(json!([statement]), false);
            assert!(level == Level::Warning && words.starts_with("anyone may send"), "{statement}: {words}");
        }
    }

    #[test]
    fn nobody_else() {
        let reads = json!({"Effect": "Allow", "Principal": "*", "Action": ["sqs:ReceiveMessage", "sqs:Get*"]});
        let denies = json!({"Effect": "Deny", "Principal": "*", "Action": "*"});
        for found in [judge("q", None, false), judge("q", Some(""), false)] {
            assert_eq!(
                (found.level, found.words.as_str()),
                (Level::Warning, "nobody but the queue's own account may send")
            );
        }
        for statement in [reads, denies] {
            assert_eq!(judged(json!([statement]), false).1, "nobody but the queue's own account may send");
        }
        assert!(judge("q", Some("{"), false).words.starts_with("not checked: who may send"));
    }

    #[test]
    fn event_queues_are_open_to_event_bridge() {
        let rule =
            json!({"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:444455556666:rule/rayline-executions"}});
        for principal in [json!({"Service": "events.amazonaws.com"}), json!("*")] {
            let (level, words) = judged(allow(principal, rule.clone()), true);
            assert_eq!(level, Level::Ok, "{words}");
        }
        let (level, words) = judged(allow(json!({"AWS": "111122223333"}), Value::Null), true);
        assert!(level == Level::Warning && words.contains("no status event arrives"), "{words}");
        assert!(judge("q", None, true).words.starts_with("may be sent to by its own account only: no status event"));
    }
}
