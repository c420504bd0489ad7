//! Raw messages into a queue.

use rayline_message::transport;
use rayline_sdk::queue::{self, Outgoing};
use rayline_sdk::{Batch, Binding, Capability, CapabilityError, Context, Event, Exceptions, Failure, NoOptions, Sink};
use serde_json::{Map, Value, json};

const QUEUE: &str = "queue";

/// The stage.
pub struct QueueSink;

impl Sink for QueueSink {
    type Options = NoOptions;

    const SUMMARY: &'static str = "Sends every event's body to a queue, packed with gzip and base64 where it is large";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(QUEUE, Capability::Queue, "where the messages go")]
    }

    fn open(_: NoOptions, _: &Context) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut outgoing = Outgoing::new();
        for event in batch {
            outgoing.push(&attributes(&event), &transport::pack(event.body));
        }
        for item in queue::send(QUEUE, &outgoing)? {
            let Some(event) = batch.iter().nth(item.index) else { continue };
            match item.error {
                CapabilityError::Temporary { reason, after } => out.retry(&event, reason, after),
                CapabilityError::Conflict(_) => out.retry(&event, item.error.to_string(), None),
                error => out.reject(&event, error.to_string()),
            }
        }
        Ok(())
    }
}

/// The labels that a reader prefers to what the message says of itself.
fn attributes(event: &Event<'_>) -> String {
    let known = ["account", "region"].into_iter().filter_map(|name| Some((name, event.label(name)?)));
    let attributes: Map<String, Value> = known.map(|(name, value)| (name.to_owned(), value.into())).collect();
    if attributes.is_empty() { String::new() } else { json!({ "attributes": attributes }).to_string() }
}

rayline_sdk::export_sink!(QueueSink);

#[cfg(test)]
mod tests {
    use rayline_sdk::testing::{self, Input};

    use super::*;

    #[test]
    fn bodies_are_sent_with_their_labels() {
        testing::queue::grant(QUEUE);
        let large = "x".repeat(transport::PLAIN_BYTES + 1);
        let mut sink = testing::open_sink::<QueueSink>("{}").unwrap();
        let left = sink.write(&[
            Input::body("{}").label("kind", "raw").label("account", "111122223333").label("region", "eu-west-1"),
            Input::body("plain"),
            Input::body(large.as_str()),
        ]);
        assert_eq!(left.unwrap(), []);
        let sent = testing::queue::take(QUEUE);
        let attributes = r#"{"attributes":{"account":"111122223333","region":"eu-west-1"}}"#;
        assert_eq!(sent[..2], [(attributes.to_owned(), b"{}".to_vec()), (String::new(), b"plain".to_vec())]);
        assert!(sent[2].1.starts_with(b"H4sI"));
        assert_eq!(transport::unpack(&sent[2].1), large.as_bytes());
    }

    #[test]
    fn a_queue_that_is_not_granted_stops_the_pipeline() {
        let mut sink = testing::open_sink::<QueueSink>("{}").unwrap();
        assert!(matches!(sink.write(&[Input::body("{}")]), Err(Failure::Fatal(_))));
    }
}
