//! JSON text as section 1 reads it: numbers beyond a float and halves of surrogate pairs are taken too.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Reads JSON of any depth.
pub fn read(json: &[u8]) -> Option<Value> {
    let mut text = Text { rest: std::str::from_utf8(json).ok()? };
    let value = text.value()?;
    text.rest.is_empty().then_some(value)
}

/// What is still to be read.
struct Text<'a> {
    rest: &'a str,
}

impl Text<'_> {
    /// A value and the white space around it.
    fn value(&mut self) -> Option<Value> {
        self.space();
        let value = match self.rest.chars().next()? {
            '{' => Value::Object(self.object()?),
            '[' => Value::Array(self.list()?),
            '"' => Value::String(self.string()?),
            _ => self.scalar()?,
        };
        self.space();
        Some(value)
    }

    /// Of a repeated key the last counts; empty keys are dropped.
    fn object(&mut self) -> Option<Map<String, Value>> {
        let mut members = Map::new();
        self.take("{")?;
        self.space();
        if self.take("}").is_some() {
            return Some(members);
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.take(":")?;
            let value = self.value()?;
            if !key.is_empty() {
                members.insert(key, value);
            }
            if self.take(",").is_none() {
                return self.take("}").map(|()| members);
            }
        }
    }

    fn list(&mut self) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.take("[")?;
        self.space();
        if self.take("]").is_some() {
            return Some(items);
        }
        loop {
            items.push(self.value()?);
            if self.take(",").is_none() {
                return self.take("]").map(|()| items);
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\x1f' => return None,
                other => text.push(other),
            }
        }
    }

    /// What follows the backslash.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            same @ ('"' | '\\' | '/') => same,
            'u' => {
                let unit = self.unit()?;
                let before = self.rest;
                let second = self.take("\\u").and_then(|()| self.unit());
                let pair = second.and_then(|second| char::decode_utf16([unit, second]).next()?.ok());
                // The second is its own character, unless both are the halves of one.
                match pair.filter(|pair| u32::from(*pair) > 0xffff) {
                    Some(pair) => pair,
                    None => {
                        self.rest = before;
                        char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                }
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    }

    /// `null`, a boolean or a number. Integers beyond 64 bits are floats, and what is beyond a float is its text.
    fn scalar(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', '}', ':', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
        let (scalar, rest) = self.rest.split_at(end);
        self.rest = rest;
        match serde_json::from_str(scalar) {
            // An integer that has no sign of its own.
            Ok(_) if scalar == "-0" => Some(0.into()),
            Ok(value) => Some(value),
            // Its grammar is right.
            Err(_) => serde_json::from_str::<IgnoredAny>(scalar).is_ok().then(|| scalar.into()),
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }
}
