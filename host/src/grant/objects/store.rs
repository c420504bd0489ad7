//! The objects of one grant, also for the host itself (dead letters).

use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::ahead::Ahead;
use super::bucket::Bucket;
use super::download::{Download, Parts};
use super::error::StoreError;
use super::listing::{self, Walk};
use super::upload::Upload;
use super::{Compression, Object};
use crate::pipeline::ObjectsGrant;

/// A store of objects. Clones share everything.
///
/// In a folder an object is written beside its place, flushed to the disk and renamed, so it is there whole or not at
/// all. What a crash leaves behind is named `KEY#NUMBER`, which no object's key is: it is never listed. In a bucket, a
/// crash can leave parts of an upload behind, which no list shows and which the bucket's lifecycle rules remove.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    place: Place,
}

/// What is not the same everywhere.
#[derive(Clone)]
enum Place {
    Folder(Arc<Mutex<Option<Walk>>>),
    Bucket(Bucket, Arc<Ahead>),
}

/// So many objects S3 deletes in one request.
const DELETE_AT_ONCE: usize = 1000;

impl Store {
    /// Opens the store; makes the folder if it is not there. Whether a bucket is there shows when it is used.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or the bucket's region cannot be found out.
    pub async fn open(grant: &ObjectsGrant) -> Result<Store, StoreError> {
        let path = match grant {
            ObjectsGrant::Folder(path) => path,
            ObjectsGrant::S3(grant) => {
                let bucket = Bucket::open(grant).await?;
                return Ok(Store { inner: bucket.client(), place: Place::Bucket(bucket, Arc::new(Ahead::new())) });
            }
        };
        let failed = |error: String| StoreError::Failed(format!("{}: {error}", path.display()));
        tokio::fs::create_dir_all(path).await.map_err(|error| failed(error.to_string()))?;
        let local = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.to_string()))?;
        Ok(Store { inner: Arc::new(local.with_fsync(true)), place: Place::Folder(Arc::default()) })
    }

    /// Makes an object, whole and durable, or replaces the one that has this key.
    ///
    /// # Errors
    ///
    /// The key cannot be one, or the store fails.
    pub async fn put(&self, key: &str, content: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.inner.put(&path, PutPayload::from(content)).await.map(drop).map_err(|error| self.error(key, error))
    }

    /// An object's bytes, decompressed, from its beginning.
    ///
    /// # Errors
    ///
    /// There is none, the key cannot be one, or the store fails.
    pub async fn open_object(&self, key: &str) -> Result<Download, StoreError> {
        let path = self.path(key)?;
        let Place::Bucket(bucket, ahead) = &self.place else {
            let object = self.inner.get(&path).await.map_err(|error| self.error(key, error))?;
            return Ok(Download::stored(key, object.payload));
        };
        let first = ahead.take(&path).await;
        let parts = Parts::open(bucket.clone(), key, path, first).await?;
        Ok(Download::parts(key, parts))
    }

    /// Says which objects will be opened next, in this order: a bucket's are fetched meanwhile, as far as there is room.
    /// What was said before and is not among them is forgotten.
    pub fn read_ahead(&self, keys: &[String]) {
        if let Place::Bucket(bucket, ahead) = &self.place {
            ahead.plan(bucket, keys.iter().filter_map(|key| self.path(key).ok()).collect());
        }
    }

    /// An object's whole content, decompressed. Only for objects that fit in memory.
    ///
    /// # Errors
    ///
    /// There is none, it is damaged, the key cannot be one, or the store fails.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let mut download = self.open_object(key).await?;
        let mut content = Vec::new();
        loop {
            let bytes = download.read(1 << 20).await?;
            if bytes.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(&bytes);
        }
    }

    /// Begins an object.
    ///
    /// # Errors
    ///
    /// The compressor cannot be set up.
    pub fn create(&self, compression: Compression) -> Result<Upload, StoreError> {
        Upload::new(self.clone(), compression)
    }

    /// Objects whose keys begin with `prefix` and come after `start_after`, at most `max`, in byte order of their keys.
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn list(&self, prefix: &str, start_after: Option<&str>, max: usize) -> Result<Vec<Object>, StoreError> {
        let start_after = start_after.unwrap_or_default();
        match &self.place {
            Place::Folder(walk) => listing::list(self.inner.as_ref(), prefix, start_after, max, walk).await,
            Place::Bucket(bucket, _) => bucket.list(prefix, start_after, max).await,
        }
    }

    /// Deletes an object. One that is not there counts as deleted.
    ///
    /// # Errors
    ///
    /// The key cannot be one, or the store fails.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.inner.delete(&self.path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(key, error)),
        }
    }

    /// Deletes objects, many at once. One that is not there counts as deleted. Returns those that failed, by their place
    /// in `keys`.
    pub async fn delete_all(&self, keys: &[String]) -> Vec<(usize, StoreError)> {
        let mut failed = Vec::new();
        let mut paths = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            match self.path(key) {
                Ok(path) => paths.push((index, path)),
                Err(error) => failed.push((index, error)),
            }
        }
        for chunk in paths.chunks(DELETE_AT_ONCE) {
            let wanted: Vec<_> = chunk.iter().map(|(_, path)| Ok(path.clone())).collect();
            let outcome = |result: object_store::Result<Path>| match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.error("", error)),
            };
            let outcomes: Vec<_> = self.inner.delete_stream(stream::iter(wanted).boxed()).map(outcome).collect().await;
            for (number, (index, _)) in chunk.iter().enumerate() {
                // A request that fails as a whole gives one error for all of its objects.
                if let Some(Err(error)) = outcomes.get(number).or(outcomes.last()) {
                    failed.push((*index, error.clone()));
                }
            }
        }
        failed
    }

    pub(super) fn inner(&self) -> Arc<dyn ObjectStore> {
        self.inner.clone()
    }

    /// Where the key's object is. Nothing outside the store has a path.
    pub(super) fn path(&self, key: &str) -> Result<Path, StoreError> {
        let refused = |why: &str| StoreError::Permanent(format!("`{key}` cannot be an object's key: {why}"));
        if key.is_empty() {
            return Err(refused("it is empty"));
        }
        if key.starts_with('/') || key.ends_with('/') {
            return Err(refused("it begins or ends with `/`"));
        }
        if key.chars().any(char::is_control) {
            return Err(refused("it has control characters"));
        }
        let path = match &self.place {
            Place::Folder(_) if is_unfinished(key) => {
                return Err(refused("`#` and a number at its end mark unfinished objects"));
            }
            Place::Folder(_) => Path::parse(key),
            Place::Bucket(bucket, _) => Path::parse(bucket.key(key)),
        };
        path.map_err(|error| refused(&error.to_string()))
    }

    /// What the store said of a call for this key.
    pub(super) fn error(&self, key: &str, error: object_store::Error) -> StoreError {
        let error = StoreError::new(key, error);
        match &self.place {
            Place::Folder(_) => error,
            Place::Bucket(bucket, _) => error.at(bucket.place()),
        }
    }
}

