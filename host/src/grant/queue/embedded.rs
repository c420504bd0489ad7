//! The queue of one file, as the rest of the host uses it.
//!
//! SQLite blocks, so one thread owns the connection. It takes all requests that wait and runs them in one transaction:
//! under load many requests share one commit. A `receive` that finds nothing waits here, not there, by looking again.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::bound::QueueError;
use super::file::File;
use super::{Backlog, ItemError, Messages, Outgoing, no_messages, outgoing};
use crate::pipeline::FileQueueGrant;

/// A durable queue in a file, as [`Queue`](super::Queue) promises it. Several processes may use the same file.
#[derive(Clone)]
pub struct Embedded(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// `None` only while it is dropped: that is how the thread learns of its end.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Something was sent or released here, so that a `receive` of this process need not wait to look again.
    arrived: Notify,
}

/// How often a `receive` that waits looks whether another process sent something, or a delay is over.
const POLL: Duration = Duration::from_millis(20);

/// How often a process says that it lives, in the time after which it is taken for dead.
const BEATS: u32 = 3;

/// How many requests one transaction takes at most, so that the first does not wait for ever.
const REQUESTS_PER_COMMIT: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, QueueError>>;

enum Request {
    Receive { max_messages: u32, max_bytes: u32, requests: Sender<Request>, reply: Reply<Received> },
    Delete { handles: Vec<u64>, reply: Reply<()> },
    Release { handles: Vec<u64>, reply: Option<Reply<()>> },
    Send { messages: Outgoing, reply: Reply<Vec<ItemError>> },
    Depth { reply: Reply<Backlog> },
}

