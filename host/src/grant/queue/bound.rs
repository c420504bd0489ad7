//! The queue that a grant names, of either kind.

use std::future::Future;
use std::time::Duration;

use super::embedded::Embedded;
use super::sqs::Sqs;
use super::{Backlog, ItemError, Messages, Outgoing};
use crate::delivery::backoff::backoff;
use crate::pipeline::QueueGrant;

/// Waits between attempts to open a queue.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A durable queue. Clones share everything; several hosts may use the same one. Dropping the last clone gives back what
/// is still held, and waits for that.
#[derive(Clone)]
pub enum Queue {
    /// In a file.
    File(Embedded),
    /// Amazon SQS.
    Sqs(Sqs),
}

/// Why a call failed as a whole. Names the queue: for the operator, not for a guest.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// Another process holds the file for longer than a call waits. Try again.
    #[error("the queue {queue} is busy")]
    Busy {
        /// As the grant has it.
        queue: String,
    },
    /// The file, the disk, the network, or a service that asks to slow down.
    #[error("the queue {queue} failed: {reason}")]
    Failed {
        /// As the grant has it.
        queue: String,
        /// SQLite's or AWS's words.
        reason: String,
    },
    /// Nothing will help before somebody changes permissions or the pipeline file.
    #[error("the queue {queue} cannot be used: {reason}")]
    Refused {
        /// As the grant has it.
        queue: String,
        /// AWS's words, and what to do.
        reason: String,
    },
    /// What was to be sent breaks the contract.
    #[error("{0}")]
    Malformed(String),
}

impl Queue {
    /// Opens the queue. A file that is not there is made.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or is something else; there is no such queue, or it may not be used.
    pub async fn open(grant: &QueueGrant) -> Result<Queue, QueueError> {
        match grant {
            QueueGrant::File(grant) => Embedded::open(grant).await.map(Queue::File),
            QueueGrant::Sqs(grant) => Sqs::open(grant).await.map(Queue::Sqs),
        }
    }

    /// The same for a run, which waits for a service that cannot be reached or asks to slow down.
    ///
    /// # Errors
    ///
    /// What waiting does not help against.
    pub async fn open_patiently(grant: &QueueGrant) -> Result<Queue, QueueError> {
        let mut waits = backoff(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match (Queue::open(grant).await, grant) {
                (Err(error @ QueueError::Failed { .. }), QueueGrant::Sqs(_)) => {
                    tracing::warn!("{error}; trying again");
                    tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
                }
                (opened, _) => return opened,
            }
        }
    }

    /// Waits at most `wait` for the first message; returns what is there, at most `max_messages` and about `max_bytes`
    /// of bodies. Returns early, with nothing, when `woken` ends. The messages stay invisible to others until they are
    /// deleted or released, or this process ends.
    ///
    /// # Errors
    ///
    /// The queue cannot be read.
    pub async fn receive(
        &self,
        max_messages: u32,
        max_bytes: u32,
        wait: Duration,
        woken: impl Future<Output = ()>,
    ) -> Result<Messages, QueueError> {
        match self {
            Queue::File(queue) => queue.receive(max_messages, max_bytes, wait, woken).await,
            Queue::Sqs(queue) => queue.receive(max_messages, max_bytes, wait, woken).await,
        }
    }

    /// Deletes received messages; returns those that failed. One that is not there any more counts as deleted.
    ///
    /// # Errors
    ///
    /// The queue is busy, broken or refuses.
    pub async fn delete(&self, handles: Vec<u64>) -> Result<Vec<ItemError>, QueueError> {
        match self {
            Queue::File(queue) => queue.delete(handles).await.map(|()| Vec::new()),
            Queue::Sqs(queue) => queue.delete(handles).await,
        }
    }

    /// Makes received messages visible again at once, unless another process has received them meanwhile.
    ///
    /// # Errors
    ///
    /// The file is busy or broken. What SQS does not take back becomes visible when its time is over.
    pub async fn release(&self, handles: Vec<u64>) -> Result<(), QueueError> {
        match self {
            Queue::File(queue) => queue.release(handles).await,
            Queue::Sqs(queue) => {
                queue.release(handles).await;
                Ok(())
            }
        }
    }

    /// Like [`release`](Queue::release), for one who cannot wait.
    pub(super) fn give_back(&self, handles: Vec<u64>) {
        match self {
            Queue::File(queue) => queue.give_back(handles),
            Queue::Sqs(queue) => queue.give_back(handles),
        }
    }

    /// Sends messages. What is not in the answer is durable.
    ///
    /// # Errors
    ///
    /// The layout breaks the contract, or the queue is busy, broken or refuses: what was sent is not known.
    pub async fn send(&self, messages: Outgoing) -> Result<Vec<ItemError>, QueueError> {
        match self {
            Queue::File(queue) => queue.send(messages).await,
            Queue::Sqs(queue) => queue.send(messages).await,
        }
    }

    /// About how many messages wait, are invisible, and are delayed.
    ///
    /// # Errors
    ///
    /// The queue cannot be asked.
    pub async fn depth(&self) -> Result<Backlog, QueueError> {
        match self {
            Queue::File(queue) => queue.depth().await,
            Queue::Sqs(queue) => queue.depth().await,
        }
    }

    /// [`depth`](Queue::depth) for metrics: of a queue whose every answer costs, some seconds old.
    ///
    /// # Errors
    ///
    /// The queue cannot be asked.
    pub async fn recent_depth(&self) -> Result<Backlog, QueueError> {
        match self {
            Queue::File(queue) => queue.depth().await,
            Queue::Sqs(queue) => queue.recent_depth().await,
        }
    }
}
