use std::borrow::Cow;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde::Deserialize;

use crate::Attributes;
use crate::transport::PAYLOAD_BYTES;

/// One line of the archive, `rayline.archive/1`: a message with what the queue said of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// SHA-256 of `raw`, lower-case hexadecimal.
    pub sha256: Cow<'a, str>,
    /// What is known of `received_at`, `sent_at`, `message_id`, `sender_id` and `sender_account`; a line holds no other
    /// attribute.
    pub attributes: Attributes,
    /// The payload, byte for byte.
    pub raw: Cow<'a, [u8]>,
}

#[derive(Deserialize)]
struct Members {
    sha256: String,
    raw: Option<String>,
    raw_base64: Option<String>,
    #[serde(flatten)]
    attributes: Attributes,
}

/// What a line holds beside its payload is less.
const BESIDE_BYTES: usize = 1 << 20;

impl<'a> Line<'a> {
    /// No line is longer: it holds the largest payload in base64. Readers need not hold more in memory.
    pub const MOST_BYTES: usize = PAYLOAD_BYTES.div_ceil(3) * 4 + BESIDE_BYTES;

    /// Reads a line. `None`: it is none, but perhaps a message itself.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        // Most foreign lines are told by this, without being parsed.
        memmem::find(line, b"\"raw")?;
        let Members { sha256, raw, raw_base64, attributes } = serde_json::from_slice(line).ok()?;
        let raw = match (raw, raw_base64) {
            (Some(raw), None) => raw.into_bytes(),
            (None, Some(raw)) => STANDARD.decode(raw).ok()?,
            _ => return None,
        };
        Some(Self { sha256: sha256.into(), attributes, raw: Cow::Owned(raw) })
    }

    /// Appends the line and its line feed. Text stands in it as text, unless control characters, of which each needs six
    /// bytes, make it more than twice as long, or longer than any line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.raw.len() / 3 * 4 + 512);
        out.extend_from_slice(b"{\"sha256\":");
        string(out, &self.sha256);
        let Attributes { received_at, sent_at, message_id, sender_id, sender_account, .. } = &self.attributes;
        for (name, value) in [
            (&b",\"received_at\":"[..], received_at),
            (b",\"sent_at\":", sent_at),
            (b",\"message_id\":", message_id),
            (b",\"sender_id\":", sender_id),
            (b",\"sender_account\":", sender_account),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(name);
                string(out, value);
            }
        }
        let start = out.len();
        out.extend_from_slice(b",\"raw\":");
        let most = (2 * self.raw.len()).min(Self::MOST_BYTES - BESIDE_BYTES) + 2;
        let text = std::str::from_utf8(&self.raw).is_ok_and(|raw| short_string(out, raw, most));
        if !text {
            out.truncate(start);
            out.extend_from_slice(b",\"raw_base64\":");
            base64_string(out, &self.raw);
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends a JSON string if it has at most so many bytes; whether it has. If not, part of it is there.
fn short_string(out: &mut Vec<u8>, text: &str, most: usize) -> bool {
    serde_json::to_writer(Room { out, left: most }, text).is_ok()
}

/// Takes only so many bytes.
struct Room<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl io::Write for Room<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends bytes as a JSON string of base64.
fn base64_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len() + 1;
    let end = start + bytes.len().div_ceil(3) * 4;
    out.resize(end + 1, b'"');
    // There is room for exactly that.
    let _ = STANDARD.encode_slice(bytes, out.get_mut(start..end).unwrap_or_default());
}

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn written(raw: &[u8], attributes: Attributes) -> String {
        let mut out = Vec::new();
        Line { sha256: SHA256.into(), attributes, raw: raw.into() }.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_form_is_fixed() {
        let attributes = Attributes {
            message_id: Some("m-1".into()),
            sent_at: Some("2025-01-01T12:00:00Z".into()),
            received_at: Some("2025-01-01T12:00:01Z".into()),
            sender_id: Some("AROA:\"x\"".into()),
            sender_account: Some("111122223333".into()),
            unresolved: Some("no".into()),
            receive_count: Some(2),
            object: Some("a/b".into()),
        };
        assert_eq!(
            written(b"{\"a\":1}", attributes),
            format!(
                r#"{{"sha256":"{SHA256}","received_at":"2025-01-01T12:00:01Z","sent_at":"2025-01-01T12:00:00Z","message_id":"m-1","sender_id":"AROA:\"x\"","sender_account":"111122223333","raw":"{{\"a\":1}}"}}"#
            ) + "\n"
        );
        assert_eq!(
            written(b"\xff", Attributes::default()),
            format!(r#"{{"sha256":"{SHA256}","raw_base64":"/w=="}}"#) + "\n"
        );
    }

    #[test]
    fn every_payload_comes_back_byte_for_byte() {
        let controls: String = (0u32..0x250).filter_map(char::from_u32).collect();
        for payload in [
            b"".as_slice(),
            b"{}\n",
            b"\r\n\t \\\" \\u0041 \\\\",
            br#"{"Document":"{\"id\":\"\\\"\"}"}"#,
            controls.as_bytes(),
            "\u{2028}\u{2029}\u{feff}\u{10ffff}é".as_bytes(),
            b"\xff\xfe\x00",
            b"\xed\xa0\x80",
            b"half a character \xc3",
        ] {
            let line = written(payload, Attributes::default());
            assert_eq!(line.matches('\n').count(), 1, "one line: {line:?}");
            let read = Line::parse(line.trim_end().as_bytes()).unwrap();
            assert_eq!((read.sha256.as_ref(), read.raw.as_ref()), (SHA256, payload));
        }
    }

    #[test]
    fn text_that_would_become_long_is_base64() {
        for (payload, is_text) in [
            (r#"{"Document":"{\"id\":\"\\\"\"}"}"#.to_owned(), true),
            ("\\\"".repeat(1000), true),
            ("\u{1}".repeat(1000), false),
            ("\u{1}  ".repeat(1000), false),
            ("\u{1}    ".repeat(1000), true),
        ] {
            let line = written(payload.as_bytes(), Attributes::default());
            assert_eq!(line.contains("\"raw\":"), is_text, "{line}");
            assert_eq!(Line::parse(line.trim_end().as_bytes()).unwrap().raw, payload.as_bytes());
        }
    }

    #[test]
    fn no_line_is_longer_than_readers_take() {
        for payload in [vec![b'"'; PAYLOAD_BYTES], vec![b' '; PAYLOAD_BYTES], vec![0xff; PAYLOAD_BYTES]] {
            let mut line = Vec::new();
            Line { sha256: SHA256.into(), attributes: Attributes::default(), raw: (&payload).into() }.write(&mut line);
            assert!(line.len() < Line::MOST_BYTES, "{} bytes", line.len());
            assert!(Line::parse(line.trim_ascii_end()).unwrap().raw == payload);
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            r#"{"schema":"rayline.raw/1","trace":null}"#,
            r#"{"raw":"no hash"}"#,
            r#"{"sha256":"x","raw":"both","raw_base64":""}"#,
            r#"{"sha256":"x","raw":{}}"#,
            r#"{"sha256":"x","raw_base64":"?"}"#,
            r#"{"sha256":"x","raw":"cut"#,
            r#""raw""#,
            "",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn members_that_later_versions_add_are_ignored() {
        let line = br#"{"raw":"r","later":{"a":[1]},"sent_at":"2025-01-01T12:00:00Z","sha256":"x"}"#;
        let read = Line::parse(line).unwrap();
        assert_eq!(read.raw.as_ref(), b"r");
        assert_eq!(read.attributes.sent_at.as_deref(), Some("2025-01-01T12:00:00Z"));
    }
}
