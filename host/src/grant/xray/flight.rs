//! Work that goes on when a stage stops waiting for it.
//!
//! A stage waits a second at a time, and what it asks for may take several calls, or a search of minutes. So what it asks for
//! is in flight until it has a verdict: who asks meanwhile waits for the same work, and a verdict that nobody waited for
//! is kept for a while for who asks next. It is handed out once: what is asked for after that is asked of AWS again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::accounts::{Items, Where};
use super::answers::Answers;
use super::failure::Failure;
use super::pace::Api;
use super::places::Place;
use super::{Answer, Error, Page};

/// Everything that is asked for with a grant. **What is in flight ends with it.**
#[derive(Default)]
pub(super) struct Flights {
    flights: Mutex<BTreeMap<Key, Flight>>,
    tasks: Mutex<JoinSet<()>>,
}

/// Something that a stage asks a place for.
pub(super) trait Item: Send + Sized + 'static {
    /// By what it is counted how many are in flight at a place.
    const API: Api;

    /// How many of them the same work is for, at most.
    const TOGETHER: usize = 1;

    /// Tells it from others of the place and the API.
    fn name(&self) -> String;

    /// Gets the verdict of each.
    fn fetch(place: Arc<Place>, items: Vec<(Self, Landing)>) -> impl Future<Output = ()> + Send;
}

type Key = (Api, Where, String);

/// `None` as long as there is no verdict.
type Flight = watch::Receiver<Option<Landed>>;

/// A verdict, and since when it is there.
struct Landed {
    at: Instant,
    verdict: Result<Page, Error>,
}

/// Where the verdict of an item goes. Dropped without one, it is asked for anew another time.
pub(super) struct Landing {
    sender: watch::Sender<Option<Landed>>,
    _room: Option<OwnedSemaphorePermit>,
}

/// An item with where its verdict goes among what was asked for.
type Asked<I> = (Key, (I, Vec<usize>));

/// How long a verdict is kept that nobody fetched: a source that gave a trace back to its queue takes it up again by then.
const KEPT: Duration = Duration::from_secs(120);

/// How many bytes of them are kept.
const KEPT_BYTES: usize = 64 << 20;

/// How long work may take: AWS searches for an hour at most.
const LONGEST: Duration = Duration::from_secs(3300);

