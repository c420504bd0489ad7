//! Calls one instance of a transform or a sink.
//!
//! A batch leaves a worker in one way: every event has been delivered, handed to the dead letter, or filtered. Whatever
//! must be tried again stays here, so that back-pressure reaches the source.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::Outlets;
use super::backoff::Backoff;
use super::claim::Claimed;
use super::concurrency::Seen;
use super::dead_letter::Letter;
use super::exits::{Bad, Exits};
use super::gate::Permit;
use crate::metrics::ErrorType;
use crate::pipeline::Kind;
use crate::run::{StageError, StageRun};
use crate::stage::{Exception, Failure, Instance, Later, Processed, Trap, Verdict};

/// Delivers batches through one instance.
pub struct Worker {
    stage: Arc<StageRun>,
    number: u32,
    exits: Exits,
    instance: Option<Instance>,
    /// The right to call, kept from one call to the next until there is something to wait for.
    permit: Option<Permit>,
    /// Nothing was called since the instance was opened: what traps it now is guilty.
    fresh: bool,
}

/// What became of the events of one call.
enum Outcome {
    Processed(Processed),
    Written(Vec<Exception>),
    Failed(Failure),
    Trapped { trap: Trap, fresh: bool },
}

impl Worker {
    /// The worker for instance `number` of `stage`.
    pub fn new(stage: Arc<StageRun>, number: u32, outlets: Outlets, letters: mpsc::Sender<Letter>) -> Self {
        let exits = Exits::new(stage.clone(), outlets, letters);
        Worker { stage, number, exits, instance: None, permit: None, fresh: false }
    }

