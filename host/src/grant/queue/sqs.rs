//! A queue of Amazon SQS, as the rest of the host uses it.
//!
//! It has a thread of its own: what is held must be renewed in time whatever the guests do with the others, and given
//! back when the host ends.
//!
//! - `client`, `failure`: calls to SQS, and what their errors mean.
//! - `prefetch`: what is received before it is asked for.
//! - `holding`: what is received and not settled.
//! - `upkeep`: the tasks that poll, renew and give back.
//! - `received`, `send`: a message as SQS has it. `claim_check`: what is too large for it.

mod claim_check;
mod client;
mod failure;
mod holding;
mod prefetch;
mod received;
mod send;
mod upkeep;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use futures::{StreamExt, stream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::claim_check::ClaimCheck;
use self::client::{BATCH, Client};
use self::failure::{Failure, FailureKind};
use self::holding::{Held, Holding};
use self::prefetch::Prefetch;
use self::send::{Kind, Sender};
use self::upkeep::Release;
use super::bound::QueueError;
use super::{Backlog, ItemError, Messages, Outgoing, outgoing};
use crate::pipeline::SqsGrant;
use crate::stage::bindings::capability::Error;

/// A queue of SQS, as [`Queue`](super::Queue) promises it.
#[derive(Clone)]
pub struct Sqs(Arc<Shared>);

struct Shared {
    inner: Arc<Inner>,
    /// `None` only while it is dropped: that is how the keeper learns of its end.
    releases: Option<mpsc::UnboundedSender<Release>>,
    poller: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    runtime: OwnRuntime,
}

/// What the tasks share.
struct Inner {
    client: Client,
    sender: Sender,
    accounts: BTreeMap<String, String>,
    /// How long SQS keeps a message from others without being told again.
    visibility: Duration,
    state: Mutex<State>,
    /// Bytes that fetched payloads may still take in memory, until a guest has them.
    payloads: Arc<Semaphore>,
    /// Messages came, or none will.
    arrived: Notify,
    /// Somebody asks for messages.
    wanted: Notify,
    /// The last depth and when it was asked for.
    depth: tokio::sync::Mutex<Option<(Instant, Backlog)>>,
}

struct State {
    holding: Holding,
    prefetch: Prefetch,
}

/// What a queue says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, with its attributes: `MaximumMessageSize`.
    pub max_bytes: usize,
    /// How long a received message stays invisible without being renewed: the grant's, else `VisibilityTimeout`.
    pub visibility: Duration,
}

/// How old a depth may be that metrics show.
const RECENT: Duration = Duration::from_secs(15);

/// How many batches go at once.
const AT_ONCE: usize = 8;

/// How long the host's end waits for polls under way, and until what is held is given back.
pub(crate) const LEAVE: Duration = Duration::from_secs(15);

/// What every queue of SQS takes, where one does not say.
const MAX_BYTES: usize = 262_144;

/// Where a queue has none of its own.
const VISIBILITY: Duration = Duration::from_secs(30);

