//! Calls one instance of a transform or a sink.
//!
//! A batch leaves a worker in one way: every event has been delivered, handed to the dead letter, or filtered. Whatever
//! must be tried again stays here, so that back-pressure reaches the source.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fail::fail_point;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};

use super::Outlets;
use super::batcher::backoff;
use super::claim::Claimed;
use super::dead_letter::Letter;
use crate::metrics::ErrorType;
use crate::pipeline::Kind;
use crate::run::{StageError, StageRun};
use crate::stage::{Exception, Failure, Instance, Later, Output, Processed, Trap, Verdict};

/// Closed batches of a stage, taken by whichever instance is free.
pub type Batches = Arc<Mutex<mpsc::Receiver<Vec<Claimed>>>>;

/// One instance's task.
pub struct Worker {
    stage: Arc<StageRun>,
    number: u32,
    exits: Exits,
    instance: Option<Instance>,
    /// Nothing was called since the instance was opened: what traps it now is guilty.
    fresh: bool,
}

/// Where events leave a stage.
struct Exits {
    stage: Arc<StageRun>,
    outlets: Outlets,
    letters: mpsc::Sender<Letter>,
}

/// What became of the events of one call.
enum Outcome {
    Processed(Processed),
    Written(Vec<Exception>),
    Failed(Failure),
    Trapped { trap: Trap, fresh: bool },
}

/// An event with the reason why it cannot be delivered.
struct Bad {
    event: Claimed,
    reason: String,
}

impl Worker {
    /// The worker for instance `number` of `stage`.
    pub fn new(stage: Arc<StageRun>, number: u32, outlets: Outlets, letters: mpsc::Sender<Letter>) -> Self {
        let exits = Exits { stage: stage.clone(), outlets, letters };
        Worker { stage, number, exits, instance: None, fresh: false }
    }

    /// Works until there are no more batches.
    ///
    /// # Errors
    /// When the stage said `fatal`, cannot be opened, or its breaker tripped in a finite pipeline. Events held then are
    /// released.
    pub async fn run(mut self, batches: Batches) -> Result<(), StageError> {
        if self.number < self.stage.config.instances.min {
            self.instance().await?;
        }
        loop {
            let batch = batches.lock().await.recv().await;
            let Some(batch) = batch else { break };
            self.deliver(batch).await?;
        }
        if let Some(instance) = self.instance.take()
            && let Err(trap) = instance.close().await
        {
            warn!(stage = %self.stage.name, reason = %trap, "the stage trapped while closing");
        }
        Ok(())
    }

