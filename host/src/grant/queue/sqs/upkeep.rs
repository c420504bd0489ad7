//! The tasks of a queue: one polls, the other keeps what is held from others and gives it back.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures::stream::{FuturesOrdered, FuturesUnordered};
use futures::{StreamExt, stream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::claim_check::{self, Payload};
use super::client::BATCH;
use super::failure::FailureKind;
use super::holding::Held;
use super::prefetch::Ready;
use super::{AT_ONCE, Inner, received};

/// Messages that go back to the queue.
pub(super) struct Release {
    pub(super) handles: Vec<u64>,
    /// Told when they are back.
    pub(super) reply: Option<oneshot::Sender<()>>,
}

/// A message that was not held before.
struct Fresh {
    handle: u64,
    group: Option<String>,
    message: Message,
}

/// What a fetched payload takes of the memory for these.
type Room = Option<OwnedSemaphorePermit>;

/// Messages that go back until their payloads can be fetched, with the groups that wait for them.
#[derive(Default)]
struct Later {
    handles: Vec<u64>,
    groups: BTreeSet<String>,
}

/// When a message comes again whose payload cannot be fetched for the time being.
const LATER_SECS: u64 = 30;

/// Longest time between two looks at what is held.
const BEAT: Duration = Duration::from_secs(3);

/// Polls while somebody asks, until it is to end; then waits for the polls under way.
pub(super) async fn poll(inner: Arc<Inner>) {
    let mut polls = FuturesUnordered::new();
    loop {
        let not_before = loop {
            let prefetch = &mut inner.state().prefetch;
            match prefetch.next_poll(Instant::now()) {
                Some(messages) => polls.push(inner.poll_once(messages)),
                None if prefetch.has_ended() => return,
                None => break prefetch.not_before(),
            }
        };
        let pause = not_before.map_or(Duration::MAX, |time| time.saturating_duration_since(Instant::now()));
        tokio::select! {
            Some(()) = polls.next() => {}
            () = inner.wanted.notified() => {}
            () = tokio::time::sleep(pause), if !pause.is_zero() => {}
        }
    }
}

/// Keeps what is held from others, and gives back what it is asked to; at its end, all.
pub(super) async fn keep(inner: Arc<Inner>, mut releases: mpsc::UnboundedReceiver<Release>) {
    let mut beat = tokio::time::interval(BEAT.min(inner.visibility / 10));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            release = releases.recv() => match release {
                Some(Release { handles, reply }) => {
                    inner.release(handles).await;
                    // Whoever asked may have given up.
                    let _ = reply.map(|reply| reply.send(()));
                }
                None => break,
            },
            _ = beat.tick() => inner.beat().await,
        }
    }
    let all = inner.state().holding.handles();
    inner.release(all).await;
}

impl Inner {
    async fn poll_once(&self, messages: usize) {
        match self.client.receive(messages, self.visibility).await {
            Ok(received) => {
                let count = received.len();
                self.take(received).await;
                self.state().prefetch.polled(messages, count);
            }
            Err(failure) => {
                let error = self.client.error(failure);
                self.state().prefetch.failed(messages, error, Instant::now());
            }
        }
        self.arrived.notify_waiters();
    }

    /// Holds received messages, and hands each over when its payload is there. Those that were held already are not handed
    /// over again.
    ///
    /// Payloads together have only so much room, which they give back when a guest takes them. So both is done in the order
    /// of the messages: none has room while one before it, which goes to the guest first, waits for some.
    async fn take(&self, received: Vec<Message>) {
        let now = Instant::now();
        let fresh: Vec<Fresh> = {
            let holding = &mut self.state().holding;
            let take = |mut message: Message| {
                let (id, receipt) = (message.message_id.clone()?, message.receipt_handle.take()?);
                let system = message.attributes.as_ref();
                let group = system.and_then(|system| system.get(&MessageSystemAttributeName::MessageGroupId)).cloned();
                Some(Fresh { handle: holding.take(&id, receipt, group.as_deref(), now)?, group, message })
            };
            received.into_iter().filter_map(take).collect()
        };
        let looking: Vec<_> = fresh.into_iter().map(|fresh| self.look(fresh)).collect();
        let looked: Vec<(Fresh, Payload)> = stream::iter(looking).buffered(BATCH).collect().await;
        let mut later = Later::default();
        let mut fetching = FuturesOrdered::new();
        for (fresh, payload) in looked {
            let room = {
                let mut room = pin!(self.room(&payload));
                loop {
                    tokio::select! {
                        room = &mut room => break room,
                        Some(fetched) = fetching.next() => self.hand_over(fetched, &mut later),
                    }
                }
            };
            // The host ends: all that is held goes back.
            let Ok(room) = room else { return };
            fetching.push_back(self.fetch(fresh, payload, room));
        }
        while let Some(fetched) = fetching.next().await {
            self.hand_over(fetched, &mut later);
        }
        self.give_back(&later.handles, LATER_SECS).await;
    }

