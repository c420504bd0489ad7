//! Opens a stage and calls it as the host would.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bindings::reader;
use crate::bindings::types;
use crate::bindings::writer;
use crate::flat::{Flat, Head};
use crate::{
    Batch, Context, Failure, Settlement, Sink, Source, Transform, context, describe, sink, source, transform as kind,
};

/// An event to give to a stage.
#[derive(Debug, Clone, Default)]
pub struct Input {
    labels: Vec<(String, String)>,
    attrs: String,
    id: String,
    time: u64,
    version: u64,
    body: Vec<u8>,
}

impl Input {
    /// An event with this body and nothing else.
    pub fn body(body: impl Into<Vec<u8>>) -> Input {
        Input { body: body.into(), ..Input::default() }
    }

    /// With this label too.
    pub fn label(mut self, key: &str, value: &str) -> Input {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With these attributes, a JSON object.
    pub fn attrs(mut self, attrs: &str) -> Input {
        self.attrs = attrs.to_owned();
        self
    }

    /// With this id.
    pub fn id(mut self, id: &str) -> Input {
        self.id = id.to_owned();
        self
    }

    /// With this time, in nanoseconds since 1970-01-01T00:00:00Z, and this version.
    pub fn at(mut self, time: u64, version: u64) -> Input {
        (self.time, self.version) = (time, version);
        self
    }
}

/// An event as it came out of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// A transform's: index of the input. A source's: the ticket.
    pub origin: u64,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its attributes, which only a source sets.
    pub attrs: String,
    /// Its id.
    pub id: String,
    /// Its time.
    pub time: u64,
    /// Its version.
    pub version: u64,
    /// Its body; what is not UTF-8 is replaced.
    pub body: String,
}

/// What a transform made of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transformed {
    /// The events.
    pub events: Vec<Seen>,
    /// The rejections.
    pub rejected: Vec<Rejected>,
}

/// An input, or a part of it, that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Index of the input.
    pub origin: u32,
    /// Why.
    pub reason: String,
    /// The part; `None`: the input as a whole.
    pub part: Option<Vec<u8>>,
}

/// What a source read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Events, tickets and checkpoint.
    Events {
        /// The events; `origin` is the ticket.
        events: Vec<Seen>,
        /// The tickets handed out.
        tickets: Vec<u64>,
        /// The checkpoint.
        checkpoint: Option<String>,
    },
    /// Nothing for this many milliseconds.
    Idle(u32),
    /// Nothing more.
    Finished,
}

/// An event that a sink did not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Index of the event.
    pub event: u32,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// What becomes of an event that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It comes again, after so many milliseconds if the sink says.
    Retry(Option<u32>),
    /// It goes to the dead letter.
    Reject,
}

/// A transform that is open.
pub struct OpenTransform<T> {
    running: kind::Running<T>,
}

/// A source that is open.
pub struct OpenSource<T> {
    running: source::Running<T>,
}

/// A sink that is open.
pub struct OpenSink<T> {
    stage: T,
}

/// Opens a transform with `options`, a JSON object, and gives it one batch.
pub fn transform<T: Transform>(options: &str, inputs: &[Input]) -> Result<Transformed, Failure> {
    open_transform::<T>(options)?.process(inputs)
}

/// Opens a transform with `options`, a JSON object.
pub fn open_transform<T: Transform>(options: &str) -> Result<OpenTransform<T>, Failure> {
    let (options, context) = opening(options, None)?;
    Ok(OpenTransform { running: kind::Running::new(T::open(options, &context)?) })
}

/// Opens a source with `options`, a JSON object, and the last saved checkpoint.
pub fn open_source<T: Source>(options: &str, checkpoint: Option<&str>) -> Result<OpenSource<T>, Failure> {
    let (options, context) = opening(options, checkpoint)?;
    Ok(OpenSource { running: source::Running::new(T::open(options, &context)?) })
}

/// Opens a sink with `options`, a JSON object.
pub fn open_sink<T: Sink>(options: &str) -> Result<OpenSink<T>, Failure> {
    let (options, context) = opening(options, None)?;
    Ok(OpenSink { stage: T::open(options, &context)? })
}

