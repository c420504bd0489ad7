//! What surrounds a pipeline file in these tests: environment, files, plugins that only say what they are, and what those
//! that are shipped say of themselves.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayline::engine::Engine;
use rayline::pipeline::{Binding, Capability, Kind, PluginFacts, PluginProblem, PluginRef};
use rayline::plugin::Plugin;
use schemars::JsonSchema;

use crate::harness::target;

/// Changed by a test as a message tells it to.
pub struct World {
    pub env: BTreeMap<String, String>,
    pub files: BTreeMap<PathBuf, String>,
    pub plugins: BTreeMap<PluginRef, Result<PluginFacts, PluginProblem>>,
}

/// Options in every form that a plugin's author is likely to use.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only their schema is used")]
struct Options {
    /// How lines are written.
    #[serde(default)]
    format: Format,
    /// Messages a second.
    #[schemars(range(min = 1, max = 1000))]
    rate: Option<u32>,
    /// Whether to read on at the end.
    #[serde(default)]
    follow: bool,
    /// Names of fields to take out.
    #[serde(default)]
    fields: Vec<String>,
    /// A date.
    #[schemars(regex(pattern = r"^\d{4}-\d\d-\d\d$"), example = "2026-01-31")]
    from: Option<String>,
    /// A share of the events.
    #[schemars(range(max = 1.0))]
    share: Option<f64>,
    /// How objects are cut.
    rotate: Option<Rotate>,
    /// Anything.
    #[serde(default)]
    labels: BTreeMap<String, u32>,
}

#[derive(JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only their schema is used")]
enum Format {
    /// The body alone.
    #[default]
    Body,
    /// The event with all that belongs to it.
    Event,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only their schema is used")]
struct Rotate {
    /// Bytes of an object.
    max_bytes: u64,
    /// How it is compressed.
    #[serde(default)]
    compression: Compression,
}

#[derive(JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only their schema is used")]
enum Compression {
    #[default]
    None,
    Zstd,
}

/// Options of which one must be given.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only their schema is used")]
struct Redact {
    /// The field to take out.
    #[schemars(example = "user.email")]
    field: String,
}

impl World {
    pub fn new() -> World {
        let env = [
            ("QUEUE", "file:inbox.queue"),
            ("EVENTS", "500"),
            ("FOLLOW", "true"),
            ("EMPTY", ""),
            ("SECRET", "hunter2"),
        ];
        // Its options have every form.
        let mut file_sink = shipped("file-sink");
        file_sink.options_schema = Some(schemars::schema_for!(Options).to_value());
        let shipped = [
            ("queue-source", shipped("queue-source")),
            ("flatten", shipped("flatten")),
            ("file-sink", file_sink),
            ("print-sink", shipped("print-sink")),
            (
                "copy-sink",
                facts(Kind::Sink, None, &[("queue", Capability::Queue, true), ("archive", Capability::Objects, false)]),
            ),
        ];
        let redact = facts(Kind::Transform, Some(schemars::schema_for!(Redact)), &[]);
        let mut plugins: BTreeMap<PluginRef, Result<PluginFacts, PluginProblem>> =
            shipped.into_iter().map(|(name, facts)| (PluginRef::Shipped(name.to_owned()), Ok(facts))).collect();
        plugins.insert(file("redact.wasm"), Ok(redact));
        let search = facts(Kind::Sink, None, &[("http", Capability::Http, true)]);
        plugins.insert(file("search.wasm"), Ok(search));
        let traces = facts(Kind::Source, None, &[("xray", Capability::Xray, true)]);
        plugins.insert(file("traces.wasm"), Ok(traces));
        World {
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            files: [("queue", "file:secret.queue\n"), ("password", "hunter2\n")]
                .map(|(name, text)| (Path::new("/run/secrets").join(name), text.to_owned()))
                .into(),
            plugins,
        }
    }

    pub fn file(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    pub fn plugin(&self, plugin: &PluginRef) -> Result<PluginFacts, PluginProblem> {
        let missing = || match plugin {
            PluginRef::File(_) => PluginProblem::Missing,
            PluginRef::Shipped(_) => PluginProblem::NotShipped { shipped: self.shipped() },
        };
        self.plugins.get(plugin).cloned().unwrap_or_else(|| Err(missing()))
    }

    fn shipped(&self) -> Vec<String> {
        let name = |plugin: &PluginRef| match plugin {
            PluginRef::Shipped(name) => Some(name.clone()),
            PluginRef::File(_) => None,
        };
        self.plugins.keys().filter_map(name).collect()
    }
}

/// What a shipped plugin says of itself.
fn shipped(name: &str) -> PluginFacts {
    static SHIPPED: OnceLock<BTreeMap<&str, PluginFacts>> = OnceLock::new();
    let load = || {
        let engine = Engine::new(Some(&target().join("test-cache"))).expect("an engine");
        let facts = |name: &&'static str| {
            let plugin = Plugin::load(&engine, &PluginRef::Shipped((*name).to_owned())).expect("a shipped plugin");
            (*name, plugin.facts().clone())
        };
        ["queue-source", "flatten", "file-sink", "print-sink"].iter().map(facts).collect()
    };
    SHIPPED.get_or_init(load)[name].clone()
}

/// A plugin file beside the pipeline file.
pub fn file(name: &str) -> PluginRef {
    PluginRef::File(Path::new("pipelines").join(name))
}

pub fn facts(kind: Kind, schema: Option<schemars::Schema>, bindings: &[(&str, Capability, bool)]) -> PluginFacts {
    let binding = |(name, capability, required): &(&str, Capability, bool)| Binding {
        name: (*name).to_owned(),
        capability: *capability,
        required: *required,
        summary: format!("the {} it works with", capability.name()),
    };
    PluginFacts {
        kind,
        summary: "a plugin of the tests".to_owned(),
        options_schema: schema.map(schemars::Schema::to_value),
        bindings: bindings.iter().map(binding).collect(),
        imports: Vec::new(),
    }
}
