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

/// An object of more bytes goes in parts.
const AT_ONCE_BYTES: usize = 8 << 20;

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
        if content.len() > AT_ONCE_BYTES {
            let mut upload = self.create(Compression::None)?;
            upload.write(content).await?;
            return upload.commit(key).await.map(drop);
        }
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

    /// An object's bytes as they are stored, from its beginning.
    ///
    /// # Errors
    ///
    /// There is none, the key cannot be one, or the store fails.
    pub async fn open_stored(&self, key: &str) -> Result<Download, StoreError> {
        self.open_object(key).await.map(Download::undecoded)
    }

    /// How many bytes of an object are stored.
    ///
    /// # Errors
    ///
    /// There is none, the key cannot be one, or the store fails.
    pub async fn size(&self, key: &str) -> Result<u64, StoreError> {
        let head = self.inner.head(&self.path(key)?).await;
        head.map(|meta| meta.size).map_err(|error| self.error(key, error))
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