    async fn deliver(&mut self, batch: Vec<Claimed>) -> Result<(), StageError> {
        let mut work = vec![batch];
        let mut waits = self.backoff();
        let mut attempts = 0;
        while let Some(events) = work.pop() {
            if events.is_empty() {
                continue;
            }
            if self.stage.breaker.is_paused() {
                work.push(events);
                let held = work.drain(..).flatten().collect();
                work.push(self.probe(held).await?);
                continue;
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
                    work.push(second);
                    (first, None)
                }
            };
            let Some((reason, after)) = later else {
                work.push(again);
                continue;
            };
            attempts += 1;
            if self.stage.config.retry.max_attempts.is_some_and(|max| attempts >= max) {
                let reason = format!("gave up after {attempts} attempts: {reason}");
                let bad = again.into_iter().map(|event| Bad { event, reason: reason.clone() }).collect();
                work.push(self.exits.judge(0, bad).await);
                attempts = 0;
                continue;
            }
            let wait = after.or_else(|| waits.next()).unwrap_or_default();
            warn!(stage = %self.stage.name, events = again.len(), %reason, wait_ms = wait.as_millis(), "trying again");
            self.stage.set_problem(Some(reason));
            sleep(wait).await;
            work.push(again);
        }
        self.stage.set_problem(None);
        Ok(())
    }

    /// Calls the stage once. An instance that traps is dropped; the next call opens another.
    async fn call(&mut self, events: &[Claimed]) -> Result<Outcome, StageError> {
        let stage = self.stage.clone();
        let bytes: usize = events.iter().map(|claimed| claimed.event.body.len()).sum();
        stage.metrics.received.inc_by(events.len() as u64);
        stage.metrics.received_bytes.inc_by(bytes as u64);
        stage.metrics.batch.observe(events.len() as f64);
        // The copy that crosses lives as long as the call.
        let _copy = stage.budget.charge(events.iter().map(|claimed| claimed.event.bytes()).sum());
        let instance = self.instance().await?;
        let started = Instant::now();
        let outcome = match stage.config.kind {
            Kind::Sink => instance.write(events).await.map(|result| result.map(Outcome::Written)),
            _ => instance.process(events).await.map(|result| result.map(Outcome::Processed)),
        };
        stage.metrics.call.observe(started.elapsed().as_secs_f64());
        let fresh = std::mem::replace(&mut self.fresh, false);
        Ok(match outcome {
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
        })
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
    async fn probe(&mut self, held: Vec<Claimed>) -> Result<Vec<Claimed>, StageError> {
        let stage = self.stage.clone();
        if stage.finite {
            return Err(StageError::Paused { stage: stage.name.clone(), reason: stage.problem().unwrap_or_default() });
        }
        let mut held = VecDeque::from(held);
        let mut paused = stage.breaker.watch();
        while let Some(at) = stage.breaker.next_probe() {
            tokio::select! {
                _ = paused.changed() => continue,
                () = sleep_until(at) => {}
            }
            if !stage.breaker.take_probe() {
                continue;
            }
            let Some(event) = held.pop_front() else { break };
            let one = vec![event];
            match self.call(&one).await? {
                Outcome::Processed(processed) => self.exits.hand_on(one, processed).await,
                Outcome::Written(exceptions) if exceptions.is_empty() => {
                    self.exits.written(one, exceptions).await;
                }
                Outcome::Failed(Failure::Fatal(reason)) => return Err(stage.fatal(reason)),
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

    fn backoff(&self) -> impl Iterator<Item = Duration> + use<> {
        backoff(self.stage.config.retry.initial, self.stage.config.retry.max)
    }
}

impl Exits {
    /// A transform's outputs go on, its rejections to the dead letter; an input that gave neither was filtered.
    async fn hand_on(&self, events: Vec<Claimed>, processed: Processed) {
        let stage = &self.stage;
        let bytes: usize = processed.outputs.iter().map(|output| output.event.bytes()).sum();
        let bodies: usize = processed.outputs.iter().map(|output| output.event.body.len()).sum();
        let charge = stage.budget.charge(bytes);
        let mut named = vec![false; events.len()];
        let mut outputs = Vec::with_capacity(processed.outputs.len());
        for Output { event, origin } in processed.outputs {
            let origin = origin as usize;
            let Some((input, named)) = events.get(origin).zip(named.get_mut(origin)) else { continue };
            *named = true;
            outputs.push(Claimed { event, claim: input.claim.clone(), charge: charge.clone() });
        }
        for rejection in processed.rejections {
            let origin = rejection.origin as usize;
            let Some((input, named)) = events.get(origin).zip(named.get_mut(origin)) else { continue };
            *named = true;
            stage.metrics.errors(ErrorType::Reject).inc();
            self.letter(input.clone(), rejection.reason, rejection.part).await;
        }
        stage.metrics.filtered().inc_by(named.iter().filter(|named| !**named).count() as u64);
        stage.metrics.sent.inc_by(outputs.len() as u64);
        stage.metrics.sent_bytes.inc_by(bodies as u64);
        self.outlets.send(outputs).await;
        events.into_iter().for_each(|claimed| claimed.claim.done());
    }

    /// What a sink wrote is done. Returns what must be given again, with the wait that the sink asked for.
    async fn written(
        &self,
        events: Vec<Claimed>,
        exceptions: Vec<Exception>,
    ) -> (Vec<Claimed>, Option<(String, Option<Duration>)>) {
        fail_point!(format!("after-write-{}", self.stage.name).as_str(), |_| crate::failpoint::stay("after-write"));
        let mut verdicts: Vec<Option<Verdict>> = std::iter::repeat_with(|| None).take(events.len()).collect();
        for exception in exceptions {
            if let Some(verdict) = verdicts.get_mut(exception.entry as usize) {
                *verdict = Some(exception.verdict);
            }
        }
        let (mut again, mut later, mut bad, mut good) = (Vec::new(), None, Vec::new(), 0);
        for (claimed, verdict) in events.into_iter().zip(verdicts) {
            match verdict {
                None => {
                    good += 1;
                    self.stage.metrics.sent_bytes.inc_by(claimed.event.body.len() as u64);
                    claimed.claim.done();
                }
                Some(Verdict::Retry(Later { reason, after })) => {
                    self.stage.metrics.errors(ErrorType::Retry).inc();
                    let (_, longest) = later.get_or_insert((reason, after));
                    *longest = (*longest).max(after);
                    again.push(claimed);
                }
                Some(Verdict::Reject(reason)) => {
                    self.stage.metrics.errors(ErrorType::Reject).inc();
                    bad.push(Bad { event: claimed, reason });
                }
            }
        }
        self.stage.metrics.sent.inc_by(good as u64);
        again.extend(self.judge(good, bad).await);
        (again, later)
    }

    /// Bad events go to the dead letter, unless so many are bad that the stage must be: then they are returned.
    async fn judge(&self, good: usize, bad: Vec<Bad>) -> Vec<Claimed> {
        let stage = &self.stage;
        let was_paused = stage.breaker.is_paused();
        if stage.breaker.record(good, bad.len()) {
            if !was_paused {
                let reason = bad.first().map(|bad| bad.reason.clone()).unwrap_or_default();
                error!(stage = %stage.name, %reason, "over half of the last events are bad: the stage pauses and tries one now and then");
                stage.metrics.paused.set(1);
                stage.set_problem(Some(format!("paused: {reason}")));
            }
            return bad.into_iter().map(|bad| bad.event).collect();
        }
        self.bury(bad).await;
        Vec::new()
    }

    async fn bury(&self, bad: Vec<Bad>) {
        for Bad { event, reason } in bad {
            self.letter(event, reason, None).await;
        }
    }

    async fn letter(&self, claimed: Claimed, reason: String, part: Option<Bytes>) {
        let stage = &self.stage;
        stage.metrics.dead_lettered().inc();
        let letter = Letter {
            stage: stage.name.clone(),
            plugin: stage.plugin_name.clone(),
            reason,
            event: claimed.event,
            part,
            claim: claimed.claim,
        };
        // The writer ends only after every worker: a failed send is a pipeline that is torn down, and releases.
        let _ = self.letters.send(letter).await;
    }
}
