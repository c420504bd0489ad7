//! The objects of a folder in byte order of their keys.
//!
//! A folder lists its entries in no order, so it is walked level by level, and only where keys can be that are asked for:
//! a page of a large archive costs its own folders, not all of them, and a large folder is listed once for all its pages.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::Object;
use super::error::StoreError;

/// A page of a list, and where the next one goes on.
pub(super) struct Walk {
    prefix: String,
    /// The last key of the page.
    last: String,
    /// What is still to be looked at, the next one last.
    todo: Vec<Entry>,
    since: Instant,
}

/// A walk that nobody went on with for so long sees its folders anew.
const LONGEST_WALK: Duration = Duration::from_secs(60);

/// At most `max` objects whose keys begin with `prefix` and come after `start_after`. `walk` is where the last page of
/// this store ended: if this is the next one, its folders need not be listed again.
pub(super) async fn list(
    store: &dyn ObjectStore,
    prefix: &str,
    start_after: &str,
    max: usize,
    walk: &Mutex<Option<Walk>>,
) -> Result<Vec<Object>, StoreError> {
    let last_walk = walk.lock().unwrap_or_else(PoisonError::into_inner).take();
    let goes_on = |w: &Walk| w.prefix == prefix && w.last == start_after && w.since.elapsed() < LONGEST_WALK;
    let (mut todo, since) = match last_walk.filter(goes_on) {
        Some(walk) => (walk.todo, walk.since),
        None => {
            let top = prefix.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
            let Ok(top) = Path::parse(top) else { return Ok(Vec::new()) };
            (level(store, &top, prefix, start_after).await?, Instant::now())
        }
    };
    let mut found: Vec<Object> = Vec::new();
    while found.len() < max {
        match todo.pop() {
            Some(Entry::Object(meta)) => found.push(object(meta)),
            Some(Entry::Folder(path, _)) => todo.extend(level(store, &path, prefix, start_after).await?),
            None => return Ok(found),
        }
    }
    if let Some(object) = found.last() {
        let next = Walk { prefix: prefix.to_owned(), last: object.key.clone(), todo, since };
        *walk.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }
    Ok(found)
}

enum Entry {
    Object(ObjectMeta),
    /// Its path, and the beginning of all its keys.
    Folder(Path, String),
}

impl Entry {
    fn key(&self) -> &str {
        match self {
            Entry::Object(meta) => meta.location.as_ref(),
            Entry::Folder(_, beginning) => beginning,
        }
    }

    /// Whether it is, or may hold, an object that is asked for.
    fn is_wanted(&self, prefix: &str, start_after: &str) -> bool {
        let key = self.key();
        match self {
            Entry::Object(_) => key.starts_with(prefix) && key > start_after,
            Entry::Folder(..) => {
                let on_the_way = key.starts_with(prefix) || prefix.starts_with(key);
                on_the_way && (key > start_after || start_after.starts_with(key))
            }
        }
    }
}

/// What is in one folder and wanted, in reverse order.
async fn level(
    store: &dyn ObjectStore,
    folder: &Path,
    prefix: &str,
    start_after: &str,
) -> Result<Vec<Entry>, StoreError> {
    let listed = match store.list_with_delimiter(Some(folder)).await {
        Ok(listed) => listed,
        Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::new(folder.as_ref(), error)),
    };
    let folders = listed.common_prefixes.into_iter().map(|path| {
        let beginning = format!("{path}/");
        Entry::Folder(path, beginning)
    });
    let mut entries: Vec<Entry> = listed
        .objects
        .into_iter()
        .map(Entry::Object)
        .chain(folders)
        .filter(|entry| entry.is_wanted(prefix, start_after))
        .collect();
    entries.sort_unstable_by(|a, b| b.key().cmp(a.key()));
    Ok(entries)
}

fn object(meta: ObjectMeta) -> Object {
    Object {
        key: meta.location.into(),
        size: meta.size,
        modified: meta.last_modified.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0),
    }
}