/// Whether a file of this name may be what a crash left of an object.
fn is_unfinished(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('#').is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&ObjectsGrant::Folder(folder.path().join("objects"))).await.unwrap()
    }

    async fn keys(store: &Store, prefix: &str, start_after: Option<&str>, max: usize) -> Vec<String> {
        store.list(prefix, start_after, max).await.unwrap().into_iter().map(|object| object.key).collect()
    }

    #[tokio::test]
    async fn a_list_is_in_byte_order_of_whole_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        // `-` and `.` come before `/`, digits after it.
        let sorted = ["a-b", "a.txt", "a/b/c", "a/z", "a0", "account=1/x", "b", "é"];
        for key in sorted.iter().rev() {
            store.put(key, b"content".to_vec()).await.unwrap();
        }
        let cases: [(&str, Option<&str>, usize, &[&str]); 8] = [
            ("", None, 100, &sorted),
            ("", None, 3, &sorted[..3]),
            ("", Some("a/b/c"), 2, &sorted[3..5]),
            ("", Some("a/m"), 1, &["a/z"]),
            ("a/", None, 100, &["a/b/c", "a/z"]),
            ("a", Some("a/z"), 100, &["a0", "account=1/x"]),
            ("acc", None, 100, &["account=1/x"]),
            ("nothing/here", None, 100, &[]),
        ];
        for (prefix, start_after, max, expected) in cases {
            assert_eq!(keys(&store, prefix, start_after, max).await, expected, "{prefix} {start_after:?} {max}");
        }
    }

    #[tokio::test]
    async fn pages_make_the_whole_list() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let mut expected = Vec::new();
        for number in 0..60 {
            let key = format!("day={}/part-{number}", number % 7);
            store.put(&key, Vec::new()).await.unwrap();
            expected.push(key);
        }
        expected.sort_unstable();
        for size in [1, 7, 20, 60, 61] {
            let mut pages: Vec<String> = Vec::new();
            loop {
                let page = keys(&store, "day=", pages.last().map(String::as_str), size).await;
                if page.is_empty() {
                    break;
                }
                assert!(page.len() <= size);
                pages.extend(page);
            }
            assert_eq!(pages, expected, "pages of {size}");
        }
    }

    #[tokio::test]
    async fn an_upload_that_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let mut upload = store.create(Compression::Zstd).unwrap();
        upload.write(vec![7; 20_000_000]).await.unwrap();
        drop(upload);
        assert_eq!(std::fs::read_dir(folder.path().join("objects")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_crash_left_is_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        std::fs::write(folder.path().join("objects/half.zst#1"), b"half").unwrap();
        assert_eq!(keys(&store, "", None, 10).await, Vec::<String>::new());
        assert!(matches!(store.put("half.zst#1", Vec::new()).await, Err(StoreError::Permanent(_))));
    }

    #[tokio::test]
    async fn content_comes_back_whatever_the_compression() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let line = b"{\"sha256\":\"...\",\"raw\":\"...\"}\n";
        let content: Vec<u8> = line.repeat(100_000);
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut upload = store.create(compression).unwrap();
            for part in content.chunks(700_001) {
                upload.write(part.to_vec()).await.unwrap();
            }
            let key = upload.commit("x/part-{hash}.ndjson").await.unwrap();
            assert_eq!(key, format!("x/part-{}.ndjson", expected_hash(&content)));
            assert_eq!(store.get(&key).await.unwrap(), content, "{compression:?}");
            assert!(upload.commit("x/again").await.is_err(), "only once");
        }
        assert_eq!(keys(&store, "", None, 10).await.len(), 1, "the same content has the same key");
    }

    #[tokio::test]
    async fn several_members_are_read_as_one() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let mut gzip = Vec::new();
        let mut zst = Vec::new();
        for part in ["one ", "two"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
            zst.extend(zstd::encode_all(part.as_bytes(), 1).unwrap());
        }
        store.put("a.gz", gzip.clone()).await.unwrap();
        store.put("a.zst", zst).await.unwrap();
        store.put("short", b"x".to_vec()).await.unwrap();
        store.put("cut.gz", gzip[..gzip.len() - 3].to_vec()).await.unwrap();
        assert_eq!(store.get("a.gz").await.unwrap(), b"one two");
        assert_eq!(store.get("a.zst").await.unwrap(), b"one two");
        assert_eq!(store.get("short").await.unwrap(), b"x");
        assert!(matches!(store.get("cut.gz").await, Err(StoreError::Permanent(_))));
        assert!(matches!(store.get("none").await, Err(StoreError::NotFound(_))));
    }

    #[tokio::test]
    async fn a_key_stays_within_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        for key in ["", "/etc/passwd", "../outside", "a/../../outside", "a//b", "a/./b", "a/", "a\nb"] {
            assert!(matches!(store.put(key, Vec::new()).await, Err(StoreError::Permanent(_))), "{key:?}");
            assert!(matches!(store.get(key).await, Err(StoreError::Permanent(_))), "{key:?}");
        }
        assert!(!folder.path().join("outside").exists());
    }

    #[tokio::test]
    async fn deleting_what_is_not_there_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.put("a", b"1".to_vec()).await.unwrap();
        store.delete("a").await.unwrap();
        store.delete("a").await.unwrap();
        assert!(matches!(store.get("a").await, Err(StoreError::NotFound(_))));
    }

    fn expected_hash(content: &[u8]) -> String {
        use sha2::Digest;
        sha2::Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
