//! Transforms.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::processor::{Processed, Rejection};
use crate::event::LabelSets;
use crate::flat::{Flat, Head};
use crate::{Batch, Binding, Context, Event, Failure};

/// A stage that turns events into other events. Exported with [`export_transform!`](crate::export_transform).
///
/// It keeps nothing from one batch to the next that the result depends on: an instance may be replaced between any two
/// calls, and several may run at once.
pub trait Transform: Sized + 'static {
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

    /// Turns one event into none, one or several. An event that got neither an output nor a rejection counts as
    /// filtered.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] sends this event to the dead letter and takes back what was pushed for it; the rest of the
    /// batch goes on. The other two are about the whole batch.
    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure>;

    /// The end of an orderly shutdown.
    fn close(&mut self) {}
}

/// What a transform makes of a batch.
pub struct Output {
    flat: Flat,
    rejected: Vec<Rejection>,
    origin: u32,
    input: InputLabels,
}

/// The labels of the event being processed.
struct InputLabels {
    sets: Rc<LabelSets>,
    set: usize,
    /// For each set of the input, the one of the output that has the same labels, once there is one.
    same: Vec<Option<u32>>,
}

/// An event to be, without its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewEvent<'a> {
    /// Its labels. The default are those of the event it is made from.
    pub labels: NewLabels<'a>,
    /// Stays the same however often the input comes. Empty: the host takes the SHA-256 of the body.
    pub id: &'a str,
    /// Its own time, in nanoseconds since 1970-01-01T00:00:00Z. 0: unknown.
    pub time: u64,
    /// A later state of the same id has a higher version.
    pub version: u64,
}

/// The labels of an event to be. Keep the number of different sets small: the host groups and counts by them.
#[derive(Debug, Clone, Copy, Default)]
pub enum NewLabels<'a> {
    /// Those of the event it is made from.
    #[default]
    Same,
    /// Those of the event it is made from, with these added or replaced.
    With(&'a [(&'a str, &'a str)]),
    /// These and no others.
    Only(&'a [(&'a str, &'a str)]),
}

impl<'a> NewEvent<'a> {
    /// The same id, time, version and labels.
    pub fn like(event: &Event<'a>) -> NewEvent<'a> {
        NewEvent { labels: NewLabels::Same, id: event.id, time: event.time, version: event.version }
    }
}

impl Output {
    /// Adds an event.
    pub fn push(&mut self, event: &NewEvent<'_>, body: &[u8]) {
        self.body().extend_from_slice(body);
        self.finish(event);
    }

    /// Adds the event as it is.
    pub fn keep(&mut self, event: &Event<'_>) {
        self.push(&NewEvent::like(event), event.body);
    }

    /// Begins a body: append it to what is there, then call [`Output::finish`]. Nothing is copied again. The bytes that
    /// are there belong to earlier events. A body that was begun and not finished is dropped by the next one.
    pub fn body(&mut self) -> &mut Vec<u8> {
        self.flat.body()
    }

    /// Adds the event whose body has been written to [`Output::body`].
    pub fn finish(&mut self, event: &NewEvent<'_>) {
        let set = match event.labels {
            NewLabels::Same => self.input.same_set(&mut self.flat),
            NewLabels::With(labels) => self.flat.label_set(self.input.with(labels)),
            NewLabels::Only(labels) => self.flat.label_set(labels.iter().copied()),
        };
        let head = Head { origin: self.origin, attrs: "", id: event.id, time: event.time, version: event.version };
        self.flat.finish(set, &head);
    }

    /// Sends the event being processed to the dead letter, or the part of it that cannot be processed: say what was
    /// found, and where. Outputs of the same event stay.
    pub fn reject(&mut self, reason: impl Into<String>, part: Option<&[u8]>) {
        let part = part.map(<[u8]>::to_vec);
        self.rejected.push(Rejection { origin: self.origin, reason: reason.into(), part });
    }

    fn new(batch: &Batch, body_bytes: usize) -> Output {
        Output {
            flat: Flat::with_capacity(batch.len(), body_bytes),
            rejected: Vec::new(),
            origin: 0,
            input: InputLabels {
                sets: Rc::clone(batch.label_sets()),
                set: 0,
                same: vec![None; batch.label_sets().len()],
            },
        }
    }

    fn begin(&mut self, event: &Event<'_>) {
        self.origin = event.index;
        self.input.set = event.label_set as usize;
    }
}

impl InputLabels {
    fn same_set(&mut self, flat: &mut Flat) -> u32 {
        let labels = self.sets.get(self.set).map_or(&[][..], Vec::as_slice);
        let labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        match self.same.get_mut(self.set) {
            Some(known) => *known.get_or_insert_with(|| flat.label_set(labels)),
            None => flat.label_set(labels),
        }
    }

    fn with<'a>(&'a self, new: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let labels = self.sets.get(self.set).map_or(&[][..], Vec::as_slice);
        let replaced = |key: &str| new.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let old = labels.iter().map(move |(key, value)| (key.as_str(), replaced(key).unwrap_or(value)));
        let added = new.iter().copied().filter(|(key, _)| !labels.iter().any(|(name, _)| name == key));
        old.chain(added)
    }
}

/// A stage and what it has learnt for speed only.
pub struct Running<T> {
    pub stage: T,
    /// How many bytes the largest output had so far: the next one gets as much room at once, so that it is not copied
    /// while it grows.
    largest: usize,
}

impl<T: Transform> Running<T> {
    pub fn new(stage: T) -> Running<T> {
        Running { stage, largest: 0 }
    }

    pub fn process(&mut self, batch: &Batch) -> Result<Processed, Failure> {
        let mut out = Output::new(batch, self.largest);
        for event in batch {
            out.begin(&event);
            let (mark, rejected) = (out.flat.mark(), out.rejected.len());
            match self.stage.process(&event, &mut out) {
                Ok(()) => {}
                Err(Failure::Reject(reason)) => {
                    out.flat.rewind(mark);
                    out.rejected.truncate(rejected);
                    out.reject(reason, None);
                }
                Err(failure) => return Err(failure),
            }
        }
        self.largest = self.largest.max(out.flat.body_bytes());
        let events = out.flat.into_batch().map_err(Failure::fatal)?;
        Ok(Processed { events, rejected: out.rejected })
    }
}
