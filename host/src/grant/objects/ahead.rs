//! Objects fetched before they are opened: one after the other, each of many small objects would cost a round trip.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Part};

/// The beginnings of the objects that will be opened next.
pub(super) struct Ahead {
    fetches: Mutex<VecDeque<Fetch>>,
    room: Arc<Semaphore>,
}

/// An object's beginning on its way. Dropped, it is given up.
struct Fetch {
    path: Path,
    part: JoinHandle<Option<Part>>,
}

/// So many objects are fetched ahead at most, and so many bytes of each: together 16 MiB.
const OBJECTS: usize = 64;
const BYTES: u64 = 256 << 10;

/// So many at the same time.
const AT_ONCE: usize = 16;

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead { fetches: Mutex::default(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Begins to fetch these, as far as there is room. What is on its way and not among them is given up.
    pub(super) fn plan(&self, bucket: &Bucket, paths: Vec<Path>) {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *fetches);
        fetches.extend(paths.into_iter().take(OBJECTS).map(|path| {
            let known = before.iter().position(|fetch| fetch.path == path);
            known.and_then(|index| before.remove(index)).unwrap_or_else(|| self.fetch(bucket, path))
        }));
    }

    /// The beginning of an object that was planned. `None`: it was not, or could not be fetched.
    pub(super) async fn take(&self, path: &Path) -> Option<Part> {
        let mut fetch = {
            let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            let index = fetches.iter().position(|fetch| fetch.path == *path)?;
            fetches.remove(index)?
        };
        (&mut fetch.part).await.ok().flatten()
    }

    fn fetch(&self, bucket: &Bucket, path: Path) -> Fetch {
        let (bucket, wanted, room) = (bucket.clone(), path.clone(), self.room.clone());
        let part = tokio::spawn(async move {
            let _permit = room.acquire_owned().await.ok()?;
            // An error shows when the object is opened, which asks again.
            bucket.part(&wanted, 0..BYTES, None).await.ok()
        });
        Fetch { path, part }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.part.abort();
    }
}
