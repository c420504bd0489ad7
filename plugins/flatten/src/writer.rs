//! JSON bytes.
//!
//! Short copies are unrolled by hand: in WebAssembly a copy of unknown length is a call out of the compiled code, dear
//! for the few bytes that most values have.

use crate::json::Number;

/// A key as it stands in a document, with the comma before it and the colon after it.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(crate) use key;

/// Appends bytes as they are.
#[inline]
pub fn raw(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        16..=256 => {
            let (chunks, tail) = bytes.as_chunks::<16>();
            for chunk in chunks {
                out.extend_from_slice(chunk);
            }
            if !tail.is_empty() {
                overlapping::<16>(out, bytes, tail.len());
            }
        }
        8..=15 => halves::<8>(out, bytes),
        4..=7 => halves::<4>(out, bytes),
        0..=3 => {
            for byte in bytes {
                out.push(*byte);
            }
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends N to 2N bytes: the first N, then the last N.
#[inline]
fn halves<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk::<N>() {
        out.extend_from_slice(head);
        overlapping::<N>(out, bytes, bytes.len() - N);
    }
}

/// Appends the last `missing` bytes, at most N, where those before them stand in `out` already.
#[inline]
fn overlapping<const N: usize>(out: &mut Vec<u8>, bytes: &[u8], missing: usize) {
    if let Some(tail) = bytes.last_chunk::<N>() {
        out.truncate(out.len() + missing - N);
        out.extend_from_slice(tail);
    }
}

/// Appends a string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends the inside of a string.
#[inline]
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let begin = out.len();
    if !plain(out, bytes) {
        out.truncate(begin);
        for chunk in bytes.chunks(16) {
            let begin = out.len();
            if !plain(out, chunk) {
                out.truncate(begin);
                escape(out, chunk);
            }
        }
    }
}

/// Appends bytes as they are. Returns whether none of them needs an escape.
#[inline]
fn plain(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<16>() else {
        raw(out, bytes);
        return match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(head), Some(last)) => !eight_need_escape(*head) && !eight_need_escape(*last),
            _ => !bytes.iter().fold(false, |found, byte| found | needs_escape(*byte)),
        };
    };
    let (chunks, tail) = bytes.as_chunks::<16>();
    let mut found = [0; 16];
    for chunk in chunks {
        mark(&mut found, chunk);
        out.extend_from_slice(chunk);
    }
    if !tail.is_empty() {
        mark(&mut found, last);
        overlapping::<16>(out, bytes, tail.len());
    }
    found == [0; 16]
}

/// Lane by lane, which becomes a few vector instructions.
#[inline(always)]
fn mark(found: &mut [u8; 16], chunk: &[u8; 16]) {
    for (found, byte) in found.iter_mut().zip(chunk) {
        *found |= u8::from(needs_escape(*byte));
    }
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The same of eight bytes at once: a byte that does leaves its top bit set.
#[inline]
fn eight_need_escape(bytes: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_le_bytes(bytes);
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let is_control = bytes.wrapping_sub(ONES * 0x20) & !bytes;
    let is_quote = is_zero(bytes ^ (ONES * b'"' as u64));
    let is_backslash = is_zero(bytes ^ (ONES * b'\\' as u64));
    (is_control | is_quote | is_backslash) & (ONES * 0x80) != 0
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
            }
            _ => out.push(*byte),
        }
    }
}

/// Appends an integer.
#[inline]
pub fn integer(out: &mut Vec<u8>, number: i64) {
    raw(out, itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number as JSON has it.
pub fn number(out: &mut Vec<u8>, number: Number) {
    match number {
        Number::Signed(number) => integer(out, number),
        Number::Unsigned(number) => raw(out, itoa::Buffer::new().format(number).as_bytes()),
        Number::Float(number) => raw(out, zmij::Buffer::new().format_finite(number).as_bytes()),
    }
}

/// Appends thousandths as a number with a decimal point.
pub fn thousandths(out: &mut Vec<u8>, number: i64) {
    integer(out, number / 1000);
    let fraction = number % 1000;
    out.push(b'.');
    for digit in [fraction / 100, fraction / 10 % 10, fraction % 10] {
        out.push(b'0' + digit as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        for text in [
            "",
            "a",
            "plain text, longer than one chunk",
            "\"quoted\\\"",
            "\u{0}\u{1f}\n\r\t\u{8}\u{c}",
            "注文-サービス/本番 ✓",
        ] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn strings_of_every_length() {
        for len in 0..300 {
            let plain: String = ('a'..='z').cycle().take(len).collect();
            for at in 0..len {
                for special in ["\"", "\\", "\u{1f}", " ", "\u{7f}"] {
                    let mut text = plain.clone();
                    text.replace_range(at..=at, special);
                    let mut out = b"before".to_vec();
                    string(&mut out, &text);
                    assert_eq!(out.strip_prefix(b"before"), Some(serde_json::to_vec(&text).unwrap().as_slice()));
                }
            }
        }
    }

    #[test]
    fn milliseconds() {
        for (micros, expected) in [(0, "0.000"), (1, "0.001"), (1_234_567, "1234.567"), (9_900_000, "9900.000")] {
            let mut out = Vec::new();
            thousandths(&mut out, micros);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
