//! The graph of a pipeline's stages and channels: start, stop, end.

mod stage;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fail::fail_point;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

pub use self::stage::{StageError, StageRun};
use crate::delivery::Outlets;
use crate::delivery::batcher::Batcher;
use crate::delivery::breaker::Breaker;
use crate::delivery::budget::Budget;
use crate::delivery::checkpoint::CheckpointFile;
use crate::delivery::claim::Claimed;
use crate::delivery::concurrency::Limit;
use crate::delivery::crew::Crew;
use crate::delivery::dead_letter;
use crate::delivery::gate::Gate;
use crate::delivery::source::Source;
use crate::grant::Grants;
use crate::grant::objects::Store;
use crate::metrics::Metrics;
use crate::pipeline::{self, Instances, Kind, Pipeline, PluginRef};
use crate::plugin::{Ends, Plugin};

/// Messages between two stages that may wait: one on its way while the other is being worked on.
const CHANNEL: usize = 2;
/// Letters that may wait for the dead letter.
const LETTERS: usize = 1_000;
/// How long events in flight may take to end once the pipeline is told to stop. Less than the 30 s after which most
/// supervisors kill.
const DRAIN: Duration = Duration::from_secs(25);

/// The components that pipelines name.
pub type Plugins = BTreeMap<PluginRef, Plugin>;

/// A pipeline at work.
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its stages, as the pipeline lists them.
    pub stages: Vec<Arc<StageRun>>,
    /// Where events can be put in by hand. Empty when the pipeline runs its own sources. The pipeline ends when these
    /// are dropped.
    pub inlets: BTreeMap<String, Inlet>,
    budget: Arc<Budget>,
    in_flight: Gauge,
    dead_letter: dead_letter::Problem,
    dead_letter_failing: Gauge,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), StageError>>,
    letters: JoinHandle<()>,
}

/// Where events can be put in by hand, instead of a source's or straight to one stage.
#[derive(Clone)]
pub struct Inlet {
    /// The stages that get them.
    pub outlets: Outlets,
    /// What they count against.
    pub budget: Arc<Budget>,
}

/// Who gives a pipeline its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Its sources.
    Sources,
    /// [`Running::inlets`].
    Inlets,
}

impl Running {
    /// Starts every stage.
    ///
    /// # Errors
    /// When a plugin cannot be loaded or a grant cannot be opened.
    pub async fn start(
        pipeline: &Pipeline,
        plugins: &Plugins,
        metrics: &Arc<Metrics>,
        feed: Feed,
    ) -> anyhow::Result<Self> {
        let budget = Budget::new(usize::try_from(pipeline.in_flight_bytes)?);
        let stages = stages(pipeline, plugins, metrics, &budget, feed).await?;
        let store = Store::open(&pipeline.dead_letter.location).await.context("cannot open the dead letter")?;
        let writer = dead_letter::Writer::new(store);
        let (letter, letters) = mpsc::channel(LETTERS);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();

        let (inputs, mut receivers): (BTreeMap<_, _>, BTreeMap<_, _>) = stages
            .iter()
            .filter(|stage| stage.config.kind != Kind::Source)
            .map(|stage| {
                let (sender, receiver) = mpsc::channel::<Vec<Claimed>>(CHANNEL);
                ((stage.name.clone(), sender), (stage.name.clone(), receiver))
            })
            .unzip();
        let outlets = |name: &str| {
            let readers = stages.iter().filter(|stage| stage.config.inputs.iter().any(|input| input == name));
            Outlets::new(readers.filter_map(|reader| inputs.get(&reader.name).cloned()).collect())
        };

        let mut inlets = BTreeMap::new();
        for stage in &stages {
            let receiver = receivers.remove(&stage.name);
            if feed == Feed::Inlets {
                let into = match inputs.get(&stage.name) {
                    Some(input) => Outlets::new(vec![input.clone()]),
                    None => outlets(&stage.name),
                };
                inlets.insert(stage.name.to_string(), Inlet { outlets: into, budget: budget.clone() });
            }
            match receiver {
                Some(receiver) => {
                    let (sender, batches) = mpsc::channel(1);
                    let batcher = Batcher::new(stage.config.batch.clone(), budget.clone());
                    tasks.spawn(async move {
                        batcher.run(receiver, sender).await;
                        Ok(())
                    });
                    let crew = Crew::new(stage.clone(), outlets(&stage.name), letter.clone());
                    tasks.spawn(crew.run(batches));
                }
                None if feed == Feed::Sources => {
                    for number in 0..stage.config.instances.max {
                        let checkpoint = CheckpointFile::new(&pipeline.data_dir, &pipeline.name, &stage.name, number);
                        let source =
                            Source::new(stage.clone(), number, outlets(&stage.name), stopped.clone(), checkpoint);
                        tasks.spawn(source.run());
                    }
                }
                None => {}
            }
        }
        Ok(Running {
            name: pipeline.name.clone(),
            stages,
            inlets,
            in_flight: metrics.in_flight(&pipeline.name),
            dead_letter: writer.problem(),
            dead_letter_failing: metrics.dead_letter_failing(&pipeline.name),
            budget,
            stop,
            tasks,
            letters: tokio::spawn(writer.run(letters)),
        })
    }

