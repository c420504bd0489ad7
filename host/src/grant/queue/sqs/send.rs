//! Sending: what a queue cannot carry is packed, then put into a bucket.

use std::io::Write;

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};

use super::claim_check::{ClaimCheck, SIZE_ATTRIBUTE};
use super::client::{BATCH, Client};
use super::failure::{Failure, FailureKind};
use crate::event::digest;
use crate::grant::queue::outgoing::{self, Sending};
use crate::grant::queue::{ItemError, Outgoing, QueueError};

/// How messages go to one queue.
pub(super) struct Sender {
    pub(super) claim_check: Option<ClaimCheck>,
    /// The largest message: the queue's `MaximumMessageSize`.
    pub(super) max_bytes: usize,
    pub(super) kind: Kind,
}

/// Which kind of queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Standard,
    /// Messages of a group stay in order.
    Fifo {
        /// The queue tells duplicates by the content of what it gets.
        by_content: bool,
    },
}

/// A message as it goes to SQS.
struct Prepared {
    index: u32,
    entry: SendMessageBatchRequestEntry,
    bytes: usize,
}

/// What any batch may hold, whatever the queue's own limit is.
const BATCH_BYTES: usize = 262_144;

/// SQS's own limit.
const MOST_ATTRIBUTES: usize = 10;

/// How many batches or payloads go at once.
const AT_ONCE: usize = 8;

/// Where messages of a FIFO queue go that name no group: their order is kept.
const GROUP: &str = "rayline";

/// How gzip and base64 begin.
const PACKED: &[u8] = b"H4sI";

impl Sender {
    /// Sends messages whose layout [`outgoing::check`] accepted. Returns those that failed.
    pub(super) async fn send(&self, client: &Client, messages: &Outgoing) -> Result<Vec<ItemError>, QueueError> {
        let preparing: Vec<_> =
            outgoing::iter(messages).map(|(index, attrs, body)| self.prepare(index, attrs, body)).collect();
        let prepared: Vec<Result<Prepared, (u32, Failure)>> = stream::iter(preparing).buffered(AT_ONCE).collect().await;
        let mut failed: Vec<(u32, Failure)> = Vec::new();
        let mut ready = Vec::new();
        for prepared in prepared {
            match prepared {
                Ok(prepared) if self.waits_for(&failed) => failed.push((prepared.index, waits())),
                Ok(prepared) => ready.push(prepared),
                Err(error) => failed.push(error),
            }
        }
        let mut batches = batches(ready, self.max_bytes.max(BATCH_BYTES)).into_iter();
        match self.kind {
            Kind::Standard => {
                let sending: Vec<_> = batches.map(|batch| send_batch(client, batch)).collect();
                let errors: Vec<Vec<(u32, Failure)>> = stream::iter(sending).buffered(AT_ONCE).collect().await;
                failed.extend(errors.into_iter().flatten());
            }
            Kind::Fifo { .. } => {
                for batch in &mut batches {
                    failed.extend(send_batch(client, batch).await);
                    if self.waits_for(&failed) {
                        break;
                    }
                }
                failed.extend(batches.flatten().map(|prepared| (prepared.index, waits())));
            }
        }
        if let Some((_, failure)) = failed.iter().find(|(_, failure)| failure.kind == FailureKind::Refused) {
            return Err(client.error(failure.clone()));
        }
        if let Some((_, failure)) = failed.iter().find(|(_, failure)| failure.kind == FailureKind::Temporary) {
            tracing::warn!(messages = failed.len(), "messages were not sent: {failure}");
        }
        Ok(failed.into_iter().map(|(index, failure)| ItemError { index, error: failure.for_guest() }).collect())
    }

    /// Whether more would come before what failed and is sent again.
    fn waits_for(&self, failed: &[(u32, Failure)]) -> bool {
        self.kind != Kind::Standard && failed.iter().any(|(_, failure)| failure.kind != FailureKind::Invalid)
    }

    /// With its index, whatever comes of it.
    async fn prepare(&self, index: u32, attrs: &str, body: &[u8]) -> Result<Prepared, (u32, Failure)> {
        let prepared = self.entry(attrs, body).await;
        prepared.map(|(entry, bytes)| Prepared { index, entry, bytes }).map_err(|failure| (index, failure))
    }

