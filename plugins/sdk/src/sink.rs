//! Sinks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::writer::{Exception, Verdict};
use crate::failure::later;
use crate::{Batch, Binding, Context, Event, Failure};

/// A stage that writes events somewhere. Exported with [`export_sink!`](crate::export_sink).
pub trait Sink: Sized + 'static {
    /// What the pipeline file says under `options`. The doc comments become the schema that users see.
    type Options: DeserializeOwned + JsonSchema + 'static;

    /// What the stage does, in one line.
    const SUMMARY: &'static str;

    /// What the stage wants to reach.
    fn bindings() -> Vec<Binding> {
        Vec::new()
    }

    /// Starts an instance.
    fn open(options: Self::Options, context: &Context) -> Result<Self, Failure>;

    /// Writes the events. What is written must be safe when this returns; each event that was not goes to `out`.
    ///
    /// # Errors
    ///
    /// About the whole batch: nothing of it counts as written.
    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure>;

    /// The end of an orderly shutdown.
    fn close(&mut self) {}
}

/// The events of a batch that were not written.
#[derive(Default)]
pub struct Exceptions {
    list: Vec<Exception>,
}

impl Exceptions {
    /// Asks for the event again, after a while or (`None`) when the host thinks fit.
    pub fn retry(&mut self, event: &Event<'_>, reason: impl Into<String>, after: Option<Duration>) {
        self.push(event, Verdict::Retry(later(reason.into(), after)));
    }

    /// Sends the event to the dead letter: it can never be written.
    pub fn reject(&mut self, event: &Event<'_>, reason: impl Into<String>) {
        self.push(event, Verdict::Reject(reason.into()));
    }

    fn push(&mut self, event: &Event<'_>, verdict: Verdict) {
        self.list.push(Exception { entry: event.index, verdict });
    }
}

pub(crate) fn write<T: Sink>(stage: &mut T, batch: &Batch) -> Result<Vec<Exception>, Failure> {
    let mut out = Exceptions::default();
    stage.write(batch, &mut out)?;
    Ok(out.list)
}
