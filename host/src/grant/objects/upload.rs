//! An object being written.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use fail::fail_point;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tempfile::{SpooledData, SpooledTempFile};

use super::Compression;
use super::error::StoreError;
use super::store::Store;

/// An object being written. Until it is committed it lies in memory, or if it is large in a file without a name, so that
/// dropped, or at a crash, it leaves nothing behind.
pub struct Upload {
    store: Store,
    /// `None` once it is committed or has failed.
    content: Option<Box<Content>>,
}

struct Content {
    encoder: Encoder,
    hash: Sha256,
}

enum Encoder {
    None(SpooledTempFile),
    Gzip(GzEncoder<SpooledTempFile>),
    Zstd(zstd::stream::write::Encoder<'static, SpooledTempFile>),
}

/// From this size on, compressed, an object lies in a file until it is committed.
const IN_MEMORY_BYTES: usize = 8 << 20;

/// Bytes of such a file that are handed to the store at a time: to a bucket in one request each.
const PART_BYTES: usize = 8 << 20;

/// So many parts are on their way at the same time, each in memory.
const PARTS_AT_ONCE: usize = 4;

impl Upload {
    pub(super) fn new(store: Store, compression: Compression) -> Result<Upload, StoreError> {
        let spool = SpooledTempFile::new(IN_MEMORY_BYTES);
        let encoder = match compression {
            Compression::None => Encoder::None(spool),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(spool, flate2::Compression::default())),
            Compression::Zstd => {
                Encoder::Zstd(zstd::stream::write::Encoder::new(spool, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(disk)?)
            }
        };
        Ok(Upload { store, content: Some(Box::new(Content { encoder, hash: Sha256::new() })) })
    }

    /// More bytes, uncompressed.
    ///
    /// # Errors
    ///
    /// It is committed or failed before, or the disk is full.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut content = self.take()?;
        let written = tokio::task::spawn_blocking(move || {
            content.hash.update(&bytes);
            content.encoder.write_all(&bytes).map(|()| content)
        });
        self.content = Some(written.await.map_err(|error| StoreError::Failed(error.to_string()))?.map_err(disk)?);
        Ok(())
    }

    /// Makes the object visible, whole and durable, replacing one that has the key. `{hash}` in `key` stands for the
    /// first 16 hexadecimal digits of the SHA-256 of the uncompressed content. Returns the key.
    ///
    /// # Errors
    ///
    /// The key cannot be one (it may be committed again under another), it is committed or failed before, or the store
    /// fails.
    pub async fn commit(&mut self, key: &str) -> Result<String, StoreError> {
        let content = self.take()?;
        let key = key.replace("{hash}", &short_hash(&content.hash));
        let path = match self.store.path(&key) {
            Ok(path) => path,
            Err(error) => {
                self.content = Some(content);
                return Err(error);
            }
        };
        let finished = tokio::task::spawn_blocking(move || content.encoder.finish());
        let spool = finished.await.map_err(|error| StoreError::Failed(error.to_string()))?.map_err(disk)?;
        send(&self.store, &key, &path, spool).await.map(|()| key)
    }

    fn take(&mut self) -> Result<Box<Content>, StoreError> {
        let used = || StoreError::Permanent("the upload is committed, or failed before".to_owned());
        self.content.take().ok_or_else(used)
    }
}

impl Encoder {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::None(spool) => spool.write_all(bytes),
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// What was written, from its beginning.
    fn finish(self) -> io::Result<SpooledTempFile> {
        let mut spool = match self {
            Encoder::None(spool) => spool,
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
        };
        spool.rewind()?;
        Ok(spool)
    }
}

/// Writes the object, in parts if it lies in a file. Parts of an upload that fails are given up: they would be paid for.
async fn send(store: &Store, key: &str, path: &Path, spool: SpooledTempFile) -> Result<(), StoreError> {
    let failed = |error| store.error(key, error);
    let file = match spool.into_inner() {
        SpooledData::InMemory(content) => {
            fail_point!("before-object-commit", |_| crate::failpoint::stay("before-object-commit"));
            return store.inner().put(path, content.into_inner().into()).await.map(drop).map_err(failed);
        }
        SpooledData::OnDisk(file) => file,
    };
    let mut upload = store.inner().put_multipart(path).await.map_err(failed)?;
    let sent = send_parts(upload.as_mut(), file, &failed).await;
    if sent.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(key, %error, "parts of an upload may be left behind");
    }
    sent
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    file: File,
    failed: &(impl Fn(object_store::Error) -> StoreError + Sync),
) -> Result<(), StoreError> {
    let mut on_the_way = FuturesUnordered::new();
    let (mut part, mut file) = next_part(file).await?;
    while !part.is_empty() {
        if on_the_way.len() == PARTS_AT_ONCE {
            on_the_way.try_next().await.map_err(failed)?;
        }
        on_the_way.push(upload.put_part(part.into()));
        (part, file) = next_part(file).await?;
    }
    on_the_way.try_collect::<()>().await.map_err(failed)?;
    fail_point!("before-object-commit", |_| crate::failpoint::stay("before-object-commit"));
    upload.complete().await.map(drop).map_err(failed)
}

async fn next_part(mut file: File) -> Result<(Vec<u8>, File), StoreError> {
    let part = tokio::task::spawn_blocking(move || {
        let mut part = Vec::with_capacity(PART_BYTES);
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).map(|_| (part, file))
    });
    part.await.map_err(|error| StoreError::Failed(error.to_string()))?.map_err(disk)
}

fn short_hash(hash: &Sha256) -> String {
    hash.clone().finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn disk(error: io::Error) -> StoreError {
    StoreError::Failed(format!("an upload cannot be kept: {error}"))
}
