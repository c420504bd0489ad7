//! The types of a checked pipeline.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::grants::{Grant, ObjectsGrant};

/// A pipeline as its file declares it and its components accept it. Every relative path in the file is relative to the
/// file's folder; the paths here are resolved.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file's name without `.toml`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Checkpoints, compile cache, dead letters. One host at a time. Default: `rayline-data` beside the file.
    pub data_dir: PathBuf,
    /// Where rejected events go.
    pub dead_letter: DeadLetter,
    /// Bytes of events that may be between their source and their settlement. Default 64 MiB.
    pub in_flight_bytes: u64,
    /// Where `/health` and `/metrics` listen, if anywhere.
    pub api_address: Option<SocketAddr>,
    /// Sources, transforms, sinks; each kind in the order of the file. `inputs` name stages of the same list.
    pub stages: Vec<Stage>,
}

/// The `dead_letter` table.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Default: the folder `dead-letter/NAME` of `data_dir`.
    pub location: ObjectsGrant,
    /// Over this share of bad events in the window, the breaker pauses the stage. 0 to 1. Default 0.5.
    pub max_ratio: f64,
    /// How often a paused stage tries one event. Default 60 s.
    pub probe: Duration,
}

/// Which of the three worlds a stage targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Names of the stages it reads. None for a source.
    pub inputs: Vec<String>,
    /// Binding name to what it is bound to.
    pub grants: BTreeMap<String, Grant>,
    /// The plugin's own options, `${…}` replaced, valid against the plugin's schema. An object.
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginRef {
    /// Shipped with the host, by name.
    Shipped(String),
    /// A file.
    File(PathBuf),
}

/// `instances = N` or `{ min, max }`. Default: one.
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
