//! One instance of a component in its own store: open, call, close.
//!
//! A call ends in one of three ways: with what was asked for, with a [`Failure`] that the guest reports, or with a
//! [`Trap`]. **An instance that trapped runs no more code**: every later call answers with the same trap.

mod answer;
mod batch;
pub mod bindings;
pub(crate) mod limits;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use wasmtime::{Store, UpdateDeadline};

pub use self::answer::{
    Exception, Failure, Later, Processed, Progress, Reading, Rejection, Settlement, SourceEvents, Verdict,
};
pub use self::batch::{BadBatch, Output};
use self::bindings::{processor, reader, stage, types, writer};
use self::limits::{OverMemory, OverTime};
use crate::event::Event;
use crate::grant::{Grants, State, Words};
use crate::pipeline::Limits;
use crate::plugin::{Exports, Plugin};

/// A stage that runs: one instance of its component. Dropping it releases at once what it holds (messages that it
/// received and did not settle).
pub struct Instance {
    store: Store<State>,
    calls: Calls,
    wake: Waker,
    trap: Option<Trap>,
}

/// The guest broke off, or returned what the contract forbids. The instance is lost; its events are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Trap {
    /// A panic's message and place, the limit that was passed, or the trap and the guest's last words. One line.
    pub reason: String,
}

/// Why an instance did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// `open` answered so.
    Failure(Failure),
    /// It could not be made, or trapped in `open`.
    Trap(Trap),
}

/// Makes an instance return early from a host call that waits, now or at its next one.
#[derive(Clone, Default)]
pub struct Waker(Arc<Signals>);

#[derive(Default)]
struct Signals {
    wake: Notify,
    ended: AtomicBool,
    end: Notify,
}

impl Waker {
    /// For a settlement: a call that waits for nothing in particular (`queue.receive`) returns.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// For shutdown: every call that waits returns, also one that fetches what was asked for (`xray.traces`).
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.end.notify_waiters();
        self.wake();
    }

    /// Ends with the next [`wake`](Waker::wake), or at once if one came since the last wait.
    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Ends with [`end`](Waker::end), or at once if that was.
    pub(crate) async fn ended(&self) {
        let mut end = pin!(self.0.end.notified());
        end.as_mut().enable();
        if !self.0.ended.load(Ordering::Acquire) {
            end.await;
        }
    }
}

/// The functions of the instance's kind.
enum Calls {
    Source(stage::Guest, reader::Guest),
    Transform(stage::Guest, processor::Guest),
    Sink(stage::Guest, writer::Guest),
}

impl Instance {
    /// Makes an instance and calls `open` with this context (see `wit/stage.wit`; its `instance` names the instance in
    /// the log).
    ///
    /// # Errors
    ///
    /// The guest refused, or trapped.
    pub async fn open(
        plugin: &Plugin,
        grants: &Grants,
        limits: &Limits,
        context: serde_json::Value,
    ) -> Result<Instance, OpenError> {
        let number = context.get("instance").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let wake = Waker::default();
        let mut store = new_store(plugin.engine(), State::new(grants.clone(), number, wake.clone(), limits));
        let time = store.data().time.clone();
        let opening = async {
            let instance = plugin.pre().instantiate_async(&mut store).await?;
            let calls = match plugin.exports() {
                Exports::Source(stage, reader) => {
                    Calls::Source(stage.load(&mut store, &instance)?, reader.load(&mut store, &instance)?)
                }
                Exports::Transform(stage, processor) => {
                    Calls::Transform(stage.load(&mut store, &instance)?, processor.load(&mut store, &instance)?)
                }
                Exports::Sink(stage, writer) => {
                    Calls::Sink(stage.load(&mut store, &instance)?, writer.load(&mut store, &instance)?)
                }
            };
            let opened = calls.stage().call_open(&mut store, &context.to_string()).await?;
            Ok((calls, opened))
        };
        match time.count(opening).await {
            Ok((calls, Ok(()))) => Ok(Instance { store, calls, wake, trap: None }),
            Ok((_, Err(failure))) => Err(OpenError::Failure(failure.into())),
            Err(error) => Err(OpenError::Trap(trap(&error, store.data()))),
        }
    }

    /// What makes this instance return early from a host call that waits.
    pub fn waker(&self) -> Waker {
        self.wake.clone()
    }

