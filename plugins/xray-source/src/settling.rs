//! What is left to do with messages once all that came of them is safe: first the next pending message is sent, then they are
//! deleted. A crash in between costs a duplicate, never an event.

use std::mem;

use rayline_sdk::queue::{self, Outgoing};
use rayline_sdk::{CapabilityError, Failure, clock, log};

use crate::EVENTS;
use crate::pending::{LONGEST_DELAY_SECS, Pending, SECOND};
use crate::recent::Key;

/// How many messages one call sends: the queue's host takes its time for each ten.
const SEND: usize = 2000;

/// Messages to send and to delete.
#[derive(Default)]
pub struct Settling {
    open: Vec<Closing>,
    /// When the last of what was sent comes back.
    last_due: u64,
}

/// Messages that are to be deleted when others are sent.
#[derive(Debug, Default)]
pub struct Closing {
    pub next: Vec<Pending>,
    pub handles: Vec<u64>,
    /// What was fetched, and goes out before that.
    pub subject: Option<Key>,
}

impl Settling {
    pub fn push(&mut self, closing: Closing) {
        if !closing.next.is_empty() || !closing.handles.is_empty() {
            self.open.push(closing);
        }
    }

    /// Whether there is nothing left to do.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many messages are to be deleted yet.
    pub fn held(&self) -> usize {
        self.open.iter().map(|closing| closing.handles.len()).sum()
    }

    /// When all that was sent has come back: until then the queue is not empty, whatever it says of itself.
    pub fn last_due(&self) -> u64 {
        self.last_due
    }

    /// Sends and deletes. What cannot be done for the time being is tried again at the next call.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.send()?;
        self.delete()
    }

    fn send(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let mut outgoing = Outgoing::new();
        let mut sent: Vec<(usize, usize)> = Vec::new();
        for (place, closing) in self.open.iter().enumerate() {
            for (part, pending) in closing.next.iter().enumerate() {
                if sent.len() >= SEND {
                    break;
                }
                let attrs = match pending.delay_secs(now) {
                    0 => String::new(),
                    delay => format!(r#"{{"delay_secs":{delay}}}"#),
                };
                outgoing.push(&attrs, pending.to_json().as_bytes());
                sent.push((place, part));
            }
        }
        if sent.is_empty() {
            return Ok(());
        }
        let failed = match queue::send(EVENTS, &outgoing) {
            Ok(failed) => failed,
            Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => {
                log::warn("pending work was not sent yet", &[("reason", &error.to_string())]);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for item in failed {
            // Small text of our own is never refused for good: whatever it is, the old message stays until this one is sent.
            log::warn("pending work was not sent yet", &[("reason", &item.error.to_string())]);
            if let Some(slot) = sent.get_mut(item.index) {
                *slot = (usize::MAX, usize::MAX);
            }
        }
        for (place, part) in sent.into_iter().rev() {
            if let Some(closing) = self.open.get_mut(place)
                && part < closing.next.len()
            {
                let pending = closing.next.remove(part);
                let back_at = pending.due_at.clamp(now, now + LONGEST_DELAY_SECS * SECOND);
                self.last_due = self.last_due.max(back_at);
            }
        }
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let (unsent, ready): (Vec<_>, Vec<_>) =
            mem::take(&mut self.open).into_iter().partition(|it| !it.next.is_empty());
        self.open = unsent;
        let handles: Vec<u64> = ready.into_iter().flat_map(|closing| closing.handles).collect();
        if handles.is_empty() {
            return Ok(());
        }
        let mut again = Vec::new();
        match queue::delete(EVENTS, &handles) {
            Ok(failed) => {
                for (handle, error) in failed.into_iter().filter_map(|it| Some((*handles.get(it.index)?, it.error))) {
                    match error {
                        CapabilityError::Temporary { .. } | CapabilityError::Conflict(_) => again.push(handle),
                        // Others have it already, or will: it is fetched once more.
                        _ => log::warn("a message that is done was not deleted", &[("reason", &error.to_string())]),
                    }
                }
            }
            Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => {
                log::warn("messages that are done were not deleted yet", &[("reason", &error.to_string())]);
                again = handles;
            }
            Err(error) => return Err(error.into()),
        }
        self.push(Closing { handles: again, ..Closing::default() });
        Ok(())
    }
}
