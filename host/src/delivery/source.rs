//! Reads one instance of a source and settles its tickets.
//!
//! Tickets belong to an instance. When it traps, its store is dropped with all that its bindings held; settlements of its
//! tickets that come later are discarded, and what it had handed out comes again.

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, error, warn};

use super::Outlets;
use super::backoff::Backoff;
use super::checkpoint::{CheckpointFile, Readings};
use super::claim::{Claim, Claimed, Ticket};
use crate::metrics::ErrorType;
use crate::run::{StageError, StageRun};
use crate::stage::{Failure, Instance, Later, Output, Reading, Settlement, SourceEvents, Trap};

/// Bodies that one reading returns at most. Large enough to hide the cost of a call.
const READ_BYTES: u32 = 1 << 20;
/// How long one reading waits for its first event.
const READ_WAIT: Duration = Duration::from_secs(1);
/// A checkpoint is a file: saving each one would cost more than reading.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How long what a trapped instance had handed out may take to be settled before it is read again.
const OUTLAST: Duration = Duration::from_secs(10);
/// Settlements that one call takes.
const SETTLE_AT_ONCE: usize = 10_000;
/// What a message costs beside its bytes: its claims, origin and ticket, and its place among what is not settled.
const MESSAGE_BYTES: usize = 512;
/// A source that traps so often without reading anything in between is broken.
const TRAPS: u32 = 5;

/// One source instance's task.
pub struct Source {
    stage: Arc<StageRun>,
    number: u32,
    outlets: Outlets,
    stop: watch::Receiver<bool>,
    checkpoint: CheckpointFile,
}

/// Why a source instance is no longer read.
enum End {
    Finished,
    Stopped,
}

enum Fault {
    Trapped(Trap),
    Stage(StageError),
}

/// What one instance handed out.
struct Handed {
    instance: Instance,
    readings: Readings,
    settle: UnboundedSender<Settlement>,
    settled: UnboundedReceiver<Settlement>,
    /// Settled, but not yet told to the guest.
    untold: Vec<Settlement>,
    /// Safe, but not yet saved.
    unsaved: Option<String>,
    saved_at: Instant,
    /// It handed out something.
    read: bool,
}

impl Source {
    /// The task for instance `number` of `stage`. It stops reading when `stop` turns true.
    pub fn new(
        stage: Arc<StageRun>,
        number: u32,
        outlets: Outlets,
        stop: watch::Receiver<bool>,
        checkpoint: CheckpointFile,
    ) -> Self {
        Source { stage, number, outlets, stop, checkpoint }
    }

