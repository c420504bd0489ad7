//! A message as SQS gives it, and what a guest is told of it.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::claim_check::{OLD_SIZE_ATTRIBUTE, SIZE_ATTRIBUTE};

/// The attributes of a message as a guest gets them: a JSON object.
///
/// `unresolved` says why the body is still a pointer.
pub(super) fn attrs(
    message: &Message,
    accounts: &BTreeMap<String, String>,
    is_fetched: bool,
    unresolved: Option<String>,
) -> String {
    let system = |name: MessageSystemAttributeName| message.attributes.as_ref()?.get(&name).cloned();
    let mut attrs = Map::new();
    let mut set = |name: &str, value: Option<Value>| value.map(|value| attrs.insert(name.to_owned(), value));
    let sender = system(MessageSystemAttributeName::SenderId);
    let account = sender.as_deref().and_then(|sender| accounts.get(sender.split(':').next().unwrap_or(sender)));
    set("message_id", message.message_id.clone().map(Value::from));
    set("sent_at", system(MessageSystemAttributeName::SentTimestamp).and_then(|ms| sent_at(&ms)).map(Value::from));
    let count = system(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|count| count.parse::<u64>().ok());
    set("receive_count", count.map(Value::from));
    set("sender_account", account.cloned().map(Value::from));
    set("sender_id", sender.map(Value::from));
    set("trace_header", system(MessageSystemAttributeName::AwsTraceHeader).map(Value::from));
    set("group_id", system(MessageSystemAttributeName::MessageGroupId).map(Value::from));
    set("unresolved", unresolved.map(Value::from));
    let own: Map<String, Value> = own(message, is_fetched).collect();
    set("attributes", (!own.is_empty()).then_some(Value::Object(own)));
    Value::Object(attrs).to_string()
}

/// What its sender set, as text. What speaks of a payload that is in place now is left out.
fn own(message: &Message, is_fetched: bool) -> impl Iterator<Item = (String, Value)> {
    let own = message.message_attributes.iter().flatten();
    own.filter(move |(name, _)| !(is_fetched && [SIZE_ATTRIBUTE, OLD_SIZE_ATTRIBUTE].contains(&name.as_str())))
        .filter_map(|(name, value)| Some((name.clone(), value.string_value()?.into())))
}

fn sent_at(milliseconds: &str) -> Option<String> {
    let sent_at = Timestamp::from_millisecond(milliseconds.parse().ok()?).ok()?;
    Some(format!("{sent_at:.3}"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::MessageAttributeValue;
    use serde_json::json;

    use super::*;

    fn message(own: &[(&str, &str)]) -> Message {
        use MessageSystemAttributeName as Name;
        let system = [
            (Name::SenderId, "AROA1:collector"),
            (Name::SentTimestamp, "1735732800123"),
            (Name::ApproximateReceiveCount, "2"),
            (Name::AwsTraceHeader, "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ];
        let mut message = Message::builder().message_id("m");
        for (name, value) in system {
            message = message.attributes(name, value);
        }
        for (name, value) in own {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build().unwrap();
            message = message.message_attributes(*name, value);
        }
        message.build()
    }

    fn told(message: &Message, accounts: &[(&str, &str)], is_fetched: bool, unresolved: Option<&str>) -> Value {
        let accounts = accounts.iter().map(|(sender, account)| ((*sender).to_owned(), (*account).to_owned()));
        serde_json::from_str(&attrs(message, &accounts.collect(), is_fetched, unresolved.map(str::to_owned))).unwrap()
    }

    #[test]
    fn a_guest_is_told_what_sqs_says() {
        let all = json!({
            "message_id": "m",
            "sent_at": "2025-01-01T12:00:00.123Z",
            "receive_count": 2,
            "sender_id": "AROA1:collector",
            "trace_header": "Root=1-5759e988-bd862e3fe1be46a994272793",
            "attributes": { "account": "1" },
        });
        assert_eq!(told(&message(&[("account", "1")]), &[("AROA2", "2")], false, None), all);
        assert_eq!(told(&Message::builder().build(), &[], false, None), json!({}));
    }

    #[test]
    fn the_account_of_a_known_sender() {
        let attrs = told(&message(&[]), &[("AROA1", "111122223333")], false, None);
        assert_eq!(attrs["sender_account"], "111122223333");
    }

    #[test]
    fn the_size_of_a_payload_goes_with_its_pointer() {
        let message = message(&[(SIZE_ATTRIBUTE, "3"), ("a", "b")]);
        assert_eq!(told(&message, &[], true, None)["attributes"], json!({ "a": "b" }));
        let unresolved = told(&message, &[], false, Some("why"));
        assert_eq!(
            (unresolved["attributes"]["ExtendedPayloadSize"].as_str(), unresolved["unresolved"].as_str()),
            (Some("3"), Some("why"))
        );
    }
}