    /// Source: reads on, at most about `max_bytes` of bodies, waiting at most about `max_wait` for the first event.
    ///
    /// # Errors
    ///
    /// The guest trapped, now or before.
    pub async fn read(&mut self, max_bytes: u32, max_wait: Duration) -> Result<Result<Reading, Failure>, Trap> {
        let max_wait_ms = u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX);
        let answer = self
            .call(async |calls, store| match calls {
                Calls::Source(_, reader) => reader.call_read(store, max_bytes, max_wait_ms).await,
                _ => Err(WrongKind("read").into()),
            })
            .await?;
        self.accept(answer, answer::reading)
    }

    /// Source: says what became of tickets.
    ///
    /// # Errors
    ///
    /// The guest trapped, now or before.
    pub async fn settle(&mut self, settlements: &[Settlement]) -> Result<Result<(), Failure>, Trap> {
        let settlements: Vec<reader::Settlement> = settlements.iter().copied().map(Into::into).collect();
        let answer = self
            .call(async |calls, store| match calls {
                Calls::Source(_, reader) => reader.call_settle(store, &settlements).await,
                _ => Err(WrongKind("settle").into()),
            })
            .await?;
        self.accept(answer, Ok)
    }

    /// Transform: turns events into others.
    ///
    /// # Errors
    ///
    /// The guest trapped, now or before.
    pub async fn process(&mut self, events: &[impl AsRef<Event>]) -> Result<Result<Processed, Failure>, Trap> {
        let batch = batch::flatten(events).map_err(|bad| Trap { reason: bad.to_string() })?;
        let answer = self
            .call(async |calls, store| match calls {
                Calls::Transform(_, processor) => processor.call_process(store, &batch).await,
                _ => Err(WrongKind("process").into()),
            })
            .await?;
        self.accept(answer, |processed| answer::processed(processed, events))
    }

    /// Sink: writes events; returns those that were not written.
    ///
    /// # Errors
    ///
    /// The guest trapped, now or before.
    pub async fn write(&mut self, events: &[impl AsRef<Event>]) -> Result<Result<Vec<Exception>, Failure>, Trap> {
        let batch = batch::flatten(events).map_err(|bad| Trap { reason: bad.to_string() })?;
        let answer = self
            .call(async |calls, store| match calls {
                Calls::Sink(_, writer) => writer.call_write(store, &batch).await,
                _ => Err(WrongKind("write").into()),
            })
            .await?;
        self.accept(answer, |exceptions| answer::exceptions(exceptions, events.len()))
    }

    /// The orderly end.
    ///
    /// # Errors
    ///
    /// The guest trapped, now or before.
    pub async fn close(mut self) -> Result<(), Trap> {
        self.call(async |calls, store| calls.stage().call_close(store).await).await
    }

    /// One call into the guest, within its limits.
    async fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&Calls, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Trap> {
        if let Some(trap) = &self.trap {
            return Err(trap.clone());
        }
        self.store.set_epoch_deadline(1);
        self.store.data().journal.last_words();
        let time = self.store.data().time.clone();
        match time.count(call(&self.calls, &mut self.store)).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let trap = trap(&error, self.store.data());
                self.trap = Some(trap.clone());
                Err(trap)
            }
        }
    }

    /// What the guest answered, as the host's own types. An answer that breaks the contract is treated like a trap.
    fn accept<T, H>(
        &mut self,
        answer: Result<T, types::Failure>,
        convert: impl FnOnce(T) -> Result<H, BadBatch>,
    ) -> Result<Result<H, Failure>, Trap> {
        match answer.map(convert) {
            Err(failure) => Ok(Err(failure.into())),
            Ok(Ok(value)) => Ok(Ok(value)),
            Ok(Err(bad)) => {
                let trap = Trap { reason: format!("it returned what breaks the contract: {bad}") };
                self.trap = Some(trap.clone());
                Err(trap)
            }
        }
    }
}

impl Calls {
    fn stage(&self) -> &stage::Guest {
        match self {
            Calls::Source(stage, _) | Calls::Transform(stage, _) | Calls::Sink(stage, _) => stage,
        }
    }
}

/// The caller's mistake: a source is not written to.
#[derive(Debug, thiserror::Error)]
#[error("this kind of stage has no `{0}`")]
struct WrongKind(&'static str);

/// A store whose guest stays within the limits of its state.
pub(crate) fn new_store(engine: &wasmtime::Engine, state: State) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    // What one call hands over: all that the guest can have, and no more, however often it names the same bytes.
    store.set_hostcall_fuel(store.data().memory.bytes());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let state = context.data();
        if state.time.spent() > state.call_limit {
            return Err(OverTime { limit: state.call_limit }.into());
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Why the guest broke off, in one line.
pub(crate) fn trap(error: &wasmtime::Error, state: &State) -> Trap {
    let cause = error.root_cause();
    let is_limit = error.is::<OverTime>() || error.is::<OverMemory>();
    let reason = match state.journal.last_words() {
        Words::Panic(message) if !is_limit => message,
        Words::Stderr(line) if !is_limit => format!("{cause}; its last words: {line}"),
        _ => cause.to_string(),
    };
    Trap { reason: answer::line(&reason) }
}
