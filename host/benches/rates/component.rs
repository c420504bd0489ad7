//! One stage driven alone, as its worker drives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use rayline::engine::Engine;
use rayline::event::Event;
use rayline::grant::Grants;
use rayline::pipeline::{Grant, Limits, PluginRef};
use rayline::plugin::Plugin;
use rayline::stage::{Instance, Processed, Reading, Settlement};
use rayline_builder::Progress;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::Place;

/// The components and what runs them.
pub struct Components {
    engine: Engine,
    runtime: Runtime,
    guests: PathBuf,
}

/// An open stage.
pub struct Stage<'a> {
    runtime: &'a Runtime,
    instance: Instance,
}

impl Components {
    /// Builds the guests that are no shipped stages.
    pub fn new(place: &Place) -> Result<Components> {
        let guests = place.target.join("guests");
        let source = place.root.join("tests/guests");
        rayline_builder::build(&source, &["guest-copy", "guest-lean"], &guests, Progress::Shown)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let engine = Engine::new(Some(&place.target.join("bench/cache")))?;
        Ok(Components { engine, runtime, guests: guests.join("components") })
    }

    /// For what needs no stage.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Opens a stage that is shipped.
    pub fn shipped(&self, name: &str, options: Value, grants: BTreeMap<String, Grant>) -> Result<Stage<'_>> {
        self.open(&PluginRef::Shipped(name.to_owned()), options, grants)
    }

    /// Opens a guest of the benches.
    pub fn guest(&self, name: &str, options: Value) -> Result<Stage<'_>> {
        self.open(&PluginRef::File(self.guests.join(name).with_extension("wasm")), options, BTreeMap::new())
    }

    fn open(&self, plugin: &PluginRef, options: Value, grants: BTreeMap<String, Grant>) -> Result<Stage<'_>> {
        let plugin = Plugin::load(&self.engine, plugin).map_err(|problem| anyhow!("{plugin:?}: {problem:?}"))?;
        let context = json!({"stage": "bench", "options": options, "instance": 0, "instances": 1,
            "checkpoint": null, "seed": 1});
        let limits = Limits { memory_bytes: 512 << 20, call: Duration::from_secs(30) };
        let instance = self.runtime.block_on(async {
            let grants = Grants::open("bench", &grants).await?;
            Instance::open(&plugin, &grants, &limits, context).await.map_err(|error| anyhow!("{error:?}"))
        })?;
        Ok(Stage { runtime: &self.runtime, instance })
    }
}

impl Stage<'_> {
    /// Gives a transform one batch.
    pub fn process(&mut self, events: &[Event]) -> Result<Processed> {
        self.runtime.block_on(self.instance.process(events))?.map_err(|failure| anyhow!("{failure:?}"))
    }

    /// Gives a sink one batch.
    pub fn write(&mut self, events: &[Event]) -> Result<()> {
        let exceptions = self.runtime.block_on(self.instance.write(events))?;
        match exceptions.map_err(|failure| anyhow!("{failure:?}"))?.first() {
            Some(exception) => bail!("an event was not written: {exception:?}"),
            None => Ok(()),
        }
    }

    /// Reads a source to its end, settling each reading at once.
    pub fn read_all(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let reading = self.runtime.block_on(self.instance.read(1 << 20, Duration::from_secs(1)))?;
            match reading.map_err(|failure| anyhow!("{failure:?}"))? {
                Reading::Events(read) => {
                    events.extend(read.events.into_iter().map(|output| output.event));
                    let done: Vec<_> = read.tickets.iter().map(|&ticket| Settlement { ticket, done: true }).collect();
                    let settled = self.runtime.block_on(self.instance.settle(&done))?;
                    settled.map_err(|failure| anyhow!("{failure:?}"))?;
                }
                Reading::Idle(_) => {}
                Reading::Finished => return Ok(events),
            }
        }
    }
}

/// The grant of a folder, by the name of its binding.
pub fn folder(path: &Path) -> BTreeMap<String, Grant> {
    BTreeMap::from([("objects".to_owned(), Grant::Objects(rayline::pipeline::ObjectsGrant::Folder(path.to_owned())))])
}
