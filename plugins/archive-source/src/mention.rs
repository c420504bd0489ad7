use memchr::memmem::Finder;

/// Finds an execution's ARN in payloads, without parsing them.
///
/// An ARN stands in a payload as a JSON string, or in JSON text that is itself in a string, and so on: what JSON may
/// escape (any character as `\uXXXX`, `/` as `\/`) is recognised however often its backslashes were escaped.
pub struct Mention {
    /// As far as no encoder escapes it.
    head: Finder<'static>,
    tail: String,
}

impl Mention {
    pub fn new(arn: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
        let (head, tail) = arn.split_at(arn.find(|c| !plain(c)).unwrap_or(arn.len()));
        Self { head: Finder::new(head).into_owned(), tail: tail.to_owned() }
    }

    /// Whether the payload holds the ARN. One that only begins with it is another execution's.
    pub fn is_in(&self, payload: &[u8]) -> bool {
        self.head.find_iter(payload).any(|at| {
            let rest = payload.get(at + self.head.needle().len()..).unwrap_or_default();
            let end = self.tail.chars().try_fold(rest, |rest, expected| {
                let (found, rest) = character(rest)?;
                (found == expected).then_some(rest)
            });
            end.is_some_and(|rest| without_backslashes(rest).starts_with(b"\""))
        })
    }
}

/// The first character, whatever it is written as, and the rest.
fn character(text: &[u8]) -> Option<(char, &[u8])> {
    let bare = without_backslashes(text);
    if bare.len() == text.len() {
        let length = (1..=4).find(|&length| text.get(..length).is_some_and(|it| str::from_utf8(it).is_ok()))?;
        let (first, rest) = text.split_at_checked(length)?;
        return Some((str::from_utf8(first).ok()?.chars().next()?, rest));
    }
    if let Some(rest) = bare.strip_prefix(b"/") {
        return Some(('/', rest));
    }
    let (unit, rest) = code_unit(bare)?;
    if let Some(Ok(character)) = char::decode_utf16([unit]).next() {
        return Some((character, rest));
    }
    let (low, rest) = code_unit(without_backslashes(rest))?;
    Some((char::decode_utf16([unit, low]).next()?.ok()?, rest))
}

/// `uXXXX`.
fn code_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.strip_prefix(b"u")?.split_at_checked(4)?;
    Some((u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?, rest))
}

fn without_backslashes(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte != b'\\').unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:Orders:run-1";

    #[test]
    fn an_arn_is_found_at_every_depth() {
        for arn in [ARN, "arn:aws:states:eu-west-1:111122223333:express:Größe/x:a😀b:c"] {
            let mention = Mention::new(arn);
            let mut payload = serde_json::json!({ "aws": { "resource_arn": arn } }).to_string();
            for _ in 0..4 {
                assert!(mention.is_in(payload.as_bytes()), "{payload}");
                let ascii = |text: &str| -> String {
                    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04X}")).collect();
                    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) }).collect()
                };
                let escaped = ascii(&payload).replace('/', "\\/");
                assert!(mention.is_in(escaped.as_bytes()), "{escaped}");
                payload = serde_json::json!({ "Document": payload }).to_string();
            }
        }
    }

    #[test]
    fn another_execution_is_not() {
        let mention = Mention::new(ARN);
        for payload in
            [format!("\"{ARN}1\""), format!("\"{ARN}:uuid\""), ARN[..ARN.len() - 1].to_owned() + "\"", ARN.into()]
        {
            assert!(!mention.is_in(payload.as_bytes()), "{payload}");
        }
        assert!(mention.is_in(format!("\"{ARN}2\", \"{ARN}\"").as_bytes()));
    }
}