    async fn look(&self, fresh: Fresh) -> (Fresh, Payload) {
        let body = fresh.message.body.as_deref().unwrap_or_default();
        let payload = claim_check::look(self.sender.claim_check.as_ref(), body).await;
        (fresh, payload)
    }

    /// Waits for the room that a payload needs in memory.
    async fn room(&self, payload: &Payload) -> Result<Room, AcquireError> {
        let Payload::Stored(stored) = payload else { return Ok(None) };
        let bytes = u32::try_from(stored.bytes).unwrap_or(u32::MAX);
        self.payloads.clone().acquire_many_owned(bytes).await.map(Some)
    }

    async fn fetch(&self, fresh: Fresh, payload: Payload, room: Room) -> (Fresh, Payload, Room) {
        match (payload, &self.sender.claim_check) {
            (Payload::Stored(stored), Some(claim_check)) => (fresh, claim_check.fetch(&stored).await, room),
            (payload, _) => (fresh, payload, room),
        }
    }

    fn hand_over(&self, (fresh, payload, room): (Fresh, Payload, Room), later: &mut Later) {
        let Fresh { handle, group, mut message } = fresh;
        if group.as_ref().is_some_and(|group| later.groups.contains(group)) {
            later.handles.push(handle);
            return;
        }
        let mut inline = || message.body.take().unwrap_or_default().into_bytes();
        let (body, is_fetched, unresolved) = match payload {
            Payload::Inline | Payload::Stored(_) => (inline(), false, None),
            Payload::Fetched(payload) => (payload, true, None),
            Payload::Unresolved(reason) => (inline(), false, Some(reason)),
            Payload::Later(reason) => {
                tracing::warn!("a message's payload cannot be fetched, it comes again: {reason}");
                later.groups.extend(group);
                later.handles.push(handle);
                return;
            }
        };
        let attrs = received::attrs(&message, &self.accounts, is_fetched, unresolved);
        self.state().prefetch.add(Ready { handle, group, attrs, body, room });
        self.arrived.notify_waiters();
    }

    /// Makes messages visible and forgets them, the latest first: so no message of a group is there before an earlier one.
    async fn release(&self, mut handles: Vec<u64>) {
        handles.sort_unstable_by(|one, other| other.cmp(one));
        self.give_back(&handles, 0).await;
    }

    async fn give_back(&self, handles: &[u64], secs: u64) {
        let held = {
            let holding = &mut self.state().holding;
            let held = holding.held(handles);
            handles.iter().for_each(|handle| holding.remove(*handle));
            held
        };
        // One batch after the other, for the order.
        for batch in held.chunks(BATCH) {
            self.change_visibility(batch, secs).await;
        }
    }

    /// Renews what is due, and gives back what was held for too long or what nobody asks for.
    async fn beat(&self) {
        let now = Instant::now();
        let (idle, overdue, due) = {
            let state = &mut *self.state();
            let idle = state.prefetch.idle(now);
            let overdue = state.holding.overdue(now);
            overdue.iter().for_each(|held| state.holding.visible(held));
            let due = state.holding.due(now).into_iter().filter(|held| !idle.contains(&held.handle));
            let due: Vec<(Held, u64)> = due
                .map(|held| {
                    let secs = state.holding.seconds(held.handle, now);
                    (held, secs)
                })
                .collect();
            (idle, overdue, due)
        };
        self.release(idle).await;
        for batch in overdue.chunks(BATCH) {
            self.change_visibility(batch, 0).await;
        }
        let renewing: Vec<_> = due.chunks(BATCH).map(|batch| self.renew(batch, now)).collect();
        stream::iter(renewing).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }

    async fn renew(&self, batch: &[(Held, u64)], now: Instant) {
        let receipts: Vec<(String, u64)> = batch.iter().map(|(held, secs)| (held.receipt.clone(), *secs)).collect();
        let failed = self.client.change_visibility(receipts).await;
        if let Some((_, failure)) = failed.first() {
            tracing::warn!(messages = failed.len(), "messages that this host holds may come twice: {failure}");
        }
        let holding = &mut self.state().holding;
        for (place, (held, _)) in batch.iter().enumerate() {
            match failed.iter().find(|(failed, _)| *failed == place).map(|(_, failure)| failure.kind) {
                None => holding.renewed(held, now),
                Some(FailureKind::Invalid) => holding.visible(held),
                // The next beat tries again.
                Some(FailureKind::Temporary | FailureKind::Refused) => {}
            }
        }
    }

    /// What fails comes again when its time is over.
    async fn change_visibility(&self, batch: &[Held], secs: u64) {
        let receipts: Vec<(String, u64)> = batch.iter().map(|held| (held.receipt.clone(), secs)).collect();
        let failed = self.client.change_visibility(receipts).await;
        if let Some((_, failure)) = failed.iter().find(|(_, failure)| failure.kind != FailureKind::Invalid) {
            tracing::warn!(messages = failed.len(), "messages were not given back at once: {failure}");
        }
    }
}
