//! gzip, on the thread at hand for little and on one that may block for much.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Measured with zlib-rs on bulk bodies of 5 MB: 593 MB/s at 7.5 to 1; level 2 makes 9.4 to 1 at 434 MB/s, level 3 10.8 to 1
/// at 351 MB/s. (miniz_oxide: 283 MB/s at 7.4 to 1.) Within a region the CPU is what is scarce.
const LEVEL: u32 = 1;

/// From so many bytes on it takes longer than an async thread should be kept.
const MUCH: usize = 64 << 10;

/// Why something is not decompressed.
#[derive(Debug)]
pub(super) enum Unreadable {
    TooLarge,
    Broken(io::Error),
}

/// Compresses.
pub(super) async fn compress(bytes: Bytes) -> io::Result<Bytes> {
    aside(bytes, |bytes| {
        let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(LEVEL));
        encoder.write_all(&bytes)?;
        Ok(encoder.finish()?.into())
    })
    .await?
}

/// Decompresses what has at most `limit` bytes.
pub(super) async fn decompress(bytes: Bytes, limit: usize) -> Result<Bytes, Unreadable> {
    let read = move |bytes: Bytes| {
        let mut whole = Vec::new();
        let mut decoder = MultiGzDecoder::new(&*bytes).take(limit as u64 + 1);
        decoder.read_to_end(&mut whole).map_err(Unreadable::Broken)?;
        if whole.len() > limit { Err(Unreadable::TooLarge) } else { Ok(whole.into()) }
    };
    aside(bytes, read).await.map_err(Unreadable::Broken)?
}

async fn aside<T: Send + 'static>(bytes: Bytes, work: impl FnOnce(Bytes) -> T + Send + 'static) -> io::Result<T> {
    if bytes.len() < MUCH {
        return Ok(work(bytes));
    }
    Ok(tokio::task::spawn_blocking(move || work(bytes)).await?)
}
