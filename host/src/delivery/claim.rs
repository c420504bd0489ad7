//! What an event owes its source.
//!
//! A source hands out tickets. Each of its events has an [`Origin`] that holds its ticket, and every event that comes of
//! it, on any branch, holds a [`Claim`] on that origin. When the last claim goes, so does the origin, and with its last
//! origin the ticket is settled: `done` if every claim was done, else `released`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::budget::Charge;
use crate::event::Event;
use crate::stage::Settlement;

/// An event on its way, with what it owes.
#[derive(Clone)]
pub struct Claimed {
    /// The event.
    pub event: Event,
    /// Settles when it and all others of its ticket are gone.
    pub claim: Claim,
    /// The buffers that the event keeps alive.
    pub charge: Arc<Charge>,
}

impl AsRef<Event> for Claimed {
    fn as_ref(&self) -> &Event {
        &self.event
    }
}

/// A share in the settlement of one source event. Dropped without [`done`](Claim::done), it releases the ticket.
#[derive(Clone)]
pub struct Claim(Option<Arc<Origin>>);

/// A source event that is not settled yet.
pub struct Origin {
    /// The stage that read it.
    pub source: Arc<str>,
    /// As the source gave it. The dead letter keeps it whole.
    pub event: Event,
    /// The buffers that it keeps alive.
    pub charge: Arc<Charge>,
    ticket: Arc<Ticket>,
}

/// A ticket that a source handed out. Settles itself when its last origin is gone.
pub struct Ticket {
    number: u64,
    released: AtomicBool,
    settle: UnboundedSender<Settlement>,
}

impl Ticket {
    /// `settle` hears of its end. A receiver that is gone belongs to a dropped instance: the settlement is discarded.
    pub fn new(number: u64, settle: UnboundedSender<Settlement>) -> Arc<Self> {
        Arc::new(Ticket { number, released: AtomicBool::new(false), settle })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let done = !*self.released.get_mut();
        let _ = self.settle.send(Settlement { ticket: self.number, done });
    }
}

impl Claim {
    /// The first claim on a source event.
    pub fn new(source: Arc<str>, event: Event, charge: Arc<Charge>, ticket: Arc<Ticket>) -> Self {
        Claim(Some(Arc::new(Origin { source, event, charge, ticket })))
    }

    /// The event is safe: delivered, dead-lettered, or replaced by events with claims of their own.
    pub fn done(mut self) {
        self.0 = None;
    }

    /// The source event that this claim is on.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.as_deref()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(origin) = self.0.take() {
            origin.ticket.released.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::budget::Budget;
    use tokio::sync::mpsc::unbounded_channel;

    fn event() -> Event {
        Event {
            labels: Arc::from([]),
            id: Default::default(),
            attrs: Default::default(),
            body: Default::default(),
            time: 0,
            version: 0,
        }
    }

    #[test]
    fn a_ticket_is_settled_once_by_its_last_claim() {
        let cases: [(&[bool], bool); 4] =
            [(&[true], true), (&[true, true, true], true), (&[true, false, true], false), (&[false], false)];
        for (claims, done) in cases {
            let (settle, mut settled) = unbounded_channel();
            let charge = Budget::new(1).charge(0);
            let ticket = Ticket::new(7, settle);
            let first = Claim::new("in".into(), event(), charge, ticket);
            let all: Vec<Claim> = claims.iter().map(|_| first.clone()).collect();
            first.done();
            for (claim, safe) in all.into_iter().zip(claims) {
                assert!(settled.try_recv().is_err(), "{claims:?}: settled before its last claim");
                if *safe { claim.done() } else { drop(claim) }
            }
            assert_eq!(settled.try_recv(), Ok(Settlement { ticket: 7, done }), "{claims:?}");
            assert!(settled.try_recv().is_err());
        }
    }

    #[test]
    fn events_that_share_a_ticket_settle_it_together() {
        let (settle, mut settled) = unbounded_channel();
        let charge = Budget::new(1).charge(0);
        let ticket = Ticket::new(1, settle);
        let a = Claim::new("in".into(), event(), charge.clone(), ticket.clone());
        let b = Claim::new("in".into(), event(), charge, ticket);
        a.done();
        assert!(settled.try_recv().is_err());
        drop(b);
        assert_eq!(settled.try_recv(), Ok(Settlement { ticket: 1, done: false }));
    }
}
