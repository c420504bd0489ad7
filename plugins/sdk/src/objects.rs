//! A store of objects: Amazon S3, or a folder. Keys are relative to the binding's own prefix, with `/` between parts.
//!
//! `binding` is always the name that the stage's bindings list.

use std::io;

use crate::CapabilityError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::objects as host;
pub use crate::bindings::objects::{Compression, Object};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::objects as host;

/// How much a [`Download`] or an [`Upload`] moves at once.
const CHUNK: usize = 1 << 20;

/// Objects whose keys begin with `prefix` (any text, not only whole folders) and come after `start_after` in byte order,
/// at most `max` of them, in byte order of their keys.
pub fn list(binding: &str, prefix: &str, start_after: Option<&str>, max: u32) -> Result<Vec<Object>, CapabilityError> {
    Ok(host::list(binding, prefix, start_after, max)?)
}

/// Opens an object for reading from its beginning. gzip and zstd are undone by the host, which looks at the first bytes,
/// not at the name.
pub fn open(binding: &str, key: &str) -> Result<Download, CapabilityError> {
    Ok(Download { host: host::open(binding, key)?, chunk: Vec::new(), read: 0 })
}

/// Says which objects will be opened next, in this order. The host may fetch some of them meanwhile, as they are now; it
/// forgets what was said before.
pub fn read_ahead(binding: &str, keys: &[String]) -> Result<(), CapabilityError> {
    Ok(host::read_ahead(binding, keys)?)
}

/// Begins an object, compressed by the host.
pub fn create(binding: &str, compression: Compression) -> Result<Upload, CapabilityError> {
    Ok(Upload { host: host::create(binding, compression)?, buffer: Vec::new() })
}

/// Deletes objects. One that is not there counts as deleted. Returns those that failed.
pub fn delete(binding: &str, keys: &[String]) -> Result<Vec<ItemError>, CapabilityError> {
    let failed = host::delete(binding, keys)?;
    Ok(failed.into_iter().map(|item| ItemError { index: item.index as usize, error: item.error.into() }).collect())
}

/// An object being read, by [`io::BufRead`]: the bytes as they were before any compression.
pub struct Download {
    host: host::Download,
    chunk: Vec<u8>,
    read: usize,
}

/// A [`CapabilityError`] is inside the error.
impl io::BufRead for Download {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read >= self.chunk.len() {
            self.chunk = self.host.read(CHUNK as u32).map_err(CapabilityError::from)?;
            self.read = 0;
        }
        Ok(self.chunk.get(self.read..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl io::Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = io::BufRead::fill_buf(self)?;
        let amount = io::Read::read(&mut rest, buffer)?;
        self.read += amount;
        Ok(amount)
    }
}

/// An object being written. Dropped without [`Upload::commit`], it leaves nothing behind.
pub struct Upload {
    host: host::Upload,
    /// What the host has not been given yet: it takes large pieces at less cost.
    buffer: Vec<u8>,
}

impl Upload {
    /// Adds bytes, uncompressed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CapabilityError> {
        if self.buffer.len() + bytes.len() > CHUNK {
            self.send()?;
        }
        // What one call hands over the host has to hold twice.
        let mut pieces = bytes.chunks(CHUNK);
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.host.write(piece)?;
        }
        self.buffer.extend_from_slice(last);
        Ok(())
    }

    /// Makes the object visible, whole and durable, replacing one that has the key. `{hash}` in `key` stands for the
    /// first 16 hexadecimal digits of the SHA-256 of the uncompressed content. Returns the key.
    pub fn commit(mut self, key: &str) -> Result<String, CapabilityError> {
        self.send()?;
        Ok(self.host.commit(key)?)
    }

    fn send(&mut self) -> Result<(), CapabilityError> {
        if !self.buffer.is_empty() {
            self.host.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// A [`CapabilityError`] is inside the error. `flush` sends nothing: only [`Upload::commit`] makes the object.
impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Upload::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One object of a list that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Its place in the list of the call.
    pub index: usize,
    /// Why.
    pub error: CapabilityError,
}