impl Embedded {
    /// Opens the queue; makes the file if it is not there.
    pub(super) async fn open(grant: &FileQueueGrant) -> Result<Embedded, QueueError> {
        let (requests, waiting) = channel();
        let (opened, is_open) = oneshot::channel();
        let failed = |reason: String| QueueError::Failed { queue: grant.path.display().to_string(), reason };
        let for_thread = grant.clone();
        let thread = thread::Builder::new()
            .name("queue".to_owned())
            .spawn(move || match File::open(&for_thread) {
                Ok(file) => {
                    // Whoever opens it may have given up.
                    let _ = opened.send(Ok(()));
                    Worker { file, held: HashMap::new(), grant: for_thread }.run(&waiting);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|error| failed(error.to_string()))?;
        is_open.await.map_err(|_| failed("its thread ended".to_owned()))??;
        let (path, arrived) = (grant.path.clone(), Notify::new());
        Ok(Embedded(Arc::new(Shared { path, requests: Some(requests), thread: Some(thread), arrived })))
    }

    pub(super) async fn receive(
        &self,
        max_messages: u32,
        max_bytes: u32,
        wait: Duration,
        woken: impl Future<Output = ()>,
    ) -> Result<Messages, QueueError> {
        let until = Instant::now() + wait;
        let mut woken = pin!(woken);
        loop {
            let requests = self.requests()?.clone();
            let received = self.ask(|reply| Request::Receive { max_messages, max_bytes, requests, reply }).await?;
            let messages = received.take();
            let left = until.saturating_duration_since(Instant::now());
            if !messages.entries.is_empty() || left.is_zero() || max_messages == 0 {
                return Ok(messages);
            }
            tokio::select! {
                () = &mut woken => return Ok(messages),
                () = self.0.arrived.notified() => {}
                () = tokio::time::sleep(left.min(POLL)) => {}
            }
        }
    }

    /// One that was held too long and is visible again, or received by another, is deleted too: its work is done.
    pub(super) async fn delete(&self, handles: Vec<u64>) -> Result<(), QueueError> {
        if handles.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Delete { handles, reply }).await
    }

    pub(super) async fn release(&self, handles: Vec<u64>) -> Result<(), QueueError> {
        if handles.is_empty() {
            return Ok(());
        }
        let released = self.ask(|reply| Request::Release { handles, reply: Some(reply) }).await;
        self.0.arrived.notify_waiters();
        released
    }

    pub(super) fn give_back(&self, handles: Vec<u64>) {
        // Without a thread nothing is held: the file gives everything back when the process's time is over.
        if let Ok(requests) = self.requests() {
            let _ = requests.send(Request::Release { handles, reply: None });
        }
        self.0.arrived.notify_waiters();
    }

    pub(super) async fn send(&self, messages: Outgoing) -> Result<Vec<ItemError>, QueueError> {
        let errors = self.ask(|reply| Request::Send { messages, reply }).await?;
        self.0.arrived.notify_waiters();
        Ok(errors)
    }

    pub(super) async fn depth(&self) -> Result<Backlog, QueueError> {
        self.ask(|reply| Request::Depth { reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.requests()?.send(request(reply)).map_err(|_| self.ended())?;
        answer.await.map_err(|_| self.ended())?
    }

    fn requests(&self) -> Result<&Sender<Request>, QueueError> {
        self.0.requests.as_ref().ok_or_else(|| self.ended())
    }

    fn ended(&self) -> QueueError {
        QueueError::Failed { queue: self.0.path.display().to_string(), reason: "its thread ended".to_owned() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.requests.take());
        // A thread that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Received messages on their way to who asked. If that one is gone, they go back.
struct Received {
    messages: Messages,
    requests: Sender<Request>,
}

impl Received {
    fn take(mut self) -> Messages {
        std::mem::replace(&mut self.messages, no_messages())
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let handles = handles(&self.messages);
        if !handles.is_empty() {
            // Without a thread nothing is held.
            let _ = self.requests.send(Request::Release { handles, reply: None });
        }
    }
}

/// What the queue's thread owns.
struct Worker {
    file: File,
    /// What this process received and did not settle: since when.
    held: HashMap<u64, Instant>,
    grant: FileQueueGrant,
}

/// Tells a request what became of its transaction.
type Answer = Box<dyn FnOnce(Result<(), QueueError>)>;

/// Requests that share a transaction: what to do once it is known whether it was committed.
#[derive(Default)]
struct Batch {
    answers: Vec<Answer>,
    received: Vec<u64>,
    settled: Vec<u64>,
    error: Option<QueueError>,
}

impl Worker {
    /// Until the last [`Embedded`] is gone.
    fn run(mut self, requests: &Receiver<Request>) {
        let beat = self.grant.visibility / BEATS;
        let mut next_beat = Instant::now() + beat;
        loop {
            match requests.recv_timeout(next_beat.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    let others = requests.try_iter().take(REQUESTS_PER_COMMIT - 1);
                    let batch: Vec<Request> = std::iter::once(first).chain(others).collect();
                    self.serve(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + beat;
                if let Err(error) = self.beat() {
                    tracing::warn!("the messages that this host holds may come twice: {error}");
                }
            }
        }
        if let Err(error) = self.file.leave() {
            tracing::warn!("the messages that this host held come again later: {error}");
        }
    }

    /// Runs requests in one transaction, and answers them once it is committed.
    fn serve(&mut self, mut requests: Vec<Request>) {
        // Most looks of a `receive` that waits find nothing: they need no transaction.
        let only_receives = requests.iter().all(|request| matches!(request, Request::Receive { .. }));
        if only_receives && matches!(self.file.has_nothing(), Ok(true)) {
            for request in requests {
                if let Request::Receive { requests, reply, .. } = request {
                    let _ = reply.send(Ok(Received { messages: no_messages(), requests }));
                }
            }
            return;
        }
        // What the same transaction releases counts as held until its end: a receive after that would take it and not hand it
        // out.
        requests.sort_by_key(|request| !matches!(request, Request::Receive { .. }));
        // What is lost with the power, of the rest, is that messages were received or deleted: they come again.
        let durable = requests.iter().any(|request| matches!(request, Request::Send { .. }));
        let mut batch = Batch { error: self.file.begin(durable).err(), ..Batch::default() };
        for request in requests {
            self.run_one(request, &mut batch);
        }
        let committed = match batch.error {
            None => self.file.commit(),
            Some(error) => Err(error),
        };
        match &committed {
            Ok(()) => {
                let now = Instant::now();
                self.held.extend(batch.received.into_iter().map(|handle| (handle, now)));
                for handle in batch.settled {
                    self.held.remove(&handle);
                }
            }
            Err(_) => self.file.roll_back(),
        }
        for answer in batch.answers {
            answer(committed.clone());
        }
    }

    fn run_one(&mut self, request: Request, batch: &mut Batch) {
        match request {
            Request::Receive { max_messages, max_bytes, requests, reply } => {
                let messages = batch.run(|| self.file.receive(max_messages, max_bytes, &self.held));
                batch.received.extend(messages.iter().flat_map(handles));
                batch.answer(reply, messages.map(|messages| Received { messages, requests }));
            }
            Request::Delete { handles, reply } => {
                let deleted = batch.run(|| self.file.delete(&handles));
                batch.settled.extend(handles);
                batch.answer(reply, deleted);
            }
            Request::Release { handles, reply } => {
                let released = batch.run(|| self.file.release(&handles));
                batch.settled.extend(handles);
                if let Some(reply) = reply {
                    batch.answer(reply, released);
                }
            }
            Request::Send { messages, reply } => match outgoing::check(&messages) {
                Ok(()) => {
                    let sent = batch.run(|| self.file.send(&messages));
                    batch.answer(reply, sent);
                }
                // Whoever asked may have given up.
                Err(error) => drop(reply.send(Err(error))),
            },
            Request::Depth { reply } => {
                let depth = batch.run(|| self.file.depth());
                batch.answer(reply, depth);
            }
        }
    }

    /// Says that this process lives, and gives back what it has held for too long. It stays known as held: received
    /// again by this process, it is not handed out a second time.
    fn beat(&mut self) -> Result<(), QueueError> {
        if self.held.is_empty() {
            return Ok(());
        }
        // One beat early, so that it is before the limit.
        let longest = self.grant.max_hold.saturating_sub(self.grant.visibility / BEATS);
        let now = Instant::now();
        let overdue: Vec<u64> =
            self.held.iter().filter(|(_, since)| now - **since >= longest).map(|(handle, _)| *handle).collect();
        self.file.begin(false)?;
        let done = self.file.beat().and_then(|()| self.file.release(&overdue)).and_then(|()| self.file.commit());
        match &done {
            Ok(()) => self.held.extend(overdue.into_iter().map(|handle| (handle, now))),
            Err(_) => self.file.roll_back(),
        }
        done
    }
}

impl Batch {
    /// Runs a request, unless one before it broke the transaction.
    fn run<T>(&mut self, request: impl FnOnce() -> Result<T, QueueError>) -> Option<T> {
        if self.error.is_some() {
            return None;
        }
        request().map_err(|error| self.error = Some(error)).ok()
    }

    fn answer<T: 'static>(&mut self, reply: Reply<T>, done: Option<T>) {
        self.answers.push(Box::new(move |committed| {
            let answer = match (committed, done) {
                (Ok(()), Some(value)) => Ok(value),
                (Err(error), _) => Err(error),
                // Not committed and no error: there is no such thing, and who asked sees that no answer came.
                (Ok(()), None) => return,
            };
            // Whoever asked may have given up.
            let _ = reply.send(answer);
        }));
    }
}

fn handles(messages: &Messages) -> Vec<u64> {
    messages.entries.iter().map(|message| message.handle).collect()
}
