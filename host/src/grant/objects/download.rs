//! An object being read.

use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::GetResultPayload;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::bucket::{Bucket, Part};
use super::error::StoreError;

/// An object being read from its beginning, decompressed. Memory does not depend on its size: bytes are decompressed as
/// they are asked for.
pub struct Download {
    key: String,
    /// `None` once it failed.
    content: Option<Content>,
}

enum Content {
    /// Not looked at yet.
    Stored(Box<dyn BufRead + Send>),
    /// What decompresses it.
    Plain(Box<dyn Read + Send>),
}

/// More than this is not read at once, whatever is asked for.
const MOST_BYTES: usize = 16 << 20;

impl Download {
    /// An object of a folder.
    pub(super) fn stored(key: &str, payload: GetResultPayload) -> Download {
        let runtime = Handle::current();
        match payload {
            GetResultPayload::File(file, _) => Download::new(key, file),
            GetResultPayload::Stream(stream) => Download::new(key, Chunks { stream, chunk: Bytes::new(), runtime }),
        }
    }

    /// An object of a bucket.
    pub(super) fn parts(key: &str, parts: Parts) -> Download {
        Download::new(key, parts)
    }

    fn new(key: &str, stored: impl Read + Send + 'static) -> Download {
        let stored = Box::new(BufReader::with_capacity(1 << 16, stored));
        Download { key: key.to_owned(), content: Some(Content::Stored(stored)) }
    }

    /// The same with the bytes as they are stored. Only before anything was read.
    pub(super) fn undecoded(self) -> Download {
        let content = self.content.map(|content| match content {
            Content::Stored(stored) => Content::Plain(Box::new(stored)),
            plain @ Content::Plain(_) => plain,
        });
        Download { content, ..self }
    }

    /// The next bytes, at most `max_bytes`; empty at the end.
    ///
    /// # Errors
    ///
    /// The content is damaged, or the store fails. It cannot be read on.
    pub async fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, StoreError> {
        let broken = || StoreError::Permanent(format!("the object `{}` failed before and cannot be read on", self.key));
        let content = self.content.take().ok_or_else(broken)?;
        let max_bytes = max_bytes.min(MOST_BYTES);
        let read = tokio::task::spawn_blocking(move || read(content, max_bytes)).await;
        match read.map_err(|error| StoreError::Failed(error.to_string()))? {
            Ok((bytes, content)) => {
                self.content = Some(content);
                Ok(bytes)
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    fn error(&self, error: &io::Error) -> StoreError {
        if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<StoreError>()) {
            return error.clone();
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                StoreError::Permanent(format!("the object `{}` is damaged: {error}", self.key))
            }
            // zstd reports what it finds wrong as `Other`.
            io::ErrorKind::Other => StoreError::Permanent(format!("the object `{}` is damaged: {error}", self.key)),
            _ => StoreError::Failed(format!("the object `{}` cannot be read: {error}", self.key)),
        }
    }
}

fn read(content: Content, max_bytes: usize) -> io::Result<(Vec<u8>, Content)> {
    let mut plain = match content {
        Content::Stored(stored) => decoder(stored)?,
        Content::Plain(plain) => plain,
    };
    let mut bytes = Vec::new();
    plain.by_ref().take(max_bytes as u64).read_to_end(&mut bytes)?;
    Ok((bytes, Content::Plain(plain)))
}

/// By the first bytes: names lie.
fn decoder(mut stored: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(4);
    stored.by_ref().take(4).read_to_end(&mut first)?;
    let is_gzip = first.starts_with(&[0x1f, 0x8b]);
    let is_zstd = first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = Read::chain(io::Cursor::new(first), stored);
    Ok(match (is_gzip, is_zstd) {
        (true, _) => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        _ => Box::new(whole),
    })
}

/// An object of a bucket as a reader, on a thread that may block. It is fetched part by part, so that a guest that takes
/// its time holds no connection open; that all parts are of one state, the bucket checks.
pub(super) struct Parts {
    bucket: Bucket,
    key: String,
    path: Path,
    part: Part,
    /// Where the next part begins.
    next: u64,
    runtime: Handle,
}

/// Bytes of an object that are fetched at a time, and held in memory.
const PART_BYTES: u64 = 8 << 20;

impl Parts {
    /// Fetches the first part, unless it is there already.
    pub(super) async fn open(bucket: Bucket, key: &str, path: Path, first: Option<Part>) -> Result<Parts, StoreError> {
        let part = match first {
            Some(part) => part,
            None => {
                let first = bucket.part(&path, 0..PART_BYTES, None).await;
                first.map_err(|error| StoreError::new(key, error).at(bucket.place()))?
            }
        };
        let next = part.bytes.len() as u64;
        Ok(Parts { bucket, key: key.to_owned(), path, part, next, runtime: Handle::current() })
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.bytes.is_empty() && self.next < self.part.size {
            let (range, etag) = (self.next..self.next + PART_BYTES, self.part.etag.clone());
            let part = self.runtime.block_on(self.bucket.part(&self.path, range, etag));
            let failed = |error| io::Error::other(StoreError::new(&self.key, error).at(self.bucket.place()));
            self.part = part.map_err(failed)?;
            if self.part.bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.next += self.part.bytes.len() as u64;
        }
        Ok(take(&mut self.part.bytes, buffer))
    }
}

/// A stream of chunks as a reader, on a thread that may block.
struct Chunks {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
    runtime: Handle,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(chunk) => self.chunk = chunk.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?,
                None => return Ok(0),
            }
        }
        Ok(take(&mut self.chunk, buffer))
    }
}

fn take(bytes: &mut Bytes, buffer: &mut [u8]) -> usize {
    let length = buffer.len().min(bytes.len());
    bytes.split_to(length).copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
    length
}
