//! What the instances of one stage share while its pipeline runs.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::delivery::backoff::Backoff;
use crate::delivery::breaker::Breaker;
use crate::delivery::budget::Budget;
use crate::delivery::gate::Gate;
use crate::grant::Grants;
use crate::grant::xray::Xray;
use crate::metrics::StageMetrics;
use crate::pipeline::{self, Kind};
use crate::plugin::Plugin;
use crate::stage::{Failure, Instance, Later, OpenError, Progress};

/// A stage whose `open` traps so often is broken.
const OPEN_TRAPS: u32 = 3;

/// What the instances of one stage share.
pub struct StageRun {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// Its plugin: the name of a shipped one, else the file's.
    pub plugin_name: Arc<str>,
    /// As the pipeline declares it.
    pub config: pipeline::Stage,
    /// What it may reach.
    pub grants: Grants,
    /// Pauses it when nearly everything is bad.
    pub breaker: Breaker,
    /// How many calls of it may be in flight. Not for a source.
    pub gate: Arc<Gate>,
    /// What is counted of it.
    pub metrics: StageMetrics,
    /// The pipeline's.
    pub budget: Arc<Budget>,
    /// Every source of the pipeline ends by itself: there is no later at which a paused stage could go on.
    pub finite: bool,
    pub(super) plugin: Plugin,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    problem: Option<String>,
    progress: Option<Progress>,
    oldest: Option<Instant>,
}

/// Why a pipeline ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A stage said that nothing will help, or cannot be kept running.
    #[error("stage `{stage}`: {reason}")]
    Fatal {
        /// Its name.
        stage: Arc<str>,
        /// Its words.
        reason: String,
    },
    /// The breaker of a stage tripped in a pipeline that ends by itself.
    #[error("stage `{stage}` finds over half of the last events bad, nothing more is given to it: {reason}")]
    Paused {
        /// Its name.
        stage: Arc<str>,
        /// Why the last bad event is bad.
        reason: String,
    },
}

impl StageRun {
    /// Opens an instance: for as long as the stage asks for another try.
    ///
    /// # Errors
    /// When it refuses for good, or traps several times.
    pub async fn open(&self, number: u32, checkpoint: Option<String>) -> Result<Instance, StageError> {
        let opened = self.open_unless(number, checkpoint, pending()).await?;
        opened.ok_or_else(|| self.fatal("cannot be opened".to_owned()))
    }

    /// Opens an instance, or gives up instead of waiting for another try once it is `needless`.
    ///
    /// # Errors
    /// When it refuses for good, or traps several times.
    pub async fn open_unless(
        &self,
        number: u32,
        checkpoint: Option<String>,
        needless: impl Future<Output = ()>,
    ) -> Result<Option<Instance>, StageError> {
        let context = json!({
            "stage": &*self.name,
            "options": self.config.options,
            "instance": number,
            "instances": self.config.instances.max,
            "checkpoint": checkpoint,
            "seed": rand::random_range(0..1_u64 << 53),
        });
        let mut needless = pin!(needless);
        let mut waits = Backoff::new(&self.config.retry);
        let (mut traps, mut asked_again) = (0, false);
        loop {
            let wait = match Instance::open(&self.plugin, &self.grants, &self.config.limits, context.clone()).await {
                Ok(instance) => {
                    if asked_again {
                        self.set_problem(None);
                    }
                    return Ok(Some(instance));
                }
                Err(OpenError::Failure(Failure::Retry(Later { reason, after }))) => {
                    warn!(stage = %self.name, %reason, "cannot open the stage, trying again");
                    self.set_problem(Some(reason));
                    asked_again = true;
                    waits.wait(after)
                }
                Err(OpenError::Failure(Failure::Reject(reason) | Failure::Fatal(reason))) => {
                    return Err(self.fatal(reason));
                }
                Err(OpenError::Trap(trap)) => {
                    traps += 1;
                    if traps == OPEN_TRAPS {
                        return Err(self.fatal(format!("it trapped in `open`: {trap}")));
                    }
                    waits.wait(None)
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = &mut needless => return Ok(None),
            }
        }
    }

    /// The error that ends the pipeline because of this stage.
    pub fn fatal(&self, reason: String) -> StageError {
        StageError::Fatal { stage: self.name.clone(), reason }
    }

    /// What keeps the stage from its work, for `/health`.
    pub fn set_problem(&self, problem: Option<String>) {
        self.state().problem = problem;
    }

    /// What keeps the stage from its work, if anything.
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// How far a source is.
    pub fn set_progress(&self, progress: Progress) {
        self.state().progress = Some(progress);
    }

    /// How far a source is, if it says so.
    pub fn progress(&self) -> Option<Progress> {
        self.state().progress.clone()
    }

    /// Since when the oldest unsettled reading of a source waits.
    pub fn set_oldest(&self, oldest: Option<Instant>) {
        self.state().oldest = oldest;
    }

    /// Brings the gauges up to date.
    pub async fn refresh(&self) {
        let oldest = self.state().oldest;
        self.metrics.oldest_unsettled.set(oldest.map_or(0.0, |at| at.elapsed().as_secs_f64()));
        if self.config.kind != Kind::Source {
            let (in_flight, limit) = self.gate.level();
            self.metrics.instances("in_flight").set(in_flight.into());
            self.metrics.instances("limit").set(limit.into());
        }
        for level in self.grants.xrays().flat_map(Xray::levels) {
            self.metrics.xray_level(&level);
        }
        for (_, queue) in self.grants.queues() {
            let Ok(depth) = queue.recent_depth().await else { continue };
            let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            self.metrics.queue_messages("visible").set(count(depth.visible));
            self.metrics.queue_messages("invisible").set(count(depth.invisible));
            self.metrics.queue_messages("delayed").set(count(depth.delayed));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
