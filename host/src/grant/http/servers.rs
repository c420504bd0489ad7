//! Which of several equal servers gets a request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

/// How long a server that gave no answer is left out at least.
const REST: Duration = Duration::from_secs(10);

/// How long the one request that finds out whether a server is back keeps others from it, where nothing comes of it.
const TRIAL: Duration = Duration::from_secs(60);

/// Equal servers: requests go round, past those that gave no answer lately.
pub(super) struct Servers {
    servers: Vec<Server>,
    turn: AtomicUsize,
}

/// One server.
pub(super) struct Server {
    pub(super) url: Url,
    /// Left out until then. It stays here until the server answers.
    rests_until: Mutex<Option<Instant>>,
}

impl Servers {
    pub(super) fn new(urls: &[Url]) -> Servers {
        let server = |url: &Url| Server { url: url.clone(), rests_until: Mutex::new(None) };
        Servers { servers: urls.iter().map(server).collect(), turn: AtomicUsize::new(0) }
    }

    /// Every server, in the order in which a request tries them: from the one whose turn it is, and at the end those
    /// that rest, the one that rests longest first. Where the first one comes from its rest, it rests on for all others until
    /// this request has its answer: one alone waits for a server that is not back.
    pub(super) fn order(&self, now: Instant) -> Vec<&Server> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1);
        let (before, after) = self.servers.split_at(turn);
        let mut order: Vec<&Server> = after.iter().chain(before).collect();
        order.sort_by_key(|server| server.rests(now));
        if let Some(first) = order.first() {
            first.try_out(now);
        }
        order
    }

    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        self.servers.iter().map(|server| &server.url)
    }
}

impl Server {
    /// It gave no answer to a request that began then. Whether that is news. It rests for as long as it let that one wait,
    /// so that one that hangs costs at most half of one worker's time.
    pub(super) fn rest(&self, began: Instant, now: Instant) -> bool {
        self.until().replace(now + REST.max(now - began)).is_none()
    }

    /// It answered.
    pub(super) fn resume(&self) {
        if self.until().take().is_some() {
            tracing::info!("{} answers again", self.url);
        }
    }

    fn try_out(&self, now: Instant) {
        if let Some(until) = self.until().as_mut().filter(|until| **until <= now) {
            *until = now + TRIAL;
        }
    }

    fn rests(&self, now: Instant) -> Option<Instant> {
        self.until().filter(|until| *until > now)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