/// What a transform says of itself.
pub fn describe_transform<T: Transform>() -> Value {
    describe::transform::<T>()
}

/// What a source says of itself.
pub fn describe_source<T: Source>() -> Value {
    describe::source::<T>()
}

/// What a sink says of itself.
pub fn describe_sink<T: Sink>() -> Value {
    describe::sink::<T>()
}

impl<T: Transform> OpenTransform<T> {
    /// Gives it one batch.
    pub fn process(&mut self, inputs: &[Input]) -> Result<Transformed, Failure> {
        let processed = self.running.process(&batch(inputs)?)?;
        let rejected = processed.rejected.into_iter();
        Ok(Transformed {
            events: seen(processed.events, u64::from)?,
            rejected: rejected.map(|it| Rejected { origin: it.origin, reason: it.reason, part: it.part }).collect(),
        })
    }
}

impl<T: Source> OpenSource<T> {
    /// Reads at most about so many bytes, without waiting.
    pub fn read(&mut self, max_bytes: u32) -> Result<Read, Failure> {
        Ok(match self.running.read(max_bytes, 0)? {
            reader::Reading::Idle(wait_ms) => Read::Idle(wait_ms),
            reader::Reading::Finished => Read::Finished,
            reader::Reading::Events(reader::Events { batch, tickets, checkpoint, progress: _ }) => Read::Events {
                events: seen(batch, |origin| tickets.get(origin as usize).copied().unwrap_or(u64::MAX))?,
                tickets,
                checkpoint,
            },
        })
    }

    /// Tells it what became of its tickets.
    pub fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        self.running.stage.settle(settlements)
    }

    /// Ends it.
    pub fn close(mut self) {
        self.running.stage.close();
    }
}

impl<T: Sink> OpenSink<T> {
    /// Gives it one batch; returns what was not written.
    pub fn write(&mut self, inputs: &[Input]) -> Result<Vec<Written>, Failure> {
        let exceptions = sink::write(&mut self.stage, &batch(inputs)?)?;
        let written = exceptions.into_iter().map(|exception| {
            let (verdict, reason) = match exception.verdict {
                writer::Verdict::Retry(later) => (Verdict::Retry(later.after_ms), later.reason),
                writer::Verdict::Reject(reason) => (Verdict::Reject, reason),
            };
            Written { event: exception.entry, verdict, reason }
        });
        Ok(written.collect())
    }

    /// Ends it.
    pub fn close(mut self) {
        self.stage.close();
    }
}

fn opening<O: DeserializeOwned>(options: &str, checkpoint: Option<&str>) -> Result<(O, Context), Failure> {
    let checkpoint = json!(checkpoint);
    context::parse(&format!(
        r#"{{"stage":"test","instance":0,"instances":1,"checkpoint":{checkpoint},"seed":1,"options":{options}}}"#
    ))
}

fn batch(inputs: &[Input]) -> Result<Batch, Failure> {
    let mut flat = Flat::with_capacity(inputs.len(), 0);
    for (origin, input) in (0..).zip(inputs) {
        flat.body().extend_from_slice(&input.body);
        let set = flat.label_set(input.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let Input { attrs, id, time, version, .. } = input;
        flat.finish(set, &Head { origin, attrs, id, time: *time, version: *version });
    }
    Batch::new(flat.into_batch().map_err(Failure::fatal)?).map_err(Failure::fatal)
}

fn seen(batch: types::Batch, origin: impl Fn(u32) -> u64) -> Result<Vec<Seen>, Failure> {
    let origins: Vec<u64> = batch.entries.iter().map(|entry| origin(entry.origin)).collect();
    let batch = Batch::new(batch).map_err(Failure::fatal)?;
    let seen = batch.iter().zip(origins).map(|(event, origin)| Seen {
        origin,
        labels: event.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        attrs: event.attrs.to_owned(),
        id: event.id.to_owned(),
        time: event.time,
        version: event.version,
        body: String::from_utf8_lossy(event.body).into_owned(),
    });
    Ok(seen.collect())
}
