//! The pipeline file: TOML to [`Pipeline`], with every error and its place.
//!
//! **`parse` does no I/O.** It takes the text and the environment, and returns what it could read and every diagnostic.
//! `check` loads the components and adds what they say to the same list.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A pipeline as its file declares it. Every relative path in the file is relative to the file's folder; the paths
/// here are resolved.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file's name without `.toml`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Checkpoints, embedded queues, compile cache, dead letters. One host at a time.
    pub data_dir: PathBuf,
    /// Where rejected events go.
    pub dead_letter: DeadLetter,
    /// Bytes of events that may be between their source and their settlement.
    pub in_flight_bytes: u64,
    /// Where `/health` and `/metrics` listen, if anywhere.
    pub api_address: Option<SocketAddr>,
    /// In the order of the file: sources, transforms, sinks. `inputs` name stages of the same list.
    pub stages: Vec<Stage>,
}

/// The `dead_letter` table.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// An `objects` grant. Default: `file:` and the folder `dead-letter/NAME` of `data_dir`.
    pub location: serde_json::Value,
    /// Over this share of bad events in the window, the breaker pauses the stage. Default 0.5.
    pub max_ratio: f64,
    /// How often a paused stage tries one event. Default 60 s.
    pub probe: Duration,
}

/// Which of the three worlds a stage targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads events from somewhere.
    Source,
    /// Turns events into other events.
    Transform,
    /// Writes events somewhere.
    Sink,
}

impl Kind {
    /// `source`, `transform`, `sink`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Transform => "transform",
            Kind::Sink => "sink",
        }
    }
}

/// One `[sources.NAME]`, `[transforms.NAME]` or `[sinks.NAME]`.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Unique in the pipeline.
    pub name: String,
    /// By the table it stands in.
    pub kind: Kind,
    /// Which component.
    pub plugin: PluginRef,
    /// Names of the stages it reads.
    pub inputs: Vec<String>,
    /// Binding name to what it is bound to, as the file has it, `${…}` replaced.
    pub grants: BTreeMap<String, serde_json::Value>,
    /// The plugin's own options, `${…}` replaced. An object.
    pub options: serde_json::Value,
    /// How many instances run at once.
    pub instances: Instances,
    /// How events are merged before a call.
    pub batch: Batch,
    /// How failed calls are repeated.
    pub retry: Retry,
    /// What one call may use.
    pub limits: Limits,
}

/// The `plugin` key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginRef {
    /// Shipped with the host, by name.
    Shipped(String),
    /// A file.
    File(PathBuf),
}

/// `instances = N` or `{ min, max }`.
#[derive(Clone, Copy, Debug)]
pub struct Instances {
    /// Kept running.
    pub min: u32,
    /// At most.
    pub max: u32,
}

/// The `batch` table.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Bodies, ids and attributes. Default 1 MiB.
    pub max_bytes: usize,
    /// Default 1,000.
    pub max_events: usize,
    /// How long the oldest event waits for others. Default: 0 for transforms, 1 s for sinks.
    pub timeout: Duration,
    /// Labels whose values must be the same throughout a batch.
    pub group_by: Vec<String>,
}

/// The `retry` table: exponential backoff with jitter.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Default 1 s.
    pub initial: Duration,
    /// Default 60 s.
    pub max: Duration,
    /// After so many attempts the event goes to the dead letter. Default: never.
    pub max_attempts: Option<u32>,
}

/// The `limits` table of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Linear memory of one instance. Default 512 MiB.
    pub memory_bytes: usize,
    /// The guest's own time in one call; time in host calls does not count. Default 30 s.
    pub call: Duration,
}
