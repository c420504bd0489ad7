//! Values that are stored as they are: `xray.metadata` and the like, and what is rejected.
//!
//! Of a repeated key the last counts, and empty keys are dropped; everything else stays, nulls and empty values too.
//! No recursion: metadata may nest as deep as it likes.

use crate::json::{Elements, Members, Shape, Value};
use crate::writer;

/// A container that is being written.
enum Open<'t> {
    Object(Distinct<'t>),
    Array(Elements<'t>),
}

/// Appends the value as JSON.
pub fn write(out: &mut Vec<u8>, value: Value<'_>) {
    let Some(outermost) = scalar_or_open(out, value) else { return };
    let mut stack = vec![(outermost, true)];
    while let Some((container, first)) = stack.last_mut() {
        let next = match container {
            Open::Object(members) => members.next().map(|(key, value)| (Some(key), value)),
            Open::Array(elements) => elements.next().map(|value| (None, value)),
        };
        let Some((key, value)) = next else {
            out.push(if matches!(container, Open::Object(_)) { b'}' } else { b']' });
            stack.pop();
            continue;
        };
        if !std::mem::take(first) {
            out.push(b',');
        }
        if let Some(key) = key {
            writer::string(out, key);
            out.push(b':');
        }
        stack.extend(scalar_or_open(out, value).map(|container| (container, true)));
    }
}

fn scalar_or_open<'t>(out: &mut Vec<u8>, value: Value<'t>) -> Option<Open<'t>> {
    match value.shape() {
        Shape::Null => writer::raw(out, b"null"),
        Shape::Bool(value) => writer::raw(out, if value { b"true" } else { b"false" }),
        Shape::Number(number) => writer::number(out, number),
        Shape::Text(text) => writer::string(out, text),
        Shape::Object => {
            out.push(b'{');
            return Some(Open::Object(Distinct::new(value)));
        }
        Shape::Array => {
            out.push(b'[');
            return Some(Open::Array(value.elements()));
        }
    }
    None
}

/// The members of an object that count: of a repeated key the last, of an empty key none.
pub struct Distinct<'t> {
    members: Members<'t>,
    next: usize,
    /// Positions of members whose key comes again, in order.
    shadowed: std::vec::IntoIter<usize>,
    upcoming: Option<usize>,
}

impl<'t> Distinct<'t> {
    pub fn new(object: Value<'t>) -> Distinct<'t> {
        let mut shadowed = shadowed(object).into_iter();
        let upcoming = shadowed.next();
        Distinct { members: object.members(), next: 0, shadowed, upcoming }
    }
}

impl<'t> Iterator for Distinct<'t> {
    type Item = (&'t str, Value<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = self.members.next()?;
            let position = self.next;
            self.next += 1;
            if self.upcoming == Some(position) {
                self.upcoming = self.shadowed.next();
            } else if !key.is_empty() {
                return Some((key, value));
            }
        }
    }
}

/// Where members stand whose key comes again later.
fn shadowed(object: Value<'_>) -> Vec<usize> {
    /// Up to here comparing each key with each other one is faster than sorting.
    const FEW: usize = 12;
    if object.len() <= FEW {
        let mut members = object.members();
        let mut found = Vec::new();
        let mut position = 0;
        while let Some((key, _)) = members.next() {
            if members.clone().any(|(later, _)| later == key) {
                found.push(position);
            }
            position += 1;
        }
        return found;
    }
    let mut keys: Vec<_> = object.members().enumerate().map(|(position, (key, _))| (key, position)).collect();
    keys.sort_unstable();
    let mut found: Vec<usize> = keys
        .windows(2)
        .filter_map(|pair| if let [(a, at), (b, _)] = pair { (a == b).then_some(*at) } else { None })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Parser, Scratch};

    fn stored(text: &str) -> String {
        let mut scratch = Scratch::default();
        let parsed = Parser::new().parse(&[text.as_bytes()], &mut scratch);
        let mut out = Vec::new();
        write(&mut out, Value::new(&parsed[0].as_ref().unwrap().0));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values() {
        for (text, expected) in [
            (r#"{"a":null,"b":[],"c":{},"d":""}"#, r#"{"a":null,"b":[],"c":{},"d":""}"#),
            (r#"{"a":1,"b":2,"a":[3]}"#, r#"{"b":2,"a":[3]}"#),
            (r#"{"":1,"a":{"":2,"b":"\n"}}"#, r#"{"a":{"b":"\n"}}"#),
            (r#"[1.0,-2,18446744073709551615,true,[false]]"#, r#"[1.0,-2,18446744073709551615,true,[false]]"#),
        ] {
            assert_eq!(stored(text), expected);
        }
    }

    #[test]
    fn a_large_object_with_repeated_keys() {
        let members: Vec<String> = (0..40).map(|n| format!("\"k{}\":{n}", n % 20)).collect();
        let expected: Vec<String> = (20..40).map(|n| format!("\"k{}\":{n}", n % 20)).collect();
        assert_eq!(stored(&format!("{{{}}}", members.join(","))), format!("{{{}}}", expected.join(",")));
    }

    #[test]
    fn deep_nesting() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(stored(&text), text);
    }
}
