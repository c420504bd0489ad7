//! How a message is packed to go through a queue that carries only text, and not much of it.

use std::borrow::Cow;
use std::io::{Read, Write};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Bodies above this are packed: what every SQS queue takes, whatever its `MaximumMessageSize` was left at.
pub const PLAIN_BYTES: usize = 256 * 1024;

/// No payload is larger. A packed message that unpacks to more than this stays packed: a few hundred kilobytes of gzip can
/// hold gigabytes.
pub const PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// How base64 of gzip (`1f 8b 08`) begins.
const PACKED: &[u8] = b"H4sI";

/// Undoes gzip and base64. What is not packed, or cannot be unpacked, stays as it came.
///
/// Both base64 alphabets, with and without padding or line breaks, are read.
pub fn unpack(body: &[u8]) -> Cow<'_, [u8]> {
    let text = body.trim_ascii();
    if !text.starts_with(PACKED) {
        return Cow::Borrowed(body);
    }
    base64_bytes(text).and_then(|zipped| gunzip(&zipped)).map_or(Cow::Borrowed(body), Cow::Owned)
}

/// Packs a body that is too large for a queue or is not text; [`unpack`] gives it back. Any other stays as it is.
pub fn pack(body: &[u8]) -> Cow<'_, [u8]> {
    if body.len() <= PLAIN_BYTES && std::str::from_utf8(body).is_ok() {
        return Cow::Borrowed(body);
    }
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    match zip.write_all(body).and_then(|()| zip.finish()) {
        Ok(zipped) => Cow::Owned(general_purpose::STANDARD.encode(zipped).into_bytes()),
        Err(_) => Cow::Borrowed(body),
    }
}

fn base64_bytes(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text: Cow<'_, [u8]> = match text.iter().any(u8::is_ascii_whitespace) {
        true => text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect(),
        false => Cow::Borrowed(text),
    };
    let alphabet = match memchr::memchr2(b'-', b'_', &text) {
        Some(_) => &alphabet::URL_SAFE,
        None => &alphabet::STANDARD,
    };
    GeneralPurpose::new(alphabet, LENIENT).decode(&text).ok()
}

fn gunzip(zipped: &[u8]) -> Option<Vec<u8>> {
    let mut payload = Vec::with_capacity(zipped.len().saturating_mul(4));
    let limit = u64::try_from(PAYLOAD_BYTES).ok()?.saturating_add(1);
    MultiGzDecoder::new(zipped).take(limit).read_to_end(&mut payload).ok()?;
    (payload.len() <= PAYLOAD_BYTES).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(payload: &[u8]) -> Vec<u8> {
        let mut zip = GzEncoder::new(Vec::new(), Compression::default());
        zip.write_all(payload).unwrap();
        general_purpose::STANDARD.encode(zip.finish().unwrap()).into_bytes()
    }

    #[test]
    fn unpacks_every_spelling() {
        let payload: Vec<u8> = (0..4000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let text = String::from_utf8(packed(&payload)).unwrap();
        assert!(text.contains('+') && text.contains('/'), "the sample uses what the two alphabets differ in");
        let wrapped: Vec<&str> = text.as_bytes().chunks(76).map(|row| std::str::from_utf8(row).unwrap()).collect();
        for spelling in [
            text.clone(),
            text.trim_end_matches('=').to_owned(),
            text.replace('+', "-").replace('/', "_"),
            format!("{text}\n"),
            wrapped.join("\r\n"),
        ] {
            assert_eq!(unpack(spelling.as_bytes()), payload.as_slice());
        }
    }

    #[test]
    fn leaves_the_rest_as_it_came() {
        let cut = packed(b"cut short, so that the checksum is missing");
        let cut = &cut[..cut.len() - 12];
        for body in [b"".as_slice(), b"{}", b"H4sI", b"H4sI not base64", cut, b" \xff\xfe"] {
            assert_eq!(unpack(body), body);
        }
        let bomb = packed(&vec![b' '; PAYLOAD_BYTES + 1]);
        assert_eq!(unpack(&bomb), bomb.as_slice());
    }

    #[test]
    fn packs_what_a_queue_cannot_carry() {
        for body in [vec![b'a'; PLAIN_BYTES + 1], b"\xff\x00".to_vec()] {
            let packed = pack(&body);
            assert!(packed.is_ascii() && packed.len() < PLAIN_BYTES);
            assert_eq!(unpack(&packed), body.as_slice());
        }
        for body in [b"{}".as_slice(), "ü".as_bytes(), b""] {
            assert!(matches!(pack(body), Cow::Borrowed(same) if same == body));
        }
    }
}