    /// The number of its instance.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Opens the instance, or gives up waiting for another try once it is `needless`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open_unless(&mut self, needless: impl Future<Output = ()>) -> Result<(), StageError> {
        self.instance = self.stage.open_unless(self.number, None, needless).await?;
        self.fresh = true;
        Ok(())
    }

    /// The orderly end of the instance.
    pub async fn close(self) {
        if let Some(instance) = self.instance
            && let Err(trap) = instance.close().await
        {
            warn!(stage = %self.stage.name, reason = %trap, "the stage trapped while closing");
        }
    }

    /// Delivers a batch, with the right to call at once. Returns itself, and the right if it still has it.
    ///
    /// # Errors
    /// When the stage said `fatal`, cannot be opened, or its breaker tripped in a finite pipeline. Events held then are
    /// released.
    pub async fn deliver(mut self, batch: Vec<Claimed>, permit: Permit) -> Result<(Self, Option<Permit>), StageError> {
        self.permit = Some(permit);
        self.work_off(batch).await?;
        let permit = self.permit.take();
        Ok((self, permit))
    }

    async fn work_off(&mut self, batch: Vec<Claimed>) -> Result<(), StageError> {
        let bodies: usize = batch.iter().map(|claimed| claimed.event.body.len()).sum();
        self.stage.metrics.received.inc_by(batch.len() as u64);
        self.stage.metrics.received_bytes.inc_by(bodies as u64);
        // Events that are delivered together, with how often they were given in vain.
        let mut work = vec![(batch, 0)];
        let mut waits = Backoff::new(&self.stage.config.retry);
        while let Some((events, mut attempts)) = work.pop() {
            if events.is_empty() {
                continue;
            }
            if self.stage.breaker.is_paused() {
                work.push((events, attempts));
                let held = work.drain(..).flat_map(|(events, _)| events).collect();
                work.push((self.probe(held).await?, 0));
                continue;
            }
            if attempts == 0 {
                waits = Backoff::new(&self.stage.config.retry);
            }
            let (again, later) = match self.call(&events).await? {
                Outcome::Processed(processed) => {
                    self.stage.breaker.record(events.len(), 0);
                    self.exits.hand_on(events, processed).await;
                    (Vec::new(), None)
                }
                Outcome::Written(exceptions) => self.exits.written(events, exceptions).await,
                Outcome::Failed(Failure::Reject(reason)) if self.stage.config.kind == Kind::Transform => {
                    self.exits
                        .bury(events.into_iter().map(|event| Bad { event, reason: reason.clone() }).collect())
                        .await;
                    (Vec::new(), None)
                }
                Outcome::Failed(Failure::Reject(reason)) => {
                    let bad = events.into_iter().map(|event| Bad { event, reason: reason.clone() }).collect();
                    (self.exits.judge(0, bad).await, None)
                }
                Outcome::Failed(Failure::Retry(Later { reason, after })) => (events, Some((reason, after))),
                Outcome::Failed(Failure::Fatal(reason)) => return Err(self.stage.fatal(reason)),
                Outcome::Trapped { fresh: false, .. } if events.len() == 1 => (events, None),
                Outcome::Trapped { trap, .. } if events.len() == 1 => {
                    let bad = events.into_iter().map(|event| Bad { event, reason: trap.to_string() }).collect();
                    (self.exits.judge(0, bad).await, None)
                }
                Outcome::Trapped { .. } => {
                    let mut first = events;
                    let second = first.split_off(first.len() / 2);
                    work.push((second, attempts));
                    (first, None)
                }
            };
            let Some((reason, after)) = later else {
                work.push((again, attempts));
                continue;
            };
            attempts += 1;
            if self.stage.config.retry.max_attempts.is_some_and(|max| attempts >= max) {
                let reason = format!("gave up after {attempts} attempts: {reason}");
                let bad = again.into_iter().map(|event| Bad { event, reason: reason.clone() }).collect();
                work.push((self.exits.judge(0, bad).await, 0));
                continue;
            }
            let wait = waits.wait(after);
            warn!(stage = %self.stage.name, events = again.len(), %reason, wait_ms = wait.as_millis(), "trying again");
            self.stage.set_problem(Some(reason));
            self.permit = None;
            sleep(wait).await;
            work.push((again, attempts));
        }
        if !self.stage.breaker.is_paused() {
            self.stage.set_problem(None);
        }
        Ok(())
    }

    /// Calls the stage once. An instance that traps is dropped; the next call opens another.
    async fn call(&mut self, events: &[Claimed]) -> Result<Outcome, StageError> {
        let stage = self.stage.clone();
        stage.metrics.batch.observe(events.len() as f64);
        let permit = match self.permit.take() {
            Some(permit) => permit,
            None => stage.gate.enter().await,
        };
        // The copy that crosses lives as long as the call.
        let _copy = stage.budget.charge(events.iter().map(|claimed| claimed.event.bytes()).sum());
        let instance = self.instance().await?;
        let started = Instant::now();
        let outcome = match stage.config.kind {
            Kind::Sink => instance.write(events).await.map(|result| result.map(Outcome::Written)),
            _ => instance.process(events).await.map(|result| result.map(Outcome::Processed)),
        };
        let elapsed = started.elapsed();
        stage.metrics.call.observe(elapsed.as_secs_f64());
        let fresh = std::mem::replace(&mut self.fresh, false);
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => {
                stage.metrics.errors(ErrorType::of(&failure)).inc();
                Outcome::Failed(failure)
            }
            Err(trap) => {
                stage.metrics.errors(ErrorType::Trap).inc();
                debug!(stage = %stage.name, events = events.len(), reason = %trap, "the stage trapped, opening it anew");
                self.instance = None;
                Outcome::Trapped { trap, fresh }
            }
        };
        match outcome.asks_for_another_try() {
            Some(true) => permit.record(Seen::Refused),
            Some(false) => permit.record(Seen::Good(elapsed)),
            None => {}
        }
        self.permit = Some(permit);
        Ok(outcome)
    }

    async fn instance(&mut self) -> Result<&mut Instance, StageError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                self.fresh = true;
                self.stage.open(self.number, None).await?
            }
        };
        Ok(self.instance.insert(instance))
    }

    /// While the stage is paused: tries one event now and then, each time another. Returns those still to be delivered.
    /// An event that kills a fresh instance goes to the dead letter: one now and then swallows no queue, and a batch of
    /// nothing but such events comes to its end. What a sink refuses waits, since a wrong template refuses everything.
    async fn probe(&mut self, held: Vec<Claimed>) -> Result<Vec<Claimed>, StageError> {
        let stage = self.stage.clone();
        if stage.finite {
            return Err(StageError::Paused { stage: stage.name.clone(), reason: stage.problem().unwrap_or_default() });
        }
        let mut held = VecDeque::from(held);
        let mut paused = stage.breaker.watch();
        while let Some(at) = stage.breaker.next_probe().filter(|_| !held.is_empty()) {
            self.permit = None;
            tokio::select! {
                _ = paused.changed() => continue,
                () = sleep_until(at) => {}
            }
            if !stage.breaker.take_probe() {
                continue;
            }
            let one: Vec<Claimed> = held.pop_front().into_iter().collect();
            match self.call(&one).await? {
                Outcome::Processed(processed) => self.exits.hand_on(one, processed).await,
                Outcome::Written(exceptions) if exceptions.is_empty() => {
                    self.exits.written(one, exceptions).await;
                }
                Outcome::Failed(Failure::Fatal(reason)) => return Err(stage.fatal(reason)),
                Outcome::Trapped { trap, fresh: true } => {
                    let bad = |event| Bad { event, reason: trap.reason.clone() };
                    self.exits.bury(one.into_iter().map(bad).collect()).await;
                    continue;
                }
                _ => {
                    held.extend(one);
                    continue;
                }
            }
            info!(stage = %stage.name, "an event passed: the stage goes on");
            stage.breaker.resume();
            stage.metrics.paused.set(0);
        }
        Ok(held.into())
    }
}

impl Outcome {
    /// Whether the stage asked for another try; `None` where the call says nothing of the load on what it writes to.
    fn asks_for_another_try(&self) -> Option<bool> {
        match self {
            Outcome::Processed(_) | Outcome::Failed(Failure::Reject(_)) => Some(false),
            Outcome::Written(exceptions) => {
                Some(exceptions.iter().any(|exception| matches!(exception.verdict, Verdict::Retry(_))))
            }
            Outcome::Failed(Failure::Retry(_)) => Some(true),
            Outcome::Failed(Failure::Fatal(_)) | Outcome::Trapped { .. } => None,
        }
    }
}
