use std::ops::Range;

use memchr::{memchr, memchr3};

/// Finds the messages in an object's bytes, however these are cut into pieces.
pub struct Frames {
    form: Form,
    buffer: Vec<u8>,
    /// What comes before has been taken.
    start: usize,
    /// What comes before has been looked at. May lie behind what is there.
    at: usize,
    state: State,
    found: Option<Range<usize>>,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A message a line, broken or not.
    Lines,
    /// JSON values one after the other, on one line each or on many. What is no JSON value goes on until a line begins
    /// like a message.
    Values,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// In a JSON value, within so many brackets.
    Value(usize),
    /// In a string within a value.
    Text(usize),
    /// In what is no JSON value.
    Other,
}

impl Frames {
    /// The form follows from the object's name: `.ndjson` and `.jsonl`, whatever comes behind, are lines.
    pub fn of(key: &str) -> Self {
        let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
        let lines = name.split('.').skip(1).any(|part| part == "ndjson" || part == "jsonl");
        Self {
            form: if lines { Form::Lines } else { Form::Values },
            buffer: Vec::new(),
            start: 0,
            at: 0,
            state: State::Between,
            found: None,
            ended: false,
        }
    }

    /// Adds bytes; none: the object ends. Returns how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        self.ended = bytes.is_empty();
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.at -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
        bytes.len()
    }

    /// Whether there is a whole message to [`take`](Self::take).
    pub fn find(&mut self) -> bool {
        while self.found.is_none() {
            let end = match self.form {
                Form::Lines => self.line(),
                Form::Values => self.value(),
            };
            let Some(end) = end else { return false };
            let frame = self.buffer.get(self.start..end).unwrap_or_default();
            let blank = frame.trim_ascii().is_empty();
            self.found = (!blank).then_some(self.start..end);
            (self.start, self.at, self.state) = (end, end, State::Between);
            if blank && end == self.buffer.len() {
                return false;
            }
        }
        true
    }

    /// The message that was found, without white space around it.
    pub fn take(&mut self) -> &[u8] {
        let frame = self.found.take().and_then(|found| self.buffer.get(found)).unwrap_or_default();
        frame.trim_ascii()
    }

    /// How many bytes wait for the rest of their message.
    pub fn unfinished(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Whether all has been added.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Where the line ends.
    fn line(&mut self) -> Option<usize> {
        match memchr(b'\n', self.rest()) {
            Some(end) => Some(self.at + end + 1),
            None => self.at_end(),
        }
    }

    /// Where the value, or what is none, ends.
    fn value(&mut self) -> Option<usize> {
        loop {
            let Some(byte) = self.rest().first().copied() else { return self.at_end() };
            self.state = match (self.state, byte) {
                (State::Between, b'{' | b'[') => State::Value(1),
                (State::Between, _) if byte.is_ascii_whitespace() => State::Between,
                (State::Between, _) => State::Other,
                (State::Value(depth), b'{' | b'[') => State::Value(depth + 1),
                (State::Value(1), b'}' | b']') => return Some(self.at + 1),
                (State::Value(depth), b'}' | b']') => State::Value(depth - 1),
                (State::Value(depth), b'"') => State::Text(depth),
                (State::Value(_), b'\n') => match self.message_begins(false)? {
                    true => return Some(self.at + 1),
                    false => self.state,
                },
                (State::Value(_), _) => self.state,
                (State::Text(depth), _) => match memchr3(b'"', b'\\', b'\n', self.rest()) {
                    None => {
                        self.at = self.buffer.len();
                        continue;
                    }
                    Some(skip) => {
                        self.at += skip;
                        match self.rest().first() {
                            Some(b'"') => State::Value(depth),
                            Some(b'\\') => {
                                self.at += 2;
                                continue;
                            }
                            // A line never ends in a string: the value is broken. Look at this line feed again.
                            _ => {
                                self.state = State::Other;
                                continue;
                            }
                        }
                    }
                },
                (State::Other, b'\n') => match self.message_begins(true)? {
                    true => return Some(self.at + 1),
                    false => State::Other,
                },
                (State::Other, _) => {
                    self.at = memchr(b'\n', self.rest()).map_or(self.buffer.len(), |skip| self.at + skip);
                    continue;
                }
            };
            self.at += 1;
        }
    }

    /// Whether the line after the line feed here begins like a message. `None`: more bytes are needed to tell.
    ///
    /// Within a value a bracket at the beginning of a line may be a part of it, if what comes before lets it.
    fn message_begins(&self, broken: bool) -> Option<bool> {
        const STARTS: [&[u8]; 3] = [b"{", b"[", b"H4sI"];
        let line = self.buffer.get(self.at + 1..).unwrap_or_default();
        if !self.ended && line.len() < 4 {
            return None;
        }
        if !STARTS.iter().any(|start| line.starts_with(start)) {
            return Some(false);
        }
        let before = self.buffer.get(self.start..self.at).unwrap_or_default().trim_ascii_end();
        Some(broken || !matches!(before.last(), Some(b',' | b':' | b'[')))
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// All has been looked at: the end, if there is something and no more will come.
    fn at_end(&mut self) -> Option<usize> {
        if !self.ended {
            self.at = self.at.max(self.buffer.len());
            return None;
        }
        (self.start < self.buffer.len()).then_some(self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts the content into pieces of each size: the answer must not depend on it.
    fn check(name: &str, content: impl AsRef<[u8]>, expected: &[&str]) {
        let content = content.as_ref();
        for size in [1, 2, 3, 5, 1 << 20] {
            let mut frames = Frames::of(name);
            let mut found = Vec::new();
            for piece in content.chunks(size).chain([&[][..]]) {
                frames.push(piece);
                while frames.find() {
                    found.push(String::from_utf8_lossy(frames.take()).into_owned());
                }
            }
            assert_eq!(found, expected, "{name} in pieces of {size}: {}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn lines() {
        for name in ["a.ndjson", "x.json/a.NDJSON.zst", "a-0123.jsonl.gz"] {
            let content = b"{\"a\":1}\r\n\n {\"b\":\n]junk\n\xff\n{}";
            check(name, content, &["{\"a\":1}", "{\"b\":", "]junk", "\u{fffd}", "{}"]);
        }
    }

    #[test]
    fn values() {
        let pretty = "{\n  \"a\": [\n    {\n      \"b\": 1\n    }\n  ]\n}";
        let list = "[\n{\"a\":1},\n{\"a\":2}\n]";
        check("a.json", "", &[]);
        check("a.json", " \n\t\n", &[]);
        check("a.json", "{}", &["{}"]);
        check("a.json", r#"{"a":"}\"]"}{"b":[{}]} [1]"#, &[r#"{"a":"}\"]"}"#, r#"{"b":[{}]}"#, "[1]"]);
        check("a.json", format!("{pretty}\n{pretty}\n{list}\n"), &[pretty, pretty, list]);
        check("a.json", "{\"a\":\n{}\n}", &["{\"a\":\n{}\n}"]);
    }

    #[test]
    fn what_is_broken_ends_where_a_line_begins_like_a_message() {
        for (content, expected) in [
            ("{\"a\":\"cut\n{\"b\":1}\n", &["{\"a\":\"cut", "{\"b\":1}"][..]),
            ("{\"a\":{\"b\":1}\n{\"c\":2}", &["{\"a\":{\"b\":1}", "{\"c\":2}"]),
            ("{\"a\":\"cut \\", &["{\"a\":\"cut \\"]),
            ("{\"a\": tru\n\n  more\n[1]", &["{\"a\": tru\n\n  more", "[1]"]),
            ("plain text\nof two lines\n{}", &["plain text\nof two lines", "{}"]),
            ("H4sIAAAA\nBBBB\nH4sICCCC\n", &["H4sIAAAA\nBBBB", "H4sICCCC"]),
            ("{} junk\n{}", &["{}", "junk", "{}"]),
        ] {
            check("folder/a", content, expected);
        }
        check("folder/a", b"\xff\xfe{\n\x00", &["\u{fffd}\u{fffd}{\n\0"]);
    }
}
