//! An object being read.

use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::GetResultPayload;
use tokio::runtime::Handle;

use super::store::StoreError;

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
    pub(super) fn new(key: &str, payload: GetResultPayload) -> Download {
        let stored: Box<dyn Read + Send> = match payload {
            GetResultPayload::File(file, _) => Box::new(file),
            GetResultPayload::Stream(stream) => {
                Box::new(Chunks { stream, chunk: Bytes::new(), runtime: Handle::current() })
            }
        };
        let stored = Box::new(BufReader::with_capacity(1 << 16, stored));
        Download { key: key.to_owned(), content: Some(Content::Stored(stored)) }
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
        let length = buffer.len().min(self.chunk.len());
        self.chunk.split_to(length).copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}