impl Sqs {
    /// Asks the queue for its limits.
    pub(super) async fn open(grant: &SqsGrant) -> Result<Sqs, QueueError> {
        let failed = |reason: String| QueueError::Failed { queue: grant.url.clone(), reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sqs")
            .enable_all()
            .build()
            .map(|runtime| OwnRuntime(Some(runtime)))
            .map_err(|error| failed(error.to_string()))?;
        let handle = runtime.handle().ok_or_else(|| failed("it has no thread".to_owned()))?;
        let (releases, released) = mpsc::unbounded_channel();
        let opening = grant.clone();
        let inner = handle.spawn(async move { Inner::open(opening).await.map(Arc::new) });
        let inner = inner.await.map_err(|error| failed(error.to_string()))??;
        let poller = Some(handle.spawn(upkeep::poll(inner.clone())));
        let keeper = Some(handle.spawn(upkeep::keep(inner.clone(), released)));
        Ok(Sqs(Arc::new(Shared { inner, releases: Some(releases), poller, keeper, runtime })))
    }

    /// All that a queue says of itself, by SQS's names: for `rayline doctor`.
    pub(crate) async fn attributes(grant: &SqsGrant) -> Result<BTreeMap<String, String>, QueueError> {
        let client = Client::new(grant).await;
        let attributes =
            client.attributes(&[QueueAttributeName::All]).await.map_err(|failure| client.error(failure))?;
        Ok(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }

    /// The limits that it keeps to.
    pub fn limits(&self) -> Limits {
        Limits { max_bytes: self.0.inner.sender.max_bytes, visibility: self.0.inner.visibility }
    }

    pub(super) async fn receive(
        &self,
        max_messages: u32,
        max_bytes: u32,
        wait: Duration,
        woken: impl Future<Output = ()>,
    ) -> Result<Messages, QueueError> {
        let inner = &self.0.inner;
        let until = Instant::now() + wait;
        let mut woken = pin!(woken);
        loop {
            let mut arrived = pin!(inner.arrived.notified());
            arrived.as_mut().enable();
            let (messages, failure) = {
                let prefetch = &mut inner.state().prefetch;
                prefetch.demand(max_messages, max_bytes, Instant::now());
                let messages = prefetch.take(max_messages, max_bytes);
                let failure = if messages.entries.is_empty() { prefetch.failure() } else { None };
                (messages, failure)
            };
            inner.wanted.notify_one();
            if let Some(error) = failure {
                return Err(error);
            }
            let left = until.saturating_duration_since(Instant::now());
            if !messages.entries.is_empty() || left.is_zero() || max_messages == 0 {
                return Ok(messages);
            }
            tokio::select! {
                () = &mut woken => return Ok(messages),
                () = arrived => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    pub(super) async fn delete(&self, handles: Vec<u64>) -> Result<Vec<ItemError>, QueueError> {
        let inner = self.0.inner.clone();
        self.run(async move { inner.delete(&handles).await }).await
    }

    /// What SQS does not take back becomes visible when its time is over. Of a FIFO queue, what was received after it and
    /// is not handed out goes back too.
    pub(super) async fn release(&self, handles: Vec<u64>) {
        if handles.is_empty() {
            return;
        }
        let (reply, released) = oneshot::channel();
        self.to_keeper(Release { handles: self.with_later(handles), reply: Some(reply) });
        // Without a keeper everything has been given back.
        let _ = released.await;
    }

    pub(super) fn give_back(&self, handles: Vec<u64>) {
        self.to_keeper(Release { handles: self.with_later(handles), reply: None });
    }

    pub(super) async fn send(&self, messages: Outgoing) -> Result<Vec<ItemError>, QueueError> {
        outgoing::check(&messages)?;
        let inner = self.0.inner.clone();
        self.run(async move { inner.sender.send(&inner.client, &messages).await }).await
    }

    pub(super) async fn depth(&self) -> Result<Backlog, QueueError> {
        let inner = self.0.inner.clone();
        self.run(async move { inner.depth().await }).await
    }

    pub(super) async fn recent_depth(&self) -> Result<Backlog, QueueError> {
        let inner = self.0.inner.clone();
        let recent = async move {
            let mut known = inner.depth.lock().await;
            if let Some((at, depth)) = &*known
                && at.elapsed() < RECENT
            {
                return Ok(*depth);
            }
            let depth = inner.depth().await?;
            *known = Some((Instant::now(), depth));
            Ok(depth)
        };
        self.run(recent).await
    }

    /// The handles, and those of waiting messages that must come after them.
    fn with_later(&self, mut handles: Vec<u64>) -> Vec<u64> {
        let state = &mut *self.0.inner.state();
        let group = |handle: &u64| state.holding.group(*handle).map(str::to_owned);
        let groups: Vec<String> = handles.iter().filter_map(group).collect();
        if !groups.is_empty() {
            handles.extend(state.prefetch.withdraw(&groups));
        }
        handles
    }

    fn to_keeper(&self, release: Release) {
        if let Some(releases) = &self.0.releases {
            // Without a keeper everything has been given back.
            let _ = releases.send(release);
        }
    }

    /// Runs a call on the queue's own thread.
    async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, QueueError>> + Send + 'static,
    ) -> Result<T, QueueError> {
        let failed = |reason: String| self.0.inner.client.error(Failure::temporary(reason));
        let handle = self.0.runtime.handle().ok_or_else(|| failed("its thread has ended".to_owned()))?;
        handle.spawn(call).await.map_err(|error| failed(error.to_string()))?
    }
}

impl Inner {
    async fn open(grant: SqsGrant) -> Result<Inner, QueueError> {
        use QueueAttributeName as Name;
        let client = Client::new(&grant).await;
        let is_fifo = grant.url.ends_with(".fifo");
        let mut names = vec![Name::MaximumMessageSize, Name::VisibilityTimeout];
        names.extend(is_fifo.then_some(Name::ContentBasedDeduplication));
        let attributes = client.attributes(&names).await.map_err(|failure| client.error(failure))?;
        let number = |name: Name| attributes.get(&name)?.parse::<u64>().ok().filter(|number| *number > 0);
        let max_bytes = number(Name::MaximumMessageSize).and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_BYTES);
        let of_queue = number(Name::VisibilityTimeout).map_or(VISIBILITY, Duration::from_secs);
        let visibility = grant.visibility.unwrap_or(of_queue).min(grant.max_hold);
        let by_content = attributes.get(&Name::ContentBasedDeduplication).is_some_and(|value| value == "true");
        let kind = if is_fifo { Kind::Fifo { by_content } } else { Kind::Standard };
        let claim_check = match grant.payloads() {
            Some(payloads) => Some(ClaimCheck::open(payloads, &grant).await?),
            None => None,
        };
        tracing::debug!(queue = grant.url, max_bytes, visibility_secs = visibility.as_secs(), "the queue's limits");
        Ok(Inner {
            client,
            sender: Sender { claim_check, max_bytes, kind },
            accounts: grant.accounts,
            visibility,
            state: Mutex::new(State { holding: Holding::new(visibility, grant.max_hold), prefetch: Prefetch::new() }),
            payloads: Arc::new(Semaphore::new(claim_check::MAX_BYTES)),
            arrived: Notify::new(),
            wanted: Notify::new(),
            depth: tokio::sync::Mutex::new(None),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn delete(&self, handles: &[u64]) -> Result<Vec<ItemError>, QueueError> {
        let held = self.state().holding.held(handles);
        let calls: Vec<_> = held.chunks(BATCH).map(|batch| self.delete_batch(batch.to_vec())).collect();
        let deleted: Vec<Vec<(Held, Option<Failure>)>> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        let (mut refused, mut errors) = (None, Vec::new());
        let holding = &mut self.state().holding;
        for (held, failure) in deleted.into_iter().flatten() {
            // What failed for the time being stays held, so that it can be tried again.
            let Some(failure) = failure else {
                holding.remove(held.handle);
                continue;
            };
            tracing::warn!("a message was not deleted: {failure}");
            let error = match failure.kind {
                FailureKind::Refused => {
                    refused = Some(failure);
                    continue;
                }
                FailureKind::Temporary => failure.for_guest(),
                FailureKind::Invalid => {
                    holding.remove(held.handle);
                    Error::NotFound("the message was held for too long, and comes again".to_owned())
                }
            };
            let index = handles.iter().position(|handle| *handle == held.handle);
            errors.extend(index.and_then(|index| u32::try_from(index).ok()).map(|index| ItemError { index, error }));
        }
        refused.map_or(Ok(errors), |failure| Err(self.client.error(failure)))
    }

    async fn delete_batch(&self, batch: Vec<Held>) -> Vec<(Held, Option<Failure>)> {
        let receipts = batch.iter().map(|held| held.receipt.clone()).collect();
        let mut failed: HashMap<usize, Failure> = self.client.delete(receipts).await.into_iter().collect();
        batch.into_iter().enumerate().map(|(place, held)| (held, failed.remove(&place))).collect()
    }

    async fn depth(&self) -> Result<Backlog, QueueError> {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let attributes = self.client.attributes(&names).await.map_err(|failure| self.client.error(failure))?;
        let [visible, invisible, delayed] =
            names.map(|name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default());
        Ok(Backlog { visible, invisible, delayed })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inner.state().prefetch.end();
        self.inner.payloads.close();
        self.inner.wanted.notify_one();
        let (poller, releases, keeper) = (self.poller.take(), self.releases.take(), self.keeper.take());
        let (Some(poller), Some(keeper), Some(runtime)) = (poller, keeper, self.runtime.0.take()) else { return };
        // No runtime's own thread may wait for another runtime.
        let waiting = std::thread::spawn(move || {
            let ending = async {
                let polled = poller.await;
                drop(releases);
                polled.and(keeper.await)
            };
            let left = runtime.block_on(async { tokio::time::timeout(LEAVE, ending).await });
            if left.is_err() {
                tracing::warn!("not all messages were given back in time: they come again when their time is over");
            }
            runtime.shutdown_background();
        });
        // A thread that panicked has said so.
        let _ = waiting.join();
    }
}

/// A runtime that may be dropped within another.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
