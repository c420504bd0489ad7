//! Raw messages from a queue.
//!
//! A message stays on the queue until it is settled: deleted when done, given back when released.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use rayline_message::{Attributes, Message, rfc3339, transport};
use rayline_sdk::queue::{self, Messages};
use rayline_sdk::{
    Binding, Capability, CapabilityError, Context, Ends, Failure, Outcome, Reading, Settlement, Source, SourceEvent,
    SourceOutput, clock, log,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const QUEUE: &str = "queue";

/// How many messages one call may take. Bytes are what really limits it.
const MESSAGES: usize = 4096;

/// The stage.
pub struct QueueSource {
    options: Options,
    /// Taken from the queue and not yet passed on: unpacked, they may be larger than one reading.
    taken: Taken,
    /// The handles of the messages that were passed on and are not settled, by ticket. A ticket is not a handle: a message
    /// that was held for too long may come again under the same one.
    held: BTreeMap<u64, u64>,
    last_ticket: u64,
    /// The handles of messages that are done and not yet deleted.
    done: Vec<u64>,
}

#[derive(Default)]
struct Taken {
    messages: Option<Messages>,
    next: usize,
    received_at: Option<String>,
}

/// Options of `queue-source`.
#[derive(Debug, Default, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// End when the queue is empty: no message waits, is delayed, or is being worked on by somebody else. Without it the
    /// source reads for ever.
    stop_when_empty: bool,
}

/// What a queue says beside a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beside {
    #[serde(flatten)]
    attributes: Attributes,
    #[serde(rename = "attributes")]
    own: Own,
}

/// The message's own text attributes, as its sender set them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    account: Option<String>,
    region: Option<String>,
}

impl Source for QueueSource {
    type Options = Options;

    const SUMMARY: &'static str = "Reads raw messages from a queue";
    const ENDS: Ends = Ends::Option("stop_when_empty");

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(QUEUE, Capability::Queue, "where the raw messages wait")]
    }

    fn open(options: Options, _: &Context) -> Result<Self, Failure> {
        Ok(Self { options, taken: Taken::default(), held: BTreeMap::new(), last_ticket: 0, done: Vec::new() })
    }

    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        self.delete()?;
        if self.taken.messages.is_none() {
            let messages = queue::receive(QUEUE, MESSAGES, max_bytes, max_wait)?;
            if messages.is_empty() {
                return self.nothing();
            }
            self.taken = Taken { messages: Some(messages), next: 0, received_at: rfc3339(clock::now()) };
        }
        self.pass_on(max_bytes, out);
        Ok(Reading::Events)
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        let mut released = Vec::new();
        for Settlement { ticket, outcome } in settlements {
            let handle = self.held.remove(ticket);
            match outcome {
                Outcome::Done => self.done.extend(handle),
                Outcome::Released => released.extend(handle),
            }
        }
        if !released.is_empty() {
            // What could not be given back comes again by itself when its time is over.
            if let Err(error) = queue::release(QUEUE, &released) {
                log::warn("messages were not given back at once", &[("reason", &error.to_string())]);
            }
        }
        self.delete()
    }

    fn close(&mut self) {
        if let Err(failure) = self.delete() {
            log::warn(
                "messages that are done were not deleted and will come again",
                &[("reason", &format!("{failure:?}"))],
            );
        }
    }
}

impl QueueSource {
    /// Deletes what is done. What cannot be deleted for the time being is tried again at the next call.
    fn delete(&mut self) -> Result<(), Failure> {
        if self.done.is_empty() {
            return Ok(());
        }
        let handles = mem::take(&mut self.done);
        let failed = match queue::delete(QUEUE, &handles) {
            Ok(failed) => failed,
            Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => {
                log::warn("messages that are done were not deleted yet", &[("reason", &error.to_string())]);
                self.done = handles;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for (handle, error) in failed.into_iter().filter_map(|item| Some((*handles.get(item.index)?, item.error))) {
            match error {
                CapabilityError::Temporary { .. } | CapabilityError::Conflict(_) => self.done.push(handle),
                // Others have it already, or will: it comes again, and is the same documents again.
                _ => log::warn("a message that is done was not deleted", &[("reason", &error.to_string())]),
            }
        }
        Ok(())
    }

    fn nothing(&self) -> Result<Reading, Failure> {
        if self.options.stop_when_empty {
            let depth = queue::depth(QUEUE)?;
            let own = self.held.len() + self.done.len();
            if depth.visible == 0 && depth.delayed == 0 && depth.invisible <= own as u64 {
                return Ok(Reading::Finished);
            }
        }
        Ok(Reading::Idle(Duration::ZERO))
    }

    fn pass_on(&mut self, max_bytes: usize, out: &mut SourceOutput) {
        let Taken { messages: Some(messages), next, received_at } = &mut self.taken else { return };
        for message in messages.iter().skip(*next) {
            if out.body_bytes() >= max_bytes && !out.is_empty() {
                return;
            }
            *next += 1;
            let beside: Beside = serde_json::from_str(message.attrs).unwrap_or_default();
            let attributes = Attributes { received_at: received_at.clone(), object: None, ..beside.attributes };
            let Own { account, region } = beside.own;
            let mut read = Message::new(
                transport::unpack(message.body),
                account.as_deref(),
                region.as_deref(),
                attributes.sent_at.as_deref(),
            );
            read.account = read.account.or_else(|| attributes.sender_account.clone());
            let labels: Vec<_> = read.labels().collect();
            let event = SourceEvent {
                labels: &labels,
                attrs: &attributes.to_json(),
                time: read.time,
                ..SourceEvent::default()
            };
            self.last_ticket += 1;
            self.held.insert(self.last_ticket, message.handle);
            out.push(self.last_ticket, &event, &read.payload);
        }
        self.taken = Taken::default();
    }
}

rayline_sdk::export_source!(QueueSource);

#[cfg(test)]
mod tests;
