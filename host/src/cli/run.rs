//! `rayline run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info};

use super::Exit;
use super::load::Loader;
use super::progress::Bar;
use crate::api::Api;
use crate::data_dir::{DataDir, DataDirError};
use crate::metrics::Metrics;
use crate::pipeline::{Grant, Kind, Pipeline};
use crate::run::{Drained, Feed, Plugins, Running, StageError, Status, Stopper};

/// Runs pipelines until they end, or a signal says so.
///
/// # Errors
/// When a file cannot be read or a pipeline cannot be started.
pub async fn run(files: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    loop {
        let loader = Loader::for_pipelines(files, true)?;
        let Some(pipelines) = loader.pipelines(files)? else { return Ok(Exit::Invalid) };
        match run_once(&pipelines, &loader.plugins(), &mut signals, files).await? {
            End::Exit(exit) => return Ok(exit),
            End::Reload => info!("starting anew with the pipeline files as they are now"),
        }
    }
}

/// How a set of running pipelines ended.
enum End {
    Exit(Exit),
    Reload,
}

/// Signals to a running host.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

enum Signal {
    Stop,
    Reload,
}

impl Signals {
    /// Begins to listen: from now on these signals do not kill the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when the process is told to stop.
    pub async fn stopped(&mut self) {
        while !matches!(self.next().await, Signal::Stop) {}
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

async fn run_once(
    pipelines: &[Pipeline],
    plugins: &Plugins,
    signals: &mut Signals,
    files: &[PathBuf],
) -> anyhow::Result<End> {
    let locks = take(pipelines)?;
    let metrics = Metrics::new();
    let mut stoppers = Vec::new();
    let mut statuses = Vec::new();
    let mut bars = Vec::new();
    let mut running = JoinSet::new();
    for pipeline in pipelines {
        let started = Running::start(pipeline, plugins, &metrics, Feed::Sources).await?;
        info!(pipeline = pipeline.name, stages = pipeline.stages.len(), "running");
        stoppers.push(started.stopper());
        bars.push(Bar::follow(started.status()));
        statuses.push(started.status());
        running.spawn(started.join());
    }
    let apis = serve(pipelines, &metrics, &statuses).await?;
    let mut reload = false;
    let mut stopping = false;
    let mut exit = Exit::Done;
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => break,
                Some(result) => {
                    let ended = exit_of(result?);
                    exit = if exit == Exit::Done { ended } else { exit };
                    if ended == Exit::Failed {
                        stop(&stoppers);
                    }
                }
            },
            signal = signals.next() => match signal {
                Signal::Stop if stopping => {
                    error!("told to stop twice: ending at once, events in flight come again");
                    return Ok(End::Exit(Exit::Released));
                }
                Signal::Stop => {
                    info!("stopping: events in flight go their way, nothing more is read");
                    stopping = true;
                    stop(&stoppers);
                }
                Signal::Reload => match Loader::for_pipelines(files, true)?.pipelines(files)? {
                    Some(_) => {
                        info!("the pipeline files were read again, draining");
                        reload = true;
                        stop(&stoppers);
                    }
                    None => error!("the pipeline files have errors, going on with what was read before"),
                },
            },
        }
    }
    drop(bars);
    apis.iter().for_each(tokio::task::JoinHandle::abort);
    drop(locks);
    if reload && !stopping && matches!(exit, Exit::Done | Exit::Released) {
        return Ok(End::Reload);
    }
    for (pipeline, status) in pipelines.iter().zip(&statuses) {
        summarize(pipeline, status);
    }
    Ok(End::Exit(exit))
}

fn stop(stoppers: &[Stopper]) {
    stoppers.iter().for_each(Stopper::stop);
}

/// One lock for each different `data_dir`.
fn take(pipelines: &[Pipeline]) -> Result<Vec<DataDir>, DataDirError> {
    let mut folders: Vec<&Path> = pipelines.iter().map(|pipeline| pipeline.data_dir.as_path()).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().map(DataDir::take).collect()
}

async fn serve(
    pipelines: &[Pipeline],
    metrics: &Arc<Metrics>,
    statuses: &[Status],
) -> anyhow::Result<Vec<tokio::task::JoinHandle<()>>> {
    let mut addresses: Vec<_> = pipelines.iter().filter_map(|pipeline| pipeline.api_address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut apis = Vec::new();
    for address in addresses {
        let api = Api { metrics: metrics.clone(), pipelines: statuses.to_vec() };
        apis.push(api.serve(address).await?);
    }
    Ok(apis)
}

/// The exit code that a pipeline's end stands for.
pub fn exit_of(ended: Result<Drained, StageError>) -> Exit {
    match ended {
        Ok(Drained::All) => Exit::Done,
        Ok(Drained::Released) => Exit::Released,
        Err(StageError::Paused { .. }) => Exit::Paused,
        Err(StageError::Fatal { .. }) => Exit::Failed,
    }
}

/// What happened, for the person who waited: a line for each stage, and where the results are.
pub fn summarize(pipeline: &Pipeline, status: &Status) {
    eprintln!("\n{}", pipeline.name);
    let width = status.stages.iter().map(|stage| stage.name.len()).max().unwrap_or_default();
    for stage in &status.stages {
        let metrics = &stage.metrics;
        let (received, sent) = (metrics.received.get(), metrics.sent.get());
        let what = match stage.config.kind {
            Kind::Source => format!("read {received} messages"),
            Kind::Transform => format!("{received} in, {sent} out"),
            Kind::Sink => format!("wrote {sent} events"),
        };
        let dead = match metrics.dead_lettered().get() {
            0 => String::new(),
            letters => format!(", {letters} to the dead letter"),
        };
        let place = places(&stage.config.grants);
        eprintln!("  {:width$}  {what}{dead}{place}", stage.name);
    }
    if status.stages.iter().any(|stage| stage.metrics.dead_lettered().get() > 0) {
        eprintln!("  dead letter: {}", pipeline.dead_letter.location);
        eprintln!("  see what is in it: rayline dead-letter list {}", pipeline.path.display());
    }
}

fn places(grants: &BTreeMap<String, Grant>) -> String {
    let places: Vec<String> = grants
        .values()
        .filter_map(|grant| match grant {
            Grant::Queue(queue) => Some(queue.to_string()),
            Grant::Objects(objects) => Some(objects.to_string()),
            Grant::Http(http) => Some(http.urls.iter().map(|url| url.as_str()).collect::<Vec<_>>().join(", ")),
            Grant::Xray(xray) => Some(xray.to_string()),
            Grant::Console => None,
        })
        .collect();
    if places.is_empty() { String::new() } else { format!("  ({})", places.join(", ")) }
}
