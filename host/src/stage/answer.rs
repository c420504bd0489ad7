//! What calls of a stage answer, in the host's own types.

use std::time::Duration;

use bytes::Bytes;

use super::batch::{self, BadBatch, Output, check_origin};
use super::bindings::{processor, reader, types, writer};
use crate::event::Event;

/// Why a whole call failed, in the guest's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// For the time being: call again with the same events.
    Retry(Later),
    /// For good, because of these events.
    Reject(String),
    /// For good, whatever the events.
    Fatal(String),
}

/// Try again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// What went wrong.
    pub reason: String,
    /// How long to wait, if the guest knows better than the host's backoff.
    pub after: Option<Duration>,
}

/// What one `read` returned.
#[derive(Clone, Debug)]
pub enum Reading {
    /// Events, or a checkpoint without any.
    Events(SourceEvents),
    /// Nothing for now: call again after this time, or sooner to settle.
    Idle(Duration),
    /// Nothing more, ever. Settlements still follow.
    Finished,
}

/// Events and what settles them.
#[derive(Clone, Debug)]
pub struct SourceEvents {
    /// Each one's `origin` is an index into `tickets`.
    pub events: Vec<Output>,
    /// The source's own numbers for what must be settled.
    pub tickets: Vec<u64>,
    /// Where to go on after a restart, once these tickets and all before are settled as done.
    pub checkpoint: Option<String>,
    /// How far the source is, if it knows.
    pub progress: Option<Progress>,
}

/// How far a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Units read so far.
    pub done: u64,
    /// Units there are in all, if known.
    pub total: Option<u64>,
    /// What is counted, in the plural.
    pub unit: String,
}

/// What became of one ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// As the source handed it out.
    pub ticket: u64,
    /// Every sink or the dead letter has every event that came of it; otherwise it must come again.
    pub done: bool,
}

/// What one `process` returned.
#[derive(Clone, Debug, Default)]
pub struct Processed {
    /// Each one's `origin` is the index of an input.
    pub outputs: Vec<Output>,
    /// Inputs, or parts of them, that cannot be processed.
    pub rejections: Vec<Rejection>,
}

/// An input, or a part of it, that cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Index of the input.
    pub origin: u32,
    /// What was found, and where.
    pub reason: String,
    /// The part; absent: the input as a whole.
    pub part: Option<Bytes>,
}

/// An event that a sink did not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Index of the event in the batch.
    pub entry: u32,
    /// What to do with it.
    pub verdict: Verdict,
}

/// What to do with an event that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Give it again.
    Retry(Later),
    /// It can never be written.
    Reject(String),
}

/// A longer reason is cut: it goes into the log, onto `/health` and into the dead letter, once for each event.
const REASON_BYTES: usize = 4 << 10;

/// A guest's words as one line of limited length.
pub(super) fn line(text: &str) -> String {
    let cut = text.get(..text.floor_char_boundary(REASON_BYTES)).unwrap_or(text);
    cut.replace(char::is_control, " ")
}

/// Takes over what `read` returned.
pub(super) fn reading(reading: reader::Reading) -> Result<Reading, BadBatch> {
    Ok(match reading {
        reader::Reading::Idle(wait) => Reading::Idle(Duration::from_millis(wait.into())),
        reader::Reading::Finished => Reading::Finished,
        reader::Reading::Events(events) => Reading::Events(SourceEvents {
            events: batch::from_source(events.batch, events.tickets.len())?,
            tickets: events.tickets,
            checkpoint: events.checkpoint,
            progress: events.progress.map(|progress| Progress {
                done: progress.done,
                total: progress.total,
                unit: progress.unit,
            }),
        }),
    })
}

/// Takes over what `process` returned for these inputs.
pub(super) fn processed(processed: processor::Processed, inputs: &[impl AsRef<Event>]) -> Result<Processed, BadBatch> {
    let outputs = batch::from_transform(processed.events, inputs)?;
    let mut rejections = Vec::with_capacity(processed.rejected.len());
    for (index, rejection) in processed.rejected.into_iter().enumerate() {
        check_origin("rejection", index, rejection.origin, inputs.len())?;
        let processor::Rejection { origin, reason, part } = rejection;
        rejections.push(Rejection { origin, reason: line(&reason), part: part.map(Bytes::from) });
    }
    Ok(Processed { outputs, rejections })
}

/// Takes over what `write` returned for so many events.
pub(super) fn exceptions(exceptions: Vec<writer::Exception>, events: usize) -> Result<Vec<Exception>, BadBatch> {
    let mut converted = Vec::with_capacity(exceptions.len());
    for (index, exception) in exceptions.into_iter().enumerate() {
        check_origin("exception", index, exception.entry, events)?;
        let verdict = match exception.verdict {
            writer::Verdict::Retry(later) => Verdict::Retry(later.into()),
            writer::Verdict::Reject(reason) => Verdict::Reject(line(&reason)),
        };
        converted.push(Exception { entry: exception.entry, verdict });
    }
    Ok(converted)
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Failure {
        match failure {
            types::Failure::Retry(later) => Failure::Retry(later.into()),
            types::Failure::Reject(reason) => Failure::Reject(line(&reason)),
            types::Failure::Fatal(reason) => Failure::Fatal(line(&reason)),
        }
    }
}

impl From<types::Later> for Later {
    fn from(later: types::Later) -> Later {
        Later { reason: line(&later.reason), after: later.after_ms.map(|ms| Duration::from_millis(ms.into())) }
    }
}

impl From<Settlement> for reader::Settlement {
    fn from(settlement: Settlement) -> reader::Settlement {
        let outcome = if settlement.done { reader::Outcome::Done } else { reader::Outcome::Released };
        reader::Settlement { ticket: settlement.ticket, outcome }
    }
}