    /// The message as SQS wants it, and its size.
    async fn entry(&self, attrs: &str, body: &[u8]) -> Result<(SendMessageBatchRequestEntry, usize), Failure> {
        let sending = Sending::parse(attrs).map_err(Failure::invalid)?;
        let mut attributes = attributes(&sending)?;
        let of_attributes = |attributes: &[(String, MessageAttributeValue)]| -> usize {
            attributes.iter().map(|(name, value)| name.len() + value.data_type.len() + text(value).len()).sum()
        };
        let room = self.max_bytes.saturating_sub(of_attributes(&attributes));
        let text = match carried(body, room).await {
            Ok(text) => text,
            Err(packed_bytes) => {
                let Some(claim_check) = &self.claim_check else {
                    let max = self.max_bytes;
                    let reason = format!(
                        "the message has {packed_bytes} bytes when packed and the queue takes {max}; give the queue's \
                         grant a claim_check"
                    );
                    return Err(Failure::invalid(reason));
                };
                if attributes.len() == MOST_ATTRIBUTES {
                    return Err(Failure::invalid("with a claim check a message has at most 9 attributes"));
                }
                attributes.push((SIZE_ATTRIBUTE.to_owned(), attribute("Number", &body.len().to_string())?));
                claim_check.put(body.to_vec()).await?
            }
        };
        let bytes = text.len() + of_attributes(&attributes);
        let mut entry = SendMessageBatchRequestEntry::builder().id("0").message_body(text);
        for (name, value) in attributes {
            entry = entry.message_attributes(name, value);
        }
        if sending.delay_secs > 0 {
            entry = entry.set_delay_seconds(i32::try_from(sending.delay_secs).ok());
        }
        if let Kind::Fifo { by_content } = self.kind {
            let deduplication_id = sending.deduplication_id.or_else(|| (!by_content).then(|| digest(body)));
            entry = entry
                .message_group_id(sending.group_id.unwrap_or_else(|| GROUP.to_owned()))
                .set_message_deduplication_id(deduplication_id);
        }
        Ok((entry.build()?, bytes))
    }
}

fn waits() -> Failure {
    Failure::temporary("a message before it was not sent")
}

async fn send_batch(client: &Client, batch: Vec<Prepared>) -> Vec<(u32, Failure)> {
    let (indices, entries): (Vec<u32>, Vec<SendMessageBatchRequestEntry>) =
        batch.into_iter().map(|prepared| (prepared.index, prepared.entry)).unzip();
    let failed = client.send(entries).await;
    failed.into_iter().filter_map(|(place, failure)| Some((*indices.get(place)?, failure))).collect()
}

