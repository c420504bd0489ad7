//! How events get from a source to every sink, at least once.
//!
//! - [`claim`]: what an event owes its source; the last claim to go settles the ticket.
//! - [`budget`]: bytes of events in flight.
//! - [`batcher`]: merges events into the batches that a stage is called with.
//! - [`crew`]: the workers of a stage; a closed batch goes to one that is free.
//! - [`concurrency`], [`gate`]: how many calls of a stage may be in flight, by how the last ones went.
//! - [`worker`]: calls one instance of a transform or sink: retry, the search for poison.
//! - [`exits`]: what becomes of its events.
//! - [`source`]: reads one instance of a source and settles its tickets.
//! - [`backoff`]: how long to wait before something is tried again.
//! - [`breaker`]: pauses a stage that finds nearly everything bad.
//! - [`checkpoint`]: where a source goes on after a restart.
//! - [`dead_letter`]: what could not be delivered, durably, with its source message.
//!
//! **Invariant: an event that is dropped on any path, whatever the reason, is released, never done.** Only the three
//! places that know an event is safe call [`claim::Claim::done`]: a sink's success, the dead letter's durable write,
//! and a transform once all that came of the event has claims of its own.

pub mod backoff;
pub mod batcher;
pub mod breaker;
pub mod budget;
pub mod checkpoint;
pub mod claim;
pub mod concurrency;
pub mod crew;
pub mod dead_letter;
pub mod exits;
pub mod gate;
pub mod source;
pub mod worker;

use tokio::sync::mpsc;

use claim::Claimed;

/// Where a stage's events go: the inputs of the stages that read it.
#[derive(Clone, Default)]
pub struct Outlets(Vec<mpsc::Sender<Vec<Claimed>>>);

impl Outlets {
    /// One sender for each reading stage.
    pub fn new(readers: Vec<mpsc::Sender<Vec<Claimed>>>) -> Self {
        Outlets(readers)
    }

    /// Gives the events to every reader; waits while one is full. Bodies are shared, not copied.
    /// A reader that is gone (the pipeline is stopping) drops its copies, which releases them.
    pub async fn send(&self, events: Vec<Claimed>) {
        let Some((last, others)) = self.0.split_last() else { return };
        if events.is_empty() {
            return;
        }
        for reader in others {
            let _ = reader.send(events.clone()).await;
        }
        let _ = last.send(events).await;
    }
}