    /// Tells the sources to read no more; what is in flight goes its way.
    pub fn stopper(&self) -> Stopper {
        Stopper { stop: self.stop.clone() }
    }

    /// What `/health` and `/metrics` show.
    pub fn status(&self) -> Status {
        Status {
            name: self.name.clone(),
            stages: self.stages.clone(),
            dead_letter: self.dead_letter.clone(),
            budget: self.budget.clone(),
            in_flight: self.in_flight.clone(),
            dead_letter_failing: self.dead_letter_failing.clone(),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The first error of a stage. What was in flight then, or was still after the time for draining, is released.
    pub async fn join(mut self) -> Result<Drained, StageError> {
        self.inlets.clear();
        let mut stopped = self.stop.subscribe();
        let overtime = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            sleep(drain()).await;
        };
        tokio::pin!(overtime);
        let mut drained = Drained::All;
        let mut first = None;
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        error!(pipeline = self.name, %error, "the pipeline ends");
                        first.get_or_insert(error);
                        self.tasks.abort_all();
                    }
                    Some(Err(failed)) if failed.is_panic() => {
                        let reason = format!("the host failed, please report it: {failed}");
                        error!(pipeline = self.name, reason, "the pipeline ends");
                        first.get_or_insert(StageError::Fatal { stage: "host".into(), reason });
                        self.tasks.abort_all();
                    }
                    Some(Err(_)) => {}
                },
                () = &mut overtime, if drained == Drained::All => {
                    warn!(pipeline = self.name, bytes = self.budget.used(), "not all events in flight ended in time, they come again");
                    drained = Drained::Released;
                    self.tasks.abort_all();
                }
            }
        }
        if timeout(drain(), &mut self.letters).await.is_err() {
            error!(pipeline = self.name, "the dead letter could not be written in time, its events come again");
            self.letters.abort();
        }
        first.map_or(Ok(drained), Err)
    }
}

fn drain() -> Duration {
    fail_point!("drain", |secs| secs.and_then(|secs| secs.parse().ok()).map_or(DRAIN, Duration::from_secs));
    DRAIN
}

/// Ends a pipeline in good order.
#[derive(Clone)]
pub struct Stopper {
    stop: watch::Sender<bool>,
}

impl Stopper {
    /// Sources read no more, and their calls that wait return.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// How a pipeline that was not ended by an error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every event was settled.
    All,
    /// Some were released and come again.
    Released,
}

/// A running pipeline as `/health` and `/metrics` see it.
#[derive(Clone)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its stages.
    pub stages: Vec<Arc<StageRun>>,
    /// What keeps its dead letters from being written.
    pub dead_letter: dead_letter::Problem,
    budget: Arc<Budget>,
    in_flight: Gauge,
    dead_letter_failing: Gauge,
}

impl Status {
    /// Brings the gauges up to date.
    pub async fn refresh(&self) {
        self.in_flight.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
        self.dead_letter_failing.set(self.dead_letter.get().is_some().into());
        for stage in &self.stages {
            stage.refresh().await;
        }
    }
}

async fn stages(
    pipeline: &Pipeline,
    plugins: &Plugins,
    metrics: &Arc<Metrics>,
    budget: &Arc<Budget>,
    feed: Feed,
) -> anyhow::Result<Vec<Arc<StageRun>>> {
    let mut stages = Vec::new();
    let mut finite = true;
    for config in &pipeline.stages {
        let plugin = plugins
            .get(&config.plugin)
            .cloned()
            .with_context(|| format!("the plugin of `{}` is not loaded", config.name))?;
        finite &= config.kind != Kind::Source || ends(&plugin, &config.options);
        stages.push((config, plugin));
    }
    let mut runs = Vec::new();
    for (config, plugin) in stages {
        let plugin_name = plugin_name(&config.plugin);
        // A pipeline fed by hand leaves its sources' queues alone.
        let nothing = BTreeMap::new();
        let granted = if feed == Feed::Inlets && config.kind == Kind::Source { &nothing } else { &config.grants };
        let grants = Grants::open(&config.name, granted).await?;
        runs.push(Arc::new(StageRun {
            name: config.name.as_str().into(),
            grants,
            breaker: Breaker::new(pipeline.dead_letter.max_ratio, pipeline.dead_letter.probe),
            gate: Gate::new(limit(config)),
            metrics: metrics.stage(&pipeline.name, &config.name, config.kind, &plugin_name),
            budget: budget.clone(),
            finite: finite || feed == Feed::Inlets,
            plugin,
            plugin_name: plugin_name.into(),
            config: config.clone(),
            state: Default::default(),
        }));
    }
    Ok(runs)
}

/// What a sink writes to can have enough; a transform computes here, and its instances are as many as there may be.
fn limit(stage: &pipeline::Stage) -> Limit {
    let Instances { min, max } = stage.instances;
    Limit::new(if stage.kind == Kind::Sink { min } else { max }, max)
}

/// Whether a source with these options ends by itself.
fn ends(plugin: &Plugin, options: &serde_json::Value) -> bool {
    match plugin.ends() {
        Ends::Never => false,
        Ends::Always => true,
        Ends::Option(name) => options.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default(),
    }
}

fn plugin_name(plugin: &PluginRef) -> String {
    match plugin {
        PluginRef::Shipped(name) => name.clone(),
        PluginRef::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("name", &self.name).finish_non_exhaustive()
    }
}