/// In their order, at most ten in a batch, and so many bytes.
fn batches(messages: Vec<Prepared>, max_bytes: usize) -> Vec<Vec<Prepared>> {
    let mut batches: Vec<Vec<Prepared>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && bytes + message.bytes <= max_bytes => {
                bytes += message.bytes;
                batch.push(message);
            }
            _ => {
                bytes = message.bytes;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

/// The body as text that SQS takes: as it is, else packed with gzip and base64. The error is its size when packed.
async fn carried(body: &[u8], room: usize) -> Result<String, usize> {
    if let Some(text) = std::str::from_utf8(body).ok().filter(|text| is_carried(text)) {
        if body.len() <= room {
            return Ok(text.to_owned());
        }
        if body.starts_with(PACKED) {
            return Err(body.len());
        }
    }
    let owned = body.to_vec();
    // Compressing megabytes would keep the receipts from being renewed.
    let packed = tokio::task::spawn_blocking(move || pack(&owned)).await.ok().flatten();
    match packed {
        Some(packed) if packed.len() <= room => Ok(packed),
        packed => Err(packed.map_or(body.len(), |packed| packed.len())),
    }
}

fn pack(body: &[u8]) -> Option<String> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(body).ok()?;
    Some(STANDARD.encode(zip.finish().ok()?))
}

/// What XML 1.0 can hold, and not nothing.
fn is_carried(text: &str) -> bool {
    let is_control = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    !text.is_empty() && !text.contains(is_control)
}

fn attributes(sending: &Sending) -> Result<Vec<(String, MessageAttributeValue)>, Failure> {
    if sending.attributes.len() > MOST_ATTRIBUTES {
        let reason = format!("the message has {} attributes, and at most {MOST_ATTRIBUTES}", sending.attributes.len());
        return Err(Failure::invalid(reason));
    }
    let own = sending.attributes.iter();
    own.map(|(name, value)| Ok((name.clone(), attribute("String", value.as_str().unwrap_or_default())?))).collect()
}

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, Failure> {
    Ok(MessageAttributeValue::builder().data_type(kind).string_value(value).build()?)
}

fn text(value: &MessageAttributeValue) -> &str {
    value.string_value().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(max_bytes: usize, kind: Kind) -> Sender {
        Sender { claim_check: None, max_bytes, kind }
    }

    async fn sent(sender: &Sender, attrs: &str, body: &[u8]) -> Result<SendMessageBatchRequestEntry, String> {
        sender.entry(attrs, body).await.map(|(entry, _)| entry).map_err(|failure| failure.reason)
    }

    #[tokio::test]
    async fn what_a_queue_cannot_carry_is_packed() {
        let sender = sender(1000, Kind::Standard);
        for body in [b"{}".to_vec(), "tabs\tand\nü\u{10ffff}".into(), vec![b'x'; 1000]] {
            assert_eq!(sent(&sender, "", &body).await.unwrap().message_body.as_bytes(), body);
        }
        for body in [vec![b'x'; 1001], b"\xff".to_vec(), b"bell \x07".to_vec(), Vec::new()] {
            let packed = sent(&sender, "", &body).await.unwrap().message_body;
            let zipped = STANDARD.decode(&packed).unwrap();
            let mut unpacked = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut unpacked).unwrap();
            assert_eq!(unpacked, body, "{packed}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_when_packed_is_refused_without_a_claim_check() {
        let noise: String = (0..2000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
        let reason = sent(&sender(1000, Kind::Standard), "", noise.as_bytes()).await.unwrap_err();
        assert!(reason.contains("the queue takes 1000; give the queue's grant a claim_check"), "{reason}");
        let packed = format!("H4sI{noise}");
        let reason = sent(&sender(1000, Kind::Standard), "", packed.as_bytes()).await.unwrap_err();
        assert!(reason.contains(&format!("{} bytes", packed.len())), "it is not packed twice: {reason}");
    }

    #[tokio::test]
    async fn attributes_count_and_take_room() {
        let attrs = r#"{"attributes":{"account":"111122223333"}}"#;
        let entry = sent(&sender(1000, Kind::Standard), attrs, &[b'x'; 976]).await.unwrap();
        assert!(entry.message_body.starts_with("H4sI"), "7 + 6 + 12 bytes of attributes");
        assert_eq!(text(&entry.message_attributes.unwrap()["account"]), "111122223333");
        let eleven: serde_json::Map<_, _> = (0..11).map(|n| (n.to_string(), "x".into())).collect();
        let attrs = serde_json::json!({ "attributes": eleven }).to_string();
        let reason = sent(&sender(1000, Kind::Standard), &attrs, b"{}").await.unwrap_err();
        assert_eq!(reason, "the message has 11 attributes, and at most 10");
    }

    #[tokio::test]
    async fn groups_are_for_fifo_queues() {
        let attrs = r#"{"group_id":"g","deduplication_id":"d","delay_secs":3}"#;
        let told = |entry: &SendMessageBatchRequestEntry| {
            (entry.message_group_id.clone(), entry.message_deduplication_id.clone(), entry.delay_seconds)
        };
        let some = |text: &str| Some(text.to_owned());
        let standard = sent(&sender(1000, Kind::Standard), attrs, b"{}").await.unwrap();
        assert_eq!(told(&standard), (None, None, Some(3)));
        let fifo = sent(&sender(1000, Kind::Fifo { by_content: true }), attrs, b"{}").await.unwrap();
        assert_eq!(told(&fifo), (some("g"), some("d"), Some(3)));
        let fifo = sent(&sender(1000, Kind::Fifo { by_content: true }), "", b"{}").await.unwrap();
        assert_eq!(told(&fifo), (some(GROUP), None, None));
        let fifo = sent(&sender(1000, Kind::Fifo { by_content: false }), "", b"{}").await.unwrap();
        assert_eq!(told(&fifo), (some(GROUP), Some(digest(b"{}")), None));
    }

    #[test]
    fn batches_hold_ten_messages_and_so_many_bytes() {
        let sizes = |sizes: &[usize]| -> Vec<usize> {
            let entry = SendMessageBatchRequestEntry::builder().id("0").message_body("x").build().unwrap();
            let messages = sizes.iter().map(|bytes| Prepared { index: 0, entry: entry.clone(), bytes: *bytes });
            batches(messages.collect(), 100).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[1; 23]), [10, 10, 3]);
        assert_eq!(sizes(&[60, 40, 1, 100, 99]), [2, 1, 1, 1]);
        assert_eq!(sizes(&[]), [] as [usize; 0]);
    }
}
