//! The messages that this host has received and not settled, and until when SQS keeps them from others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A handle and the message's newest receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) handle: u64,
    pub(super) receipt: String,
}

/// What is held, by handle.
pub(super) struct Holding {
    messages: HashMap<u64, Message>,
    /// By message id.
    handles: HashMap<String, u64>,
    last_handle: u64,
    visibility: Duration,
    max_hold: Duration,
}

struct Message {
    id: String,
    /// SQS gives another with each receive.
    receipt: String,
    /// The message group of a FIFO queue.
    group: Option<String>,
    received: Instant,
    /// When SQS was last told to keep it from others.
    renewed: Instant,
    /// Others may receive it: it was held for too long, or SQS does not know that it is held. It stays known, so that it
    /// is not handed out a second time.
    is_visible: bool,
}

impl Holding {
    pub(super) fn new(visibility: Duration, max_hold: Duration) -> Holding {
        Holding { messages: HashMap::new(), handles: HashMap::new(), last_handle: 0, visibility, max_hold }
    }

    /// Takes a received message. `None`: it is held already, and has its new receipt.
    pub(super) fn take(&mut self, id: &str, receipt: String, group: Option<&str>, now: Instant) -> Option<u64> {
        if let Some(message) = self.handles.get(id).and_then(|handle| self.messages.get_mut(handle)) {
            (message.receipt, message.received, message.renewed, message.is_visible) = (receipt, now, now, false);
            return None;
        }
        self.last_handle += 1;
        let (id, group) = (id.to_owned(), group.map(str::to_owned));
        self.handles.insert(id.clone(), self.last_handle);
        let message = Message { id, receipt, group, received: now, renewed: now, is_visible: false };
        self.messages.insert(self.last_handle, message);
        Some(self.last_handle)
    }

    /// Those of the handles that are held, in their order.
    pub(super) fn held(&self, handles: &[u64]) -> Vec<Held> {
        handles.iter().filter_map(|handle| Some(self.messages.get(handle)?.held(*handle))).collect()
    }

    /// Every handle, in the order of their first receives.
    pub(super) fn handles(&self) -> Vec<u64> {
        let mut handles: Vec<u64> = self.messages.keys().copied().collect();
        handles.sort_unstable();
        handles
    }

    /// The message group.
    pub(super) fn group(&self, handle: u64) -> Option<&str> {
        self.messages.get(&handle)?.group.as_deref()
    }

    /// Forgets a message: it is settled.
    pub(super) fn remove(&mut self, handle: u64) {
        if let Some(message) = self.messages.remove(&handle) {
            self.handles.remove(&message.id);
        }
    }

    /// Those that SQS must be told of now: half of their time is over.
    pub(super) fn due(&self, now: Instant) -> Vec<Held> {
        self.all(|message| now - message.renewed >= self.visibility / 2)
    }

    /// Those that must go back now: a little before the limit, since the next look may be as late.
    pub(super) fn overdue(&self, now: Instant) -> Vec<Held> {
        let longest = self.max_hold.saturating_sub(self.visibility / 2);
        self.all(|message| now - message.received >= longest)
    }

    /// SQS keeps the message from others from `now` on, if this is still its receipt.
    pub(super) fn renewed(&mut self, held: &Held, now: Instant) {
        if let Some(message) = self.with_receipt(held) {
            message.renewed = now;
        }
    }

    /// Others may receive the message, if this is still its receipt.
    pub(super) fn visible(&mut self, held: &Held) {
        if let Some(message) = self.with_receipt(held) {
            message.is_visible = true;
        }
    }

    /// For how long SQS may be asked to keep the message from others: its own limit counts from the receive on.
    pub(super) fn seconds(&self, handle: u64, now: Instant) -> u64 {
        let left = self.messages.get(&handle).map(|message| self.max_hold.saturating_sub(now - message.received));
        self.visibility.min(left.unwrap_or_default()).as_secs().max(1)
    }

    fn with_receipt(&mut self, held: &Held) -> Option<&mut Message> {
        self.messages.get_mut(&held.handle).filter(|message| message.receipt == held.receipt)
    }

    fn all(&self, is_wanted: impl Fn(&Message) -> bool) -> Vec<Held> {
        let wanted = self.messages.iter().filter(|(_, message)| !message.is_visible && is_wanted(message));
        wanted.map(|(handle, message)| message.held(*handle)).collect()
    }
}

impl Message {
    fn held(&self, handle: u64) -> Held {
        Held { handle, receipt: self.receipt.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn holding() -> (Holding, Instant) {
        (Holding::new(30 * SECOND, 100 * SECOND), Instant::now())
    }

    fn handles(mut held: Vec<Held>) -> Vec<u64> {
        held.sort_unstable_by_key(|held| held.handle);
        held.iter().map(|held| held.handle).collect()
    }

    #[test]
    fn a_message_received_again_has_its_new_receipt_and_no_second_handle() {
        let (mut holding, start) = holding();
        let handle = holding.take("a", "first".into(), None, start).unwrap();
        assert_eq!(holding.take("a", "second".into(), None, start + 20 * SECOND), None);
        let held = [Held { handle, receipt: "second".into() }];
        assert_eq!(holding.held(&[handle]), held);
        assert_eq!(holding.due(start + 34 * SECOND), [], "its time begins anew");
        assert_eq!(holding.due(start + 35 * SECOND), held);
        holding.remove(handle);
        assert!(holding.take("a", "third".into(), None, start).is_some_and(|again| again != handle));
    }

    #[test]
    fn sqs_is_told_when_half_of_the_time_is_left() {
        let (mut holding, start) = holding();
        let one = holding.take("a", "1".into(), None, start).unwrap();
        let two = holding.take("b", "2".into(), None, start + SECOND).unwrap();
        assert_eq!(holding.due(start + 14 * SECOND), []);
        assert_eq!(handles(holding.due(start + 15 * SECOND)), [one]);
        holding.renewed(&Held { handle: one, receipt: "1".into() }, start + 15 * SECOND);
        assert_eq!(handles(holding.due(start + 29 * SECOND)), [two]);
        holding.renewed(&Held { handle: two, receipt: "old".into() }, start + 29 * SECOND);
        assert_eq!(handles(holding.due(start + 30 * SECOND)), [one, two], "an old receipt says nothing");
    }

    #[test]
    fn what_is_held_too_long_goes_back_once_and_stays_known() {
        let (mut holding, start) = holding();
        let handle = holding.take("a", "1".into(), None, start).unwrap();
        assert_eq!(holding.seconds(handle, start + 60 * SECOND), 30);
        assert_eq!(holding.seconds(handle, start + 80 * SECOND), 20, "no longer than the limit");
        assert_eq!(holding.overdue(start + 84 * SECOND), []);
        let overdue = holding.overdue(start + 85 * SECOND);
        assert_eq!(handles(overdue.clone()), [handle]);
        holding.visible(&overdue[0]);
        assert_eq!(holding.overdue(start + 90 * SECOND), []);
        assert_eq!(holding.due(start + 90 * SECOND), []);
        assert_eq!(holding.take("a", "2".into(), None, start + 95 * SECOND), None);
        assert_eq!(handles(holding.due(start + 110 * SECOND)), [handle], "it is held again");
    }
}
