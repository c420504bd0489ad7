//! The workers of a transform or a sink: gives each closed batch to one that is free.
//!
//! As many instances as `instances.min` are opened at the start and kept; more are opened when a batch has none to go to,
//! up to `max`, and closed when they have had nothing to do for a while. How many may call at once is the gate's to say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Outlets;
use super::claim::Claimed;
use super::dead_letter::Letter;
use super::gate::Permit;
use super::worker::Worker;
use crate::run::{StageError, StageRun};

/// After so long without a batch, an instance beyond `instances.min` is closed.
const IDLE: Duration = Duration::from_secs(60);

/// The workers of one stage.
pub struct Crew {
    stage: Arc<StageRun>,
    outlets: Outlets,
    letters: mpsc::Sender<Letter>,
    /// Free workers, with the time since when. The last one is taken first, so that the others may become needless.
    idle: Vec<(Instant, Worker)>,
    busy: JoinSet<Result<(Worker, Option<Permit>), StageError>>,
    /// Numbers of instances that are not there.
    free: BTreeSet<u32>,
}

impl Crew {
    /// The crew of `stage`.
    pub fn new(stage: Arc<StageRun>, outlets: Outlets, letters: mpsc::Sender<Letter>) -> Crew {
        let free = (0..stage.config.instances.max).collect();
        Crew { stage, outlets, letters, idle: Vec::new(), busy: JoinSet::new(), free }
    }

    /// Works until there are no more batches.
    ///
    /// # Errors
    /// When the stage said `fatal`, cannot be opened, or its breaker tripped in a finite pipeline. Events held then are
    /// released.
    pub async fn run(mut self, mut batches: mpsc::Receiver<Vec<Claimed>>) -> Result<(), StageError> {
        let (no_more, needless) = watch::channel(false);
        for _ in 0..self.stage.config.instances.min {
            if let Some(mut worker) = self.hire() {
                let mut needless = needless.clone();
                self.busy.spawn(async move {
                    worker.open_unless(async move { drop(needless.wait_for(|needless| *needless).await) }).await?;
                    Ok((worker, None))
                });
            }
        }
        let gate = self.stage.gate.clone();
        let (mut next, mut closed) = (None, false);
        while !closed || next.is_some() || !self.busy.is_empty() {
            if closed && next.is_none() {
                no_more.send_replace(true);
            }
            let has_room = !self.idle.is_empty() || !self.free.is_empty();
            let needless = self.needless();
            tokio::select! {
                Some(ended) = self.busy.join_next() => {
                    let (worker, _permit) = joined(ended)?;
                    self.idle.push((Instant::now(), worker));
                }
                batch = batches.recv(), if next.is_none() && !closed => {
                    closed = batch.is_none();
                    next = batch;
                }
                permit = gate.enter(), if next.is_some() && has_room => {
                    if let (Some(batch), Some(worker)) = (next.take(), self.free_worker()) {
                        self.busy.spawn(worker.deliver(batch, permit));
                    }
                }
                () = sleep_until(needless.unwrap_or_else(Instant::now)), if needless.is_some() => {
                    let (_, worker) = self.idle.remove(0);
                    self.free.insert(worker.number());
                    worker.close().await;
                }
            }
        }
        for (_, worker) in self.idle {
            worker.close().await;
        }
        Ok(())
    }

    /// When the worker that is free for longest becomes needless, if one may go.
    fn needless(&self) -> Option<Instant> {
        let hired = self.idle.len() + self.busy.len();
        let (since, _) = self.idle.first().filter(|_| hired > self.stage.config.instances.min as usize)?;
        Some(*since + IDLE)
    }

    fn free_worker(&mut self) -> Option<Worker> {
        self.idle.pop().map(|(_, worker)| worker).or_else(|| self.hire())
    }

    fn hire(&mut self) -> Option<Worker> {
        let number = self.free.pop_first()?;
        Some(Worker::new(self.stage.clone(), number, self.outlets.clone(), self.letters.clone()))
    }
}

/// What a worker's task gave. One that panicked makes this one panic too: whoever waits for the pipeline says so.
fn joined<T>(ended: Result<Result<T, StageError>, JoinError>) -> Result<T, StageError> {
    ended.unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(StageError::Fatal { stage: "host".into(), reason: cancelled.to_string() }),
    })
}
