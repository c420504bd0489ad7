//! A queue with at-least-once delivery: what the guest calls, and what its instance holds.

mod bound;
mod embedded;
mod file;
mod outgoing;
mod sqs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

pub use self::bound::{Queue, QueueError};
pub(crate) use self::sqs::{LEAVE, Sqs};
use super::{State, not_granted};
use crate::stage::bindings::capability::{Error, Temporary};
use crate::stage::bindings::queue;
pub use crate::stage::bindings::queue::{Backlog, ItemError, Message, Messages, Outgoing, OutgoingMessage};

/// The messages that one instance received and did not settle. Dropped, it gives them back at once.
pub(crate) struct Held {
    queue: Queue,
    handles: BTreeSet<u64>,
}

impl Held {
    pub(crate) fn new(queue: Queue) -> Held {
        Held { queue, handles: BTreeSet::new() }
    }

    /// Takes out those of the handles that are held, each with its index; the indices of the others are errors.
    fn take(&mut self, handles: &[u64]) -> (Vec<(u32, u64)>, Vec<ItemError>) {
        let mut taken = Vec::with_capacity(handles.len());
        let mut errors = Vec::new();
        for (index, handle) in (0..).zip(handles) {
            if self.handles.remove(handle) {
                taken.push((index, *handle));
            } else {
                let error = Error::NotFound(format!("this instance holds no message with the handle {handle}"));
                errors.push(ItemError { index, error });
            }
        }
        (taken, errors)
    }

    /// Of a call for what was taken: its errors by their indices in the guest's own list. What failed for the time being
    /// is held again.
    fn settled(
        &mut self,
        taken: &[(u32, u64)],
        answer: Result<Vec<ItemError>, QueueError>,
    ) -> Result<Vec<ItemError>, Error> {
        match answer {
            Ok(failed) => {
                let failed = failed.into_iter().filter_map(|ItemError { index, error }| {
                    let (index, handle) = *taken.get(index as usize)?;
                    if matches!(error, Error::Temporary(_)) {
                        self.handles.insert(handle);
                    }
                    Some(ItemError { index, error })
                });
                Ok(failed.collect())
            }
            Err(error) => {
                self.handles.extend(taken.iter().map(|(_, handle)| handle));
                Err(error.into())
            }
        }
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

    async fn delete(&mut self, binding: String, handles: Vec<u64>) -> wasmtime::Result<Result<Vec<ItemError>, Error>> {
        let Some(held) = self.held.get_mut(&binding) else { return Ok(Err(not_granted(&binding))) };
        let (taken, mut errors) = held.take(&handles);
        let deleted = held.queue.delete(taken.iter().map(|(_, handle)| *handle).collect()).await;
        Ok(held.settled(&taken, deleted).map(|failed| {
            errors.extend(failed);
            errors
        }))
    }

    async fn release(&mut self, binding: String, handles: Vec<u64>) -> wasmtime::Result<Result<Vec<ItemError>, Error>> {
        let Some(held) = self.held.get_mut(&binding) else { return Ok(Err(not_granted(&binding))) };
        let (taken, errors) = held.take(&handles);
        let released = held.queue.release(taken.iter().map(|(_, handle)| *handle).collect()).await;
        Ok(held.settled(&taken, released.map(|()| Vec::new())).map(|_| errors))
    }

    async fn send(&mut self, binding: String, messages: Outgoing) -> wasmtime::Result<Result<Vec<ItemError>, Error>> {
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
        let temporary = |reason: &str| Error::Temporary(Temporary { reason: reason.to_owned(), after_ms: None });
        // The queue's place is in the log, not here.
        match error {
            QueueError::Malformed(reason) => Error::Permanent(reason),
            QueueError::Refused { .. } => {
                tracing::error!("{error}");
                Error::Permanent("the queue cannot be used; the host's log says why".to_owned())
            }
            QueueError::Busy { .. } => {
                tracing::warn!("{error}");
                temporary("the queue is busy")
            }
            QueueError::Failed { .. } => {
                tracing::warn!("{error}");
                temporary("the queue failed; the host's log says why")
            }
        }
    }
}

fn no_messages() -> Messages {
    Messages { entries: Vec::new(), attrs: String::new(), bodies: Vec::new() }
}