impl Flights {
    /// Answers items of one place: where work goes on for one, with what comes of that. As many as the place has room for are
    /// begun at once, and the others as these land.
    pub(super) async fn ask<T, I>(&self, place: &Arc<Place>, at: &Where, items: Items<I>, answers: &Answers<T>)
    where
        T: From<Page>,
        I: Item,
    {
        let mut asked: BTreeMap<Key, (I, Vec<usize>)> = BTreeMap::new();
        for (index, item) in items {
            let key = (I::API, at.clone(), item.name());
            asked.entry(key).or_insert_with(|| (item, Vec::new())).1.push(index);
        }
        let (mut joined, mut new) = (Vec::new(), Vec::new());
        {
            let mut flights = self.flights();
            tidy(&mut flights);
            for (key, (item, indices)) in asked {
                match flights.get(&key) {
                    Some(flight) => joined.push(self.land(key, flight.clone(), indices, answers)),
                    None => new.push((key, (item, indices))),
                }
            }
        }
        let mut parts = Vec::new();
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(I::TOGETHER));
            parts.push(self.begin(place, std::mem::replace(&mut new, rest), answers));
        }
        futures::join!(join_all(joined), join_all(parts));
    }

    /// Begins work for these, once there is room, and answers them.
    async fn begin<T, I>(&self, place: &Arc<Place>, asked: Vec<Asked<I>>, answers: &Answers<T>)
    where
        T: From<Page>,
        I: Item,
    {
        let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        // Nobody closes it.
        let mut room = place.pace(I::API).items().acquire_many_owned(count).await.ok();
        let (mut begun, mut work) = (Vec::new(), Vec::new());
        {
            let mut flights = self.flights();
            for (key, (item, indices)) in asked {
                // Another call may have begun it meanwhile.
                let flight = flights.entry(key.clone()).or_insert_with(|| {
                    let (sender, flight) = watch::channel(None);
                    let room = room.as_mut().and_then(|room| room.split(1));
                    work.push((item, Landing { sender, _room: room }));
                    flight
                });
                begun.push(self.land(key, flight.clone(), indices, answers));
            }
        }
        drop(room);
        if !work.is_empty() {
            self.spawn(I::fetch(place.clone(), work));
        }
        join_all(begun).await;
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // What is not done by then is asked for anew.
            tokio::time::timeout(LONGEST, work).await.unwrap_or_default();
        });
    }

    /// Waits for a verdict and hands it out.
    async fn land<T: From<Page>>(&self, key: Key, mut flight: Flight, indices: Vec<usize>, answers: &Answers<T>) {
        let verdict = match flight.wait_for(Option::is_some).await {
            Ok(landed) => landed.as_ref().map(|landed| landed.verdict.clone()),
            Err(_) => None,
        };
        let mut flights = self.flights();
        // Another call may have taken it, and asked anew.
        if flights.get(&key).is_some_and(|other| other.same_channel(&flight)) {
            flights.remove(&key);
        }
        drop(flights);
        for index in indices {
            if let Some(verdict) = &verdict {
                answers.put(index, verdict.clone().map(T::from));
            }
        }
    }

    fn flights(&self) -> MutexGuard<'_, BTreeMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Landing {
    pub(super) fn land(self, verdict: Result<impl Into<Page>, Failure>) {
        let verdict = verdict.map(Into::into).map_err(|failure| failure.for_guest());
        self.sender.send_replace(Some(Landed { at: Instant::now(), verdict }));
    }
}

impl Landed {
    fn bytes(&self) -> usize {
        self.verdict.as_ref().map_or(0, |page| page.json.len())
    }
}

impl From<Answer> for Page {
    fn from(Answer { json, date }: Answer) -> Page {
        Page { json, date, next: None }
    }
}

impl From<Page> for Answer {
    fn from(Page { json, date, .. }: Page) -> Answer {
        Answer { json, date }
    }
}

/// Forgets what nobody fetched in time, the oldest of what is too much, and what came to no verdict.
fn tidy(flights: &mut BTreeMap<Key, Flight>) {
    let mut landed = Vec::new();
    flights.retain(|key, flight| match &*flight.borrow() {
        Some(it) if it.at.elapsed() >= KEPT => false,
        Some(it) => {
            landed.push((it.at, it.bytes(), key.clone()));
            true
        }
        None => flight.has_changed().is_ok(),
    });
    landed.sort_unstable();
    let mut bytes = 0;
    for (_, size, key) in landed.into_iter().rev() {
        bytes += size;
        if bytes > KEPT_BYTES {
            flights.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_fetches_is_not_kept_for_ever() {
        let mut flights = BTreeMap::new();
        let mut begin = |name: &str| {
            let (sender, flight) = watch::channel(None);
            flights.insert((Api::BatchGetTraces, Where::default(), name.to_owned()), flight);
            Landing { sender, _room: None }
        };
        let [first, second, small, _open, broken] = ["first", "second", "small", "open", "broken"].map(&mut begin);
        drop(broken);
        for (landing, bytes) in [(first, KEPT_BYTES / 2), (second, KEPT_BYTES / 2), (small, 1)] {
            landing.land(Ok(Answer { json: " ".repeat(bytes), date: 1 }));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut left = || {
            tidy(&mut flights);
            flights.keys().map(|(_, _, name)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(left(), ["open", "second", "small"]);
        tokio::time::advance(KEPT - Duration::from_secs(2)).await;
        assert_eq!(left(), ["open", "small"]);
        tokio::time::advance(KEPT).await;
        assert_eq!(left(), ["open"]);
    }
}
