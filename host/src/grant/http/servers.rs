//! Which of several equal servers gets a request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

/// How long a server that could not be reached is left out.
const REST: Duration = Duration::from_secs(10);

/// Equal servers: requests go round, past those that could not be reached lately.
pub(super) struct Servers {
    servers: Vec<Server>,
    turn: AtomicUsize,
}

/// One server.
pub(super) struct Server {
    pub(super) url: Url,
    /// Left out until then. It stays here until the server is reached.
    rests_until: Mutex<Option<Instant>>,
}

impl Servers {
    pub(super) fn new(urls: &[Url]) -> Servers {
        let server = |url: &Url| Server { url: url.clone(), rests_until: Mutex::new(None) };
        Servers { servers: urls.iter().map(server).collect(), turn: AtomicUsize::new(0) }
    }

    /// Every server, in the order in which a request tries them: from the one whose turn it is, and at the end those
    /// that rest, the one that rests longest first.
    pub(super) fn order(&self, now: Instant) -> Vec<&Server> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1);
        let (before, after) = self.servers.split_at(turn);
        let mut order: Vec<&Server> = after.iter().chain(before).collect();
        order.sort_by_key(|server| server.rests(now));
        order
    }

    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        self.servers.iter().map(|server| &server.url)
    }
}

impl Server {
    /// It could not be reached. Whether that is news.
    pub(super) fn rest(&self, now: Instant) -> bool {
        self.until().replace(now + REST).is_none()
    }

    /// It was reached.
    pub(super) fn resume(&self) {
        if self.until().take().is_some() {
            tracing::info!("{} can be reached again", self.url);
        }
    }

    fn rests(&self, now: Instant) -> Option<Instant> {
        self.until().filter(|until| *until > now)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
