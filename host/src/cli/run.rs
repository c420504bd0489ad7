//! `rayline run`.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info};

use super::Exit;
use super::load::Loader;
use super::progress::Bar;
use crate::api::{self, Api};
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
    let checked = tokio::select! {
        checked = Checked::read(files) => checked?,
        () = signals.stopped() => return Ok(Exit::Done),
    };
    let Some(mut checked) = checked else { return Ok(Exit::Invalid) };
    loop {
        match run_once(&checked, &mut signals, files).await? {
            End::Exit(exit) => return Ok(exit),
            End::Reload(next) => {
                info!("starting anew with the pipeline files as they were read");
                checked = next;
            }
        }
    }
}

/// Pipelines without errors and their components. What was checked is what is run: the files are not read again.
struct Checked {
    pipelines: Vec<Pipeline>,
    plugins: Plugins,
}

impl Checked {
    /// `None` when a file has errors, which are then on standard error. A thread of its own compiles: signals are heard
    /// meanwhile.
    async fn read(files: &[PathBuf]) -> anyhow::Result<Option<Checked>> {
        let files = files.to_vec();
        tokio::task::spawn_blocking(move || {
            let loader = Loader::for_pipelines(&files, true)?;
            let pipelines = loader.pipelines(&files)?;
            Ok(pipelines.map(|pipelines| Checked { pipelines, plugins: loader.plugins() }))
        })
        .await?
    }
}

/// How a set of running pipelines ended.
enum End {
    Exit(Exit),
    Reload(Checked),
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

    /// Returns when the process is told to stop. A hangup is kept for later.
    pub async fn stopped(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

async fn run_once(checked: &Checked, signals: &mut Signals, files: &[PathBuf]) -> anyhow::Result<End> {
    let pipelines = &checked.pipelines;
    let locks = take(pipelines)?;
    let listeners = listen(pipelines).await?;
    let metrics = Metrics::new();
    let started = tokio::select! {
        started = start(checked, &metrics) => started?,
        () = signals.stopped() => {
            error!("told to stop while starting: ending at once, events in flight come again");
            return Ok(End::Exit(Exit::Released));
        }
    };
    let stoppers: Vec<Stopper> = started.iter().map(Running::stopper).collect();
    let statuses: Vec<Status> = started.iter().map(Running::status).collect();
    let bars: Vec<Bar> = statuses.iter().cloned().map(Bar::follow).collect();
    let mut running: JoinSet<_> = started.into_iter().map(Running::join).collect();
    let apis = serve(listeners, &metrics, &statuses)?;
    let (mut reading, mut reload, mut stopping) = (None, None, false);
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
                Signal::Reload => reading = Some(Box::pin(Checked::read(files))),
            },
            Some(read) = next(&mut reading) => {
                reading = None;
                match read {
                    Ok(Some(next)) => {
                        info!("the pipeline files were read again, draining");
                        reload = Some(next);
                        stop(&stoppers);
                    }
                    Ok(None) => error!("the pipeline files have errors, going on with what was read before"),
                    Err(error) => error!("going on with the pipeline files that were read before: {error:#}"),
                }
            },
        }
    }
    drop(bars);
    for api in apis {
        api.abort();
        // Until then it has the address.
        let _ = api.await;
    }
    drop(locks);
    if !stopping
        && matches!(exit, Exit::Done | Exit::Released)
        && let Some(next) = reload
    {
        return Ok(End::Reload(next));
    }
    for (pipeline, status) in pipelines.iter().zip(&statuses) {
        summarize(pipeline, status);
    }
    Ok(End::Exit(exit))
}

/// What is being read, once it is.
async fn next<F: Future + Unpin>(reading: &mut Option<F>) -> Option<F::Output> {
    match reading {
        Some(reading) => Some(reading.await),
        None => None,
    }
}

/// Starts every pipeline.
async fn start(checked: &Checked, metrics: &Arc<Metrics>) -> anyhow::Result<Vec<Running>> {
    let mut started = Vec::new();
    for pipeline in &checked.pipelines {
        started.push(Running::start(pipeline, &checked.plugins, metrics, Feed::Sources).await?);
        info!(pipeline = pipeline.name, stages = pipeline.stages.len(), "running");
    }
    Ok(started)
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

/// Takes each different `api.address`.
async fn listen(pipelines: &[Pipeline]) -> anyhow::Result<Vec<TcpListener>> {
    let mut addresses: Vec<_> = pipelines.iter().filter_map(|pipeline| pipeline.api_address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(api::listen(address).await?);
    }
    Ok(listeners)
}

fn serve(
    listeners: Vec<TcpListener>,
    metrics: &Arc<Metrics>,
    statuses: &[Status],
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let api = Api { metrics: metrics.clone(), pipelines: statuses.to_vec() };
    listeners.into_iter().map(|listener| api.clone().serve(listener)).collect()
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
