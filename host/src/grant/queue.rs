//! A queue with at-least-once delivery: what the guest calls, and what its instance holds.

mod embedded;
mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

pub use self::embedded::{Queue, QueueError};
use super::{State, not_granted};
use crate::stage::bindings::capability::{Error, Temporary};
use crate::stage::bindings::queue;
pub use crate::stage::bindings::queue::{Backlog, Message, Messages, Outgoing, OutgoingMessage};

/// The messages that one instance received and did not settle. Dropped, it gives them back at once.
pub(crate) struct Held {
    queue: Queue,
    handles: BTreeSet<u64>,
}

impl Held {
    pub(crate) fn new(queue: Queue) -> Held {
        Held { queue, handles: BTreeSet::new() }
    }

    /// Takes out those of the handles that are held; the indices of the others are errors.
    fn take(&mut self, handles: &[u64]) -> (Vec<u64>, Vec<queue::ItemError>) {
        let mut taken = Vec::with_capacity(handles.len());
        let mut errors = Vec::new();
        for (index, handle) in (0..).zip(handles) {
            if self.handles.remove(handle) {
                taken.push(*handle);
            } else {
                let error = Error::NotFound(format!("this instance holds no message with the handle {handle}"));
                errors.push(queue::ItemError { index, error });
            }
        }
        (taken, errors)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.queue.give_back(std::mem::take(&mut self.handles).into_iter().collect());
        }
    }
}

impl queue::Host for State {
    async fn receive(
        &mut self,
        binding: String,
        max_messages: u32,
        max_bytes: u32,
        max_wait_ms: u32,
    ) -> wasmtime::Result<Result<Messages, Error>> {
        let Some(held) = self.held.get_mut(&binding) else { return Ok(Err(not_granted(&binding))) };
        let wait = Duration::from_millis(max_wait_ms.into());
        let received = held.queue.receive(max_messages, max_bytes, wait, self.wake.woken()).await;
        Ok(received.map_err(Error::from).inspect(|messages| {
            held.handles.extend(messages.entries.iter().map(|message| message.handle));
        }))
    }

    async fn delete(
        &mut self,
        binding: String,
        handles: Vec<u64>,
    ) -> wasmtime::Result<Result<Vec<queue::ItemError>, Error>> {
        let Some(held) = self.held.get_mut(&binding) else { return Ok(Err(not_granted(&binding))) };
        let (taken, errors) = held.take(&handles);
        let deleted = held.queue.delete(taken.clone()).await;
        if deleted.is_err() {
            held.handles.extend(taken);
        }
        Ok(deleted.map(|()| errors).map_err(Error::from))
    }

    async fn release(
        &mut self,
        binding: String,
        handles: Vec<u64>,
    ) -> wasmtime::Result<Result<Vec<queue::ItemError>, Error>> {
        let Some(held) = self.held.get_mut(&binding) else { return Ok(Err(not_granted(&binding))) };
        let (taken, errors) = held.take(&handles);
        let released = held.queue.release(taken.clone()).await;
        if released.is_err() {
            held.handles.extend(taken);
        }
        Ok(released.map(|()| errors).map_err(Error::from))
    }

    async fn send(
        &mut self,
        binding: String,
        messages: Outgoing,
    ) -> wasmtime::Result<Result<Vec<queue::ItemError>, Error>> {
        let Some(held) = self.held.get(&binding) else { return Ok(Err(not_granted(&binding))) };
        Ok(held.queue.send(messages).await.map_err(Error::from))
    }

    async fn depth(&mut self, binding: String) -> wasmtime::Result<Result<Backlog, Error>> {
        let Some(held) = self.held.get(&binding) else { return Ok(Err(not_granted(&binding))) };
        Ok(held.queue.depth().await.map_err(Error::from))
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Error {
        // The file's path is in the log, not here.
        tracing::warn!("{error}");
        match error {
            QueueError::Busy { .. } => {
                Error::Temporary(Temporary { reason: "the queue is busy".to_owned(), after_ms: None })
            }
            QueueError::Malformed(reason) => Error::Permanent(reason),
            QueueError::Failed { .. } => Error::Temporary(Temporary {
                reason: "the queue failed; the host's log says why".to_owned(),
                after_ms: None,
            }),
        }
    }
}
