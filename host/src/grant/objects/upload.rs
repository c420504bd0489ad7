//! An object being written.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use flate2::write::GzEncoder;
use object_store::buffered::BufWriter;
use sha2::{Digest, Sha256};
use tempfile::{SpooledData, SpooledTempFile};
use tokio::io::AsyncWriteExt;

use super::Compression;
use super::store::{Store, StoreError, from_store, path};

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

/// Bytes that are handed to the store at a time.
const PART_BYTES: usize = 8 << 20;

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
        let path = match path(&key) {
            Ok(path) => path,
            Err(error) => {
                self.content = Some(content);
                return Err(error);
            }
        };
        let finished = tokio::task::spawn_blocking(move || content.encoder.finish());
        let spool = finished.await.map_err(|error| StoreError::Failed(error.to_string()))?.map_err(disk)?;
        let mut object = BufWriter::with_capacity(self.store.inner(), path, PART_BYTES);
        match spool.into_inner() {
            SpooledData::InMemory(whole) => {
                object.put(whole.into_inner().into()).await.map_err(|error| from_store(&key, error))?;
            }
            SpooledData::OnDisk(mut file) => loop {
                let part = tokio::task::spawn_blocking(move || next_part(&mut file).map(|part| (part, file)));
                let (part, rest) = part.await.map_err(|error| StoreError::Failed(error.to_string()))?.map_err(disk)?;
                file = rest;
                if part.is_empty() {
                    break;
                }
                object.put(part.into()).await.map_err(|error| from_store(&key, error))?;
            },
        }
        object.shutdown().await.map_err(|error| StoreError::Failed(format!("`{key}` cannot be written: {error}")))?;
        Ok(key)
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

fn next_part(file: &mut File) -> io::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(PART_BYTES);
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}

fn short_hash(hash: &Sha256) -> String {
    hash.clone().finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn disk(error: io::Error) -> StoreError {
    StoreError::Failed(format!("an upload cannot be kept: {error}"))
}