    /// Reads until the source is finished or stopped, then until every ticket is settled.
    ///
    /// # Errors
    /// When the stage said `fatal`, cannot be opened, or traps again and again.
    pub async fn run(mut self) -> Result<(), StageError> {
        let mut waits = Backoff::new(&self.stage.config.retry);
        let mut traps = 0;
        loop {
            let checkpoint =
                self.checkpoint.load().map_err(|error| self.fatal(format!("cannot read its checkpoint: {error}")))?;
            let instance = tokio::select! {
                opened = self.stage.open(self.number, checkpoint) => opened?,
                _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
            };
            let (settle, settled) = unbounded_channel();
            let mut handed = Handed {
                instance,
                readings: Readings::default(),
                settle,
                settled,
                untold: Vec::new(),
                unsaved: None,
                saved_at: Instant::now(),
                read: false,
            };
            let fault = match self.read(&mut handed).await {
                Ok(end) => match self.drain(&mut handed, end).await {
                    Ok(()) => return handed.instance.close().await.map_err(|trap| self.fatal(trap.to_string())),
                    // Its readers are told that nothing more comes: it cannot begin again.
                    Err(Fault::Trapped(trap)) => {
                        return Err(self.fatal(format!("it trapped while settling its last tickets: {trap}")));
                    }
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            let trap = match fault {
                Fault::Stage(error) => return Err(error),
                Fault::Trapped(trap) => trap,
            };
            if handed.read {
                traps = 0;
                waits = Backoff::new(&self.stage.config.retry);
            }
            self.outlast(handed).await?;
            self.stage.metrics.errors(ErrorType::Trap).inc();
            traps += 1;
            if traps >= TRAPS {
                return Err(self.fatal(format!("it trapped {traps} times without reading anything: {trap}")));
            }
            let wait = waits.wait(None);
            error!(stage = %self.stage.name, reason = %trap, wait_ms = wait.as_millis(), "the source trapped, opening it anew");
            self.stage.set_problem(Some(trap.to_string()));
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    async fn read(&mut self, handed: &mut Handed) -> Result<End, Fault> {
        let mut waits = Backoff::new(&self.stage.config.retry);
        loop {
            self.settle(handed).await?;
            if *self.stop.borrow() {
                return Ok(End::Stopped);
            }
            let budget = self.stage.budget.clone();
            tokio::select! {
                () = budget.room() => {}
                Some(settled) = handed.settled.recv() => {
                    handed.untold.push(settled);
                    continue;
                }
                _ = self.stop.changed() => continue,
            }
            match self.read_once(handed).await.map_err(Fault::Trapped)? {
                Ok(Reading::Events(events)) => {
                    waits = Backoff::new(&self.stage.config.retry);
                    self.stage.set_problem(None);
                    self.hand_out(handed, events).await;
                }
                Ok(Reading::Idle(wait)) => {
                    self.stage.set_problem(None);
                    self.pause(handed, wait).await;
                }
                Ok(Reading::Finished) => return Ok(End::Finished),
                Err(Failure::Retry(Later { reason, after })) => {
                    self.stage.metrics.errors(ErrorType::Retry).inc();
                    let wait = waits.wait(after);
                    warn!(stage = %self.stage.name, %reason, wait_ms = wait.as_millis(), "cannot read, trying again");
                    self.stage.set_problem(Some(reason));
                    self.wait_out(handed, wait).await?;
                }
                Err(Failure::Reject(reason) | Failure::Fatal(reason)) => return Err(Fault::Stage(self.fatal(reason))),
            }
        }
    }

    /// One call; a settlement or a stop makes it return early.
    async fn read_once(&mut self, handed: &mut Handed) -> Result<Result<Reading, Failure>, Trap> {
        let started = Instant::now();
        let limit = u32::try_from(self.stage.budget.limit()).unwrap_or(u32::MAX);
        let waker = handed.instance.waker();
        let reading = handed.instance.read(READ_BYTES.min(limit), READ_WAIT);
        tokio::pin!(reading);
        let result = loop {
            tokio::select! {
                result = &mut reading => break result,
                Some(settled) = handed.settled.recv() => {
                    handed.untold.push(settled);
                    waker.wake();
                }
                Ok(()) = self.stop.changed() => waker.end(),
            }
        };
        self.stage.metrics.call.observe(started.elapsed().as_secs_f64());
        result
    }

    async fn hand_out(&self, handed: &mut Handed, events: SourceEvents) {
        let stage = &self.stage;
        let bodies: usize = events.events.iter().map(|output| output.event.body.len()).sum();
        let bytes: usize = events.events.iter().map(|output| output.event.bytes()).sum();
        stage.metrics.received.inc_by(events.events.len() as u64);
        stage.metrics.received_bytes.inc_by(bodies as u64);
        stage.metrics.batch.observe(events.events.len() as f64);
        if let Some(progress) = events.progress {
            stage.set_progress(progress);
        }
        handed.read |= !events.events.is_empty();
        let safe = handed.readings.add(&events.tickets, events.checkpoint);
        handed.unsaved = safe.or(handed.unsaved.take());
        let charge = stage.budget.charge(bytes + events.events.len() * MESSAGE_BYTES);
        let tickets: Vec<Arc<Ticket>> =
            events.tickets.iter().map(|number| Ticket::new(*number, handed.settle.clone())).collect();
        let claimed: Vec<Claimed> = events
            .events
            .into_iter()
            .filter_map(|Output { event, origin }| {
                let ticket = tickets.get(usize::try_from(origin).ok()?)?.clone();
                let claim = Claim::new(stage.name.clone(), event.clone(), charge.clone(), ticket);
                Some(Claimed { event, claim, charge: charge.clone() })
            })
            .collect();
        drop(tickets);
        fail_point!("after-receive", !claimed.is_empty(), |_| crate::failpoint::stay("after-receive"));
        stage.metrics.sent.inc_by(claimed.len() as u64);
        stage.metrics.sent_bytes.inc_by(bodies as u64);
        self.outlets.send(claimed).await;
    }

    /// Waits; a settlement or a stop ends it.
    async fn pause(&mut self, handed: &mut Handed, wait: Duration) {
        tokio::select! {
            () = sleep(wait) => {}
            Some(settled) = handed.settled.recv() => handed.untold.push(settled),
            _ = self.stop.changed() => {}
        }
    }

    /// Waits before what failed is tried again: settlements are told meanwhile, and only a stop ends it.
    async fn wait_out(&mut self, handed: &mut Handed, wait: Duration) -> Result<(), Fault> {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                Some(settled) = handed.settled.recv() => {
                    handed.untold.push(settled);
                    self.settle(handed).await?;
                }
                _ = self.stop.changed() => return Ok(()),
            }
        }
    }

    /// What a lost instance handed out is still on its way: what of it gets done is not read again. So a source that
    /// always traps at one place comes to read nothing new, and is found out.
    async fn outlast(&self, handed: Handed) -> Result<(), StageError> {
        let Handed { instance, mut readings, settle, mut settled, untold, mut unsaved, .. } = handed;
        drop((instance, settle));
        let settled = async {
            for settlement in untold {
                unsaved = readings.settle(settlement).or(unsaved.take());
            }
            while let Some(settlement) = settled.recv().await {
                unsaved = readings.settle(settlement).or(unsaved.take());
            }
        };
        let _ = timeout(OUTLAST, settled).await;
        self.save(unsaved)
    }

    /// Nothing more is read: what is downstream goes its way, and its tickets are settled.
    async fn drain(&mut self, handed: &mut Handed, end: End) -> Result<(), Fault> {
        self.outlets = Outlets::default();
        handed.settle = unbounded_channel().0;
        loop {
            self.settle(handed).await?;
            if handed.settled.recv_many(&mut handed.untold, SETTLE_AT_ONCE).await == 0 {
                break;
            }
        }
        self.settle(handed).await?;
        match end {
            // What was released comes again: a finished source whose pipeline is ended by an error goes on the next time.
            End::Finished if handed.readings.all_done() => {
                let removed = self.checkpoint.remove();
                removed.map_err(|error| Fault::Stage(self.fatal(format!("cannot remove its checkpoint: {error}"))))
            }
            End::Finished | End::Stopped => self.keep(handed).map_err(Fault::Stage),
        }
    }

    /// Tells the guest what was settled, and saves the checkpoint that became safe.
    async fn settle(&self, handed: &mut Handed) -> Result<(), Fault> {
        while let Ok(settled) = handed.settled.try_recv() {
            handed.untold.push(settled);
        }
        self.stage.set_oldest(handed.readings.oldest());
        let mut waits = Backoff::new(&self.stage.config.retry);
        while !handed.untold.is_empty() {
            fail_point!("before-settle", |_| crate::failpoint::stay("before-settle"));
            let count = handed.untold.len().min(SETTLE_AT_ONCE);
            match handed
                .instance
                .settle(handed.untold.get(..count).unwrap_or_default())
                .await
                .map_err(Fault::Trapped)?
            {
                Ok(()) => {
                    for settled in handed.untold.drain(..count) {
                        let safe = handed.readings.settle(settled);
                        handed.unsaved = safe.or(handed.unsaved.take());
                    }
                }
                Err(Failure::Retry(Later { reason, after })) => {
                    self.stage.metrics.errors(ErrorType::Retry).inc();
                    let wait = waits.wait(after);
                    warn!(stage = %self.stage.name, %reason, wait_ms = wait.as_millis(), "cannot settle, trying again");
                    self.stage.set_problem(Some(reason));
                    sleep(wait).await;
                }
                Err(Failure::Reject(reason) | Failure::Fatal(reason)) => return Err(Fault::Stage(self.fatal(reason))),
            }
        }
        self.stage.set_oldest(handed.readings.oldest());
        if handed.saved_at.elapsed() >= SAVE_EVERY {
            self.keep(handed).map_err(Fault::Stage)?;
        }
        Ok(())
    }

    /// Saves the checkpoint that became safe, if one did.
    fn keep(&self, handed: &mut Handed) -> Result<(), StageError> {
        handed.saved_at = Instant::now();
        self.save(handed.unsaved.take())
    }

    fn save(&self, checkpoint: Option<String>) -> Result<(), StageError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        let saved = tokio::task::block_in_place(|| self.checkpoint.save(&checkpoint));
        saved.map_err(|error| self.fatal(format!("cannot save its checkpoint: {error}")))?;
        debug!(stage = %self.stage.name, checkpoint, "saved a checkpoint");
        Ok(())
    }

    fn fatal(&self, reason: String) -> StageError {
        self.stage.fatal(reason)
    }
}
