//! Replay: messages from the archive, or from whatever else lies in a folder or bucket.
//!
//! One object at a time, in the order of the keys. Where things are: `listing` (which objects), `frames` (the messages
//! in an object's bytes), `selection` (which messages), `mention` (an execution's ARN in a payload), `place` (the
//! checkpoint), `pace` (the rate limit).
//!
//! **What is read is passed on or filtered, never dropped**: what is neither a line of the archive nor JSON is passed on
//! as it came, for the next stage to reject.

mod frames;
mod listing;
mod mention;
mod object;
mod pace;
mod place;
mod selection;

use std::num::NonZeroU32;
use std::time::Duration;

use rayline_sdk::objects::Object;
use rayline_sdk::{
    Binding, Capability, CapabilityError, Context, Ends, Failure, Reading, Settlement, Source, SourceEvent,
    SourceOutput, clock, log,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::listing::{Count, Listing};
use crate::object::OpenObject;
use crate::pace::Pace;
use crate::place::Place;
use crate::selection::{Selected, Selection};

pub(crate) const OBJECTS: &str = "objects";

/// One reading looks at no more bytes than this, however few of them are selected: a call's time is limited.
const LOOK_BYTES: usize = 8 << 20;

/// The stage.
pub struct ArchiveSource {
    selection: Selection,
    listing: Listing,
    count: Count,
    pace: Option<Pace>,
    place: Place,
    /// The object being read.
    current: Option<Object>,
    /// `current`, open at `place.messages`; absent until it is opened, and after an error.
    open: Option<OpenObject>,
    ticket: u64,
    ended: bool,
}

/// Options of `archive-source`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Read only objects whose keys begin with this, for example `account=111122223333/`.
    prefix: String,
    /// Only messages of this time or later, RFC 3339: when it was collected, else when it was sent, else when its object
    /// was last changed.
    #[schemars(extend("format" = "date-time"))]
    from: Option<String>,
    /// Only messages before this time, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    to: Option<String>,
    /// Only messages that this account collected.
    account: Option<String>,
    /// Only messages that name this Step Functions execution.
    #[schemars(regex(pattern = "^arn:"))]
    execution_arn: Option<String>,
    /// Only the message with this SHA-256, the `xray.raw.sha256` of its documents.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    sha256: Option<String>,
    /// Pass on at most this many messages a second.
    rate_per_sec: Option<NonZeroU32>,
}

impl Source for ArchiveSource {
    type Options = Options;

    const SUMMARY: &'static str = "Reads messages from the archive, or from any folder of JSON files";
    const ENDS: Ends = Ends::Always;

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(OBJECTS, Capability::Objects, "where the messages are")]
    }

    fn open(options: Options, context: &Context) -> Result<Self, Failure> {
        if context.instances > 1 {
            return Err(Failure::fatal(format!(
                "{} instances would each read everything: write `instances = 1`",
                context.instances
            )));
        }
        let pace = options.rate_per_sec.map(|rate| Pace::new(rate, clock::monotonic()));
        let selection = Selection::new(&options).map_err(Failure::fatal)?;
        let place = Place::resume(context.checkpoint.as_deref(), options);
        let listing = Listing::new(place.after.clone());
        let (current, open) = (None, None);
        Ok(Self { selection, listing, count: Count::default(), pace, place, current, open, ticket: 0, ended: false })
    }

    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        if self.ended {
            return Ok(Reading::Finished);
        }
        let now = clock::monotonic();
        let max_messages = match self.pace.as_mut().map(|pace| pace.due(now)) {
            None => usize::MAX,
            Some(Ok(due)) => due,
            Some(Err(wait)) => return Ok(Reading::Idle(wait)),
        };
        self.count.go_on(&self.selection)?;
        self.ticket += 1;
        let limits = Limits { bytes: max_bytes, messages: max_messages, until: now.saturating_add(max_wait) };
        if let Err(failure) = self.fill(&limits, out) {
            // Opened again where it stopped. What was read before goes out first.
            self.open = None;
            if out.is_empty() {
                return Err(failure);
            }
        }
        if let Some(pace) = &mut self.pace {
            pace.spent(out.len());
        }
        out.checkpoint(self.place.checkpoint(self.ended));
        out.progress(self.place.done, self.count.total(), "objects");
        Ok(Reading::Events)
    }

    fn settle(&mut self, _: &[Settlement]) -> Result<(), Failure> {
        Ok(())
    }
}

/// How much one reading may take.
struct Limits {
    bytes: usize,
    messages: usize,
    until: Duration,
}

impl ArchiveSource {
    fn fill(&mut self, limits: &Limits, out: &mut SourceOutput) -> Result<(), Failure> {
        let mut looked = 0;
        while out.body_bytes() < limits.bytes && out.len() < limits.messages && looked < LOOK_BYTES {
            let Some(object) = &self.current else {
                self.current = self.listing.next_to_open(&self.selection)?;
                if let Some(object) = &self.current {
                    self.place.enter(&object.key);
                    continue;
                }
                self.ended = true;
                return Ok(());
            };
            let open = match &mut self.open {
                Some(open) => open,
                None => match OpenObject::new(object) {
                    Ok(open) => self.open.insert(open),
                    Err(CapabilityError::NotFound(_)) => {
                        log::warn("an object was deleted before it was read", &[("object", &object.key)]);
                        self.leave();
                        continue;
                    }
                    Err(error) => return Err(unreadable(&object.key, error)),
                },
            };
            let Some(found) = open.next()? else {
                self.leave();
                if clock::monotonic() > limits.until {
                    return Ok(());
                }
                continue;
            };
            looked += found.bytes.len();
            // After an error or a restart, up to where it was.
            if found.number <= self.place.messages {
                continue;
            }
            self.place.messages = found.number;
            if let Some(Selected { message, attributes }) = self.selection.select(&found, object) {
                let labels: Vec<_> = message.labels().collect();
                let attrs = attributes.to_json();
                let event =
                    SourceEvent { labels: &labels, attrs: &attrs, time: message.time, ..SourceEvent::default() };
                out.push(self.ticket, &event, &message.payload);
            }
        }
        Ok(())
    }

    /// The current object is done.
    fn leave(&mut self) {
        self.open = None;
        if let Some(object) = self.current.take() {
            self.place.leave(object.key);
        }
    }
}

/// An object that cannot be read, now or ever.
fn unreadable(key: &str, error: CapabilityError) -> Failure {
    match Failure::from(error) {
        Failure::Retry { reason, after } => Failure::Retry { reason: format!("object {key}: {reason}"), after },
        Failure::Reject(reason) | Failure::Fatal(reason) => Failure::Fatal(format!(
            "object {key} cannot be read: {reason}; move it away and start again, the replay goes on where it was"
        )),
    }
}

rayline_sdk::export_source!(ArchiveSource);

#[cfg(test)]
mod tests;
