use std::mem;

use memchr::{memchr2, memchr3};

use crate::time::{nanoseconds, nanoseconds_of_number};

/// What `schema` is in an envelope of our own.
const SCHEMA: &str = "rayline.raw/1";

/// Longer values are no account and no region. Anybody in the organisation can send a message, and hosts count by labels.
const LABEL_BYTES: usize = 64;

/// What a message says of itself at its top level.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The first that is there of `account`, `account_id` and `accountId`; in an envelope of our own `account_id` comes
    /// first. So `flatten` has it, too.
    pub account: Option<String>,
    /// `region`.
    pub region: Option<String>,
    /// `collected_at`, in nanoseconds since 1970-01-01T00:00:00Z.
    pub collected_at: Option<u64>,
}

impl Envelope {
    /// Looks only at the members of the outermost object, and only until nothing can change what it has. It does not
    /// parse: values are stepped over, and text that is not JSON gives what was found before it broke.
    ///
    /// Of a list, what all of its objects agree on. A trace or segment document of its own has no envelope: its
    /// `aws.account_id` may be another account's than the one that collected it.
    pub fn scan(payload: &[u8]) -> Self {
        let mut cursor = Cursor { rest: payload };
        cursor.space();
        match cursor.rest.first() {
            Some(b'{') => Self::of_object(cursor).unwrap_or_default(),
            Some(b'[') => Self::of_list(cursor).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    fn of_object(mut cursor: Cursor<'_>) -> Option<Self> {
        let mut envelope = Self::default();
        let (mut is_own, mut accounts) = (false, [None, None, None]);
        cursor.byte(b'{')?;
        // Whatever ends the walk, what was found before counts.
        while let Some((key, value)) = cursor.member() {
            let [account, account_id, camel] = &mut accounts;
            match key {
                b"schema" => is_own = text(value).is_some_and(|schema| schema == SCHEMA),
                b"account" if account.is_none() => *account = label(value),
                b"account_id" if account_id.is_none() => *account_id = label(value),
                b"accountId" if camel.is_none() => *camel = label(value),
                b"region" if envelope.region.is_none() => envelope.region = label(value),
                b"collected_at" if envelope.collected_at.is_none() => envelope.collected_at = time(value),
                _ => continue,
            }
            // Of others, what comes behind the trace may come first.
            let has_account = is_own && account_id.is_some();
            if has_account && envelope.region.is_some() && envelope.collected_at.is_some() {
                break;
            }
        }
        let [account, account_id, camel] = &mut accounts;
        if is_own {
            mem::swap(account, account_id);
        }
        envelope.account = account.take().or(account_id.take()).or(camel.take());
        Some(envelope)
    }

    fn of_list(mut cursor: Cursor<'_>) -> Option<Self> {
        let mut agreed: Option<Self> = None;
        cursor.byte(b'[')?;
        while let Some(value) = cursor.value() {
            let envelope = Self::of_object(Cursor { rest: value }).unwrap_or_default();
            match &mut agreed {
                None => agreed = Some(envelope),
                Some(agreed) => {
                    agreed.account = agreed.account.take().filter(|account| envelope.account.as_ref() == Some(account));
                    agreed.region = agreed.region.take().filter(|region| envelope.region.as_ref() == Some(region));
                    agreed.collected_at = agreed.collected_at.filter(|&time| envelope.collected_at == Some(time));
                }
            }
            cursor.space();
            if cursor.byte(b',').is_none() {
                break;
            }
        }
        agreed
    }
}

/// A value fit for a label: short, visible text or a number's digits.
fn label(value: &[u8]) -> Option<String> {
    let label = match value.first() {
        Some(b'0'..=b'9') => str::from_utf8(value).ok()?.to_owned(),
        _ => text(value)?,
    };
    is_label(&label).then_some(label)
}

/// Whether a text may be a label's value.
pub(crate) fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= LABEL_BYTES && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// A point in time as text or as a number, which may be text too.
fn time(value: &[u8]) -> Option<u64> {
    let text = match value.first() {
        Some(b'"') => text(value)?,
        _ => str::from_utf8(value).ok()?.to_owned(),
    };
    nanoseconds(&text).or_else(|| nanoseconds_of_number(&text))
}

fn text(value: &[u8]) -> Option<String> {
    // No time and no label is longer, escapes included.
    (value.len() <= 6 * LABEL_BYTES + 2).then(|| serde_json::from_slice(value).ok())?
}

/// Steps over JSON text without taking it apart. Every method gives `None` where the text is not what was expected.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next member's key, escapes and all, and its value; steps over the comma before it.
    fn member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.space();
        if self.byte(b',').is_some() {
            self.space();
        }
        let key = self.string()?;
        self.space();
        self.byte(b':')?;
        let value = self.value()?;
        Some((key.get(1..key.len() - 1)?, value))
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        self.space();
        match self.rest.first()? {
            b'"' => self.string(),
            b'{' => self.nested(b'{', b'}'),
            b'[' => self.nested(b'[', b']'),
            _ => {
                let end = self.rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']') || is_space(*byte));
                self.take(end.unwrap_or(self.rest.len())).filter(|value| !value.is_empty())
            }
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.rest.first() != Some(&b'"') {
            return None;
        }
        let mut at = 1;
        loop {
            at += memchr2(b'"', b'\\', self.rest.get(at..)?)?;
            match self.rest.get(at) {
                Some(b'"') => return self.take(at + 1),
                _ => at += 2,
            }
        }
    }

    /// An object or a list: inside it only its own kind of bracket needs counting, since the other kind is balanced.
    fn nested(&mut self, open: u8, close: u8) -> Option<&'a [u8]> {
        let start = self.rest;
        let mut depth = 0usize;
        loop {
            let skip = memchr3(b'"', open, close, self.rest)?;
            self.take(skip)?;
            if self.rest.first() == Some(&b'"') {
                self.string()?;
                continue;
            }
            let bracket = self.take(1)?;
            depth = if bracket == [open] { depth + 1 } else { depth - 1 };
            if depth == 0 {
                return start.get(..start.len() - self.rest.len());
            }
        }
    }

    fn space(&mut self) {
        let end = self.rest.iter().position(|byte| !is_space(*byte));
        let _ = self.take(end.unwrap_or(self.rest.len()));
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.rest.first() == Some(&byte)).then(|| self.take(1)).flatten().map(|_| ())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::{Attributes, Line};

    fn envelope(account: &str, region: &str, collected_at: u64) -> Envelope {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Envelope {
            account: some(account),
            region: some(region),
            collected_at: (collected_at > 0).then_some(collected_at),
        }
    }

    #[test]
    fn every_form_of_message() {
        let noon = 1_735_732_800_000_000_000;
        for (payload, expected) in [
            (
                r#"{"schema":"rayline.raw/1","account_id":"111122223333","region":"eu-west-1","collected_at":"2025-01-01T12:00:00Z","trace":{}}"#,
                envelope("111122223333", "eu-west-1", noon),
            ),
            (
                r#" { "trace" : {"Id":"1","Segments":[{"Document":"{\"region\":\"no\\\"\"}"}]} , "accountId" : 111122223333 , "region":"eu-\u0077est-1" } "#,
                envelope("111122223333", "eu-west-1", 0),
            ),
            (r#"{"trace":"{\"account\":\"1\"}\\","account":"2"}"#, envelope("2", "", 0)),
            (r#"{"trace":[[{"region":"no"}],["]"]],"account":"2"}"#, envelope("2", "", 0)),
            (r#"{"Traces":[{"Id":"1","Segments":[]}],"account_id":null}"#, envelope("", "", 0)),
            (r#"{"Id":"1-2-3","Duration":1.5,"Segments":[{"aws":{"account_id":"9"}}]}"#, envelope("", "", 0)),
            (r#"{"id":"1","aws":{"account_id":"9","region":"x"},"start_time":1}"#, envelope("", "", 0)),
            (r#"{"account":"1","collected_at":"never","region":"r"}"#, envelope("1", "r", 0)),
            (r#"{"account":"","accountId":"2"}"#, envelope("2", "", 0)),
            (r#"{"accountId":"3","account_id":"2","trace":{},"account":"1"}"#, envelope("1", "", 0)),
            (r#"{"account":"1","account_id":"2","trace":{},"schema":"rayline.raw/1"}"#, envelope("2", "", 0)),
            (r#"{"schema":"rayline.raw/1","account":"1","account_id":null,"accountId":"3"}"#, envelope("1", "", 0)),
            (r#"{"account":"1","collected_at":1735732800}"#, envelope("1", "", noon)),
            (r#"{"account":"1","collected_at":1.7357328e12}"#, envelope("1", "", noon)),
            (r#"{"account":"1","collected_at":"1735732800.0"}"#, envelope("1", "", noon)),
            (r#"{"account":"1","collected_at":-1}"#, envelope("1", "", 0)),
            (r#"[{"account":"1","region":"a"},{"account":"1","region":"b"}]"#, envelope("1", "", 0)),
            (r#"[{"account":"1"},{"id":"2"}]"#, envelope("", "", 0)),
            (r#"[{"account":"1"}]"#, envelope("1", "", 0)),
            ("[]", envelope("", "", 0)),
        ] {
            assert_eq!(Envelope::scan(payload.as_bytes()), expected, "{payload}");
        }
    }

    #[test]
    fn text_that_is_not_json_gives_what_came_before() {
        for (payload, expected) in [
            ("", envelope("", "", 0)),
            ("account", envelope("", "", 0)),
            (r#"{"account":"1","#, envelope("1", "", 0)),
            (r#"{"account":"1","trace":{"a":"#, envelope("1", "", 0)),
            (r#"{"account":"1""#, envelope("1", "", 0)),
            (r#"{"account":"1\"#, envelope("", "", 0)),
            (r#"{"account":"1","trace":{"a":]},"region":"r"}"#, envelope("1", "r", 0)),
            (r#"{"account":"a b"}"#, envelope("", "", 0)),
            ("{\"account\":\"\u{1}\"}", envelope("", "", 0)),
            (r#"{"account":1"#, envelope("1", "", 0)),
            ("[1,2", envelope("", "", 0)),
            ("{{{{", envelope("", "", 0)),
        ] {
            assert_eq!(Envelope::scan(payload.as_bytes()), expected, "{payload}");
        }
        assert_eq!(Envelope::scan(b"{\"account\":\"\xff\"}"), envelope("", "", 0));
        assert_eq!(Envelope::scan(format!(r#"{{"account":"{}"}}"#, "1".repeat(65)).as_bytes()), envelope("", "", 0));
    }

    #[test]
    fn a_cut_message_never_says_anything_else() {
        let whole = r#"{"a":[{"x":"\\\""}],"account":"111122223333","region":"eu-west-1","collected_at":"2025-01-01T12:00:00Z"}"#;
        let full = Envelope::scan(whole.as_bytes());
        for end in 0..whole.len() {
            let part = Envelope::scan(&whole.as_bytes()[..end]);
            assert!(part.account.is_none() || part.account == full.account, "{end}");
            assert!(part.region.is_none() || part.region == full.region, "{end}");
        }
    }

    /// Whatever lies in a message, its envelope is found on both sides of it, and an archive line gives it back.
    #[test]
    fn real_traces() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/xray-data");
        if !data.is_dir() {
            println!("skipped: no real traces at {}", data.display());
            return;
        }
        let mut seen = 0;
        for folder in ["traces", "segments", "synthetic", "events", "executions", "malformed"] {
            for entry in fs::read_dir(data.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let text = fs::read(&path).unwrap();
                let mut line = Vec::new();
                Line { sha256: "x".into(), attributes: Attributes::default(), raw: (&text).into() }.write(&mut line);
                assert_eq!(Line::parse(line.trim_ascii_end()).unwrap().raw, text, "{}", path.display());

                let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
                let (front, back) =
                    (r#"{"account":"1","trace":"#, r#","region":"r","collected_at":"1970-01-01T00:00:01Z"}"#);
                for trace in [text, value.to_string().into_bytes(), serde_json::to_vec(&value.to_string()).unwrap()] {
                    let message = [front.as_bytes(), &trace, back.as_bytes()].concat();
                    assert_eq!(Envelope::scan(&message), envelope("1", "r", 1_000_000_000), "{}", path.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 100, "{seen}");
    }
}
