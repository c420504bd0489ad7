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
    if bytes.len() > 256 {
        out.extend_from_slice(bytes);
        return;
    }
    let (chunks, tail) = bytes.as_chunks::<16>();
    for chunk in chunks {
        out.extend_from_slice(chunk);
    }
    short(out, tail);
}

/// Appends fewer than sixteen bytes.
#[inline]
fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    if let Some((head, tail)) = rest.split_first_chunk::<8>() {
        out.extend_from_slice(head);
        rest = tail;
    }
    if let Some((head, tail)) = rest.split_first_chunk::<4>() {
        out.extend_from_slice(head);
        rest = tail;
    }
    for byte in rest {
        out.push(*byte);
    }
}

/// Appends a string with its quotes.
#[inline]
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends the inside of a string.
#[inline]
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    let (chunks, tail) = text.as_bytes().as_chunks::<16>();
    for chunk in chunks {
        if chunk.iter().fold(false, |found, byte| found | needs_escape(*byte)) {
            escape(out, chunk);
        } else {
            out.extend_from_slice(chunk);
        }
    }
    if tail.iter().fold(false, |found, byte| found | needs_escape(*byte)) {
        escape(out, tail);
    } else {
        short(out, tail);
    }
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
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
    fn milliseconds() {
        for (micros, expected) in [(0, "0.000"), (1, "0.001"), (1_234_567, "1234.567"), (9_900_000, "9900.000")] {
            let mut out = Vec::new();
            thousandths(&mut out, micros);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
