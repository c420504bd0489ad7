//! Sources.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::reader;
use crate::failure::millis;
use crate::flat::{Flat, Head};
use crate::{Binding, Context, Ends, Failure};

/// A stage that reads events from somewhere. Exported with [`export_source!`](crate::export_source).
pub trait Source: Sized + 'static {
    /// What the pipeline file says under `options`. The doc comments become the schema that users see.
    type Options: DeserializeOwned + JsonSchema + 'static;

    /// What the stage does, in one line.
    const SUMMARY: &'static str;

    /// Whether the source finishes by itself.
    const ENDS: Ends;

    /// What the stage wants to reach.
    fn bindings() -> Vec<Binding> {
        Vec::new()
    }

    /// Starts an instance, where `context.checkpoint` says.
    fn open(options: Self::Options, context: &Context) -> Result<Self, Failure>;

    /// Reads on: pushes at most about `max_bytes` of bodies (a single larger event is allowed), and waits at most about
    /// `max_wait` for the first one.
    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure>;

    /// What became of tickets that earlier readings handed out. Each is settled once, in any order.
    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure>;

    /// The end of an orderly shutdown.
    fn close(&mut self) {}
}

/// How a reading ended. Where something was pushed, the host takes that first and reads again at once, whatever this
/// says: what is idle or finished must say so again then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// There may be more at once.
    Events,
    /// Nothing for now: call again after this long, or sooner to settle.
    Idle(Duration),
    /// Nothing more, ever. Settlements still follow.
    Finished,
}

/// What became of one ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The source's own number.
    pub ticket: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every sink has every event that came of it, or the dead letter has it.
    Done,
    /// Shutdown or restart: it must come again.
    Released,
}

/// An event that a source has found, without its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct SourceEvent<'a> {
    /// Its labels, with distinct keys. Keep the number of different sets small: the host groups and counts by them.
    pub labels: &'a [(&'a str, &'a str)],
    /// A small JSON object, or nothing: `message_id`, `sent_at`, `received_at` (RFC 3339), `receive_count`,
    /// `sender_id`, `sender_account`, `unresolved`, `object`.
    pub attrs: &'a str,
    /// Stays the same however often the event comes. Empty: the host takes the SHA-256 of the body.
    pub id: &'a str,
    /// Its own time, in nanoseconds since 1970-01-01T00:00:00Z. 0: unknown.
    pub time: u64,
    /// A later state of the same id has a higher version.
    pub version: u64,
}

/// What a source has read.
pub struct SourceOutput {
    flat: Flat,
    tickets: Vec<u64>,
    highest: u64,
    checkpoint: Option<String>,
    progress: Option<reader::Progress>,
}

impl SourceOutput {
    /// Adds an event. `ticket` is the source's own number for what must be settled: several events of one reading may
    /// share it, and it is not used again in the life of the instance.
    pub fn push(&mut self, ticket: u64, event: &SourceEvent<'_>, body: &[u8]) {
        self.body().extend_from_slice(body);
        self.finish(ticket, event);
    }

    /// Begins a body: append it to what is there, then call [`SourceOutput::finish`]. Nothing is copied again. The bytes
    /// that are there belong to earlier events. A body that was begun and not finished is dropped by the next one.
    pub fn body(&mut self) -> &mut Vec<u8> {
        self.flat.body()
    }

    /// Adds the event whose body has been written to [`SourceOutput::body`].
    pub fn finish(&mut self, ticket: u64, event: &SourceEvent<'_>) {
        let origin = self.ticket(ticket);
        let set = self.flat.label_set(event.labels.iter().copied());
        let SourceEvent { attrs, id, time, version, .. } = *event;
        self.flat.finish(set, &Head { origin, attrs, id, time, version });
    }

    /// Hands out a ticket without any event: it is settled at once.
    pub fn empty(&mut self, ticket: u64) {
        self.ticket(ticket);
    }

    /// Where to go on after a restart: saved when all that was handed out up to now is settled as done.
    pub fn checkpoint(&mut self, checkpoint: impl Into<String>) {
        self.checkpoint = Some(checkpoint.into());
    }

    /// How far the source is: `unit` is what is counted, in the plural.
    pub fn progress(&mut self, done: u64, total: Option<u64>, unit: &str) {
        self.progress = Some(reader::Progress { done, total, unit: unit.to_owned() });
    }

    /// How many events have been pushed.
    pub fn len(&self) -> usize {
        self.flat.len()
    }

    /// Whether no event has been pushed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of bodies have been pushed.
    pub fn body_bytes(&self) -> usize {
        self.flat.body_bytes()
    }

    fn new(body_bytes: usize) -> SourceOutput {
        SourceOutput {
            flat: Flat::with_capacity(0, body_bytes),
            tickets: Vec::new(),
            highest: 0,
            checkpoint: None,
            progress: None,
        }
    }

    /// The place of a ticket. Most are higher than all before or the last one: only others cost a search.
    fn ticket(&mut self, ticket: u64) -> u32 {
        let new = self.tickets.is_empty() || ticket > self.highest;
        let known = if new { None } else { self.tickets.iter().rposition(|known| *known == ticket) };
        let place = known.unwrap_or_else(|| {
            self.highest = self.highest.max(ticket);
            self.tickets.push(ticket);
            self.tickets.len() - 1
        });
        place as u32
    }

    fn into_reading(self, reading: Reading) -> Result<reader::Reading, Failure> {
        let nothing = self.tickets.is_empty() && self.checkpoint.is_none() && self.progress.is_none();
        match reading {
            Reading::Idle(wait) if nothing => return Ok(reader::Reading::Idle(millis(wait))),
            Reading::Finished if nothing => return Ok(reader::Reading::Finished),
            _ => {}
        }
        Ok(reader::Reading::Events(reader::Events {
            batch: self.flat.into_batch().map_err(Failure::fatal)?,
            tickets: self.tickets,
            checkpoint: self.checkpoint,
            progress: self.progress,
        }))
    }
}

/// A stage and what it has learnt for speed only.
pub struct Running<T> {
    pub stage: T,
    /// How many bytes the largest reading had so far.
    largest: usize,
}

impl<T: Source> Running<T> {
    pub fn new(stage: T) -> Running<T> {
        Running { stage, largest: 0 }
    }

    pub fn read(&mut self, max_bytes: u32, max_wait_ms: u32) -> Result<reader::Reading, Failure> {
        let mut out = SourceOutput::new(self.largest.min(max_bytes as usize));
        let reading = self.stage.read(max_bytes as usize, Duration::from_millis(max_wait_ms.into()), &mut out)?;
        self.largest = self.largest.max(out.body_bytes());
        out.into_reading(reading)
    }
}

impl From<reader::Settlement> for Settlement {
    fn from(settlement: reader::Settlement) -> Settlement {
        let outcome = match settlement.outcome {
            reader::Outcome::Done => Outcome::Done,
            reader::Outcome::Released => Outcome::Released,
        };
        Settlement { ticket: settlement.ticket, outcome }
    }
}
