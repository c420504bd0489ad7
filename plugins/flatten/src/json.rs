//! Parsed JSON: cursors over simd-json's tape, and the parser that keeps its buffers from one message to the next.

use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Node as Token, StaticNode, Tape, fill_tape_padded};

use crate::mend::mend;

/// One JSON value: the tape from its first token on.
#[derive(Clone, Copy)]
pub struct Value<'t>(&'t [Token<'t>]);

/// What a value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'t str),
    Object,
    Array,
}

/// A JSON number, as wide as it was written. Integers beyond 64 bits are floats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl<'t> Value<'t> {
    /// The value that begins a tape.
    pub fn new(tokens: &'t [Token<'t>]) -> Value<'t> {
        Value(tokens)
    }

    /// What it is.
    #[inline]
    pub fn shape(self) -> Shape<'t> {
        match self.0.first() {
            Some(Token::String(text)) => Shape::Text(text),
            Some(Token::Object { .. }) => Shape::Object,
            Some(Token::Array { .. }) => Shape::Array,
            Some(Token::Static(StaticNode::Bool(value))) => Shape::Bool(*value),
            Some(Token::Static(StaticNode::U64(value))) => Shape::Number(Number::Unsigned(*value)),
            Some(Token::Static(StaticNode::I64(value))) => Shape::Number(Number::Signed(*value)),
            Some(Token::Static(StaticNode::F64(value))) => Shape::Number(Number::Float(*value)),
            Some(Token::Static(StaticNode::Null)) | None => Shape::Null,
        }
    }

    /// Whether it is `null`.
    #[inline]
    pub fn is_null(self) -> bool {
        matches!(self.0.first(), Some(Token::Static(StaticNode::Null)) | None)
    }

    /// Whether it is an object.
    #[inline]
    pub fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Token::Object { .. }))
    }

    /// Whether it is an array.
    #[inline]
    pub fn is_array(self) -> bool {
        matches!(self.0.first(), Some(Token::Array { .. }))
    }

    /// The members of an object, repeated keys and all; none of anything else.
    #[inline]
    pub fn members(self) -> Members<'t> {
        match self.0 {
            [Token::Object { len, .. }, rest @ ..] => Members { rest, left: *len },
            _ => Members { rest: &[], left: 0 },
        }
    }

    /// The elements of an array; none of anything else.
    #[inline]
    pub fn elements(self) -> Elements<'t> {
        match self.0 {
            [Token::Array { len, .. }, rest @ ..] => Elements { rest, left: *len },
            _ => Elements { rest: &[], left: 0 },
        }
    }

    /// How many members or elements it has.
    pub fn len(self) -> usize {
        match self.0.first() {
            Some(Token::Object { len, .. } | Token::Array { len, .. }) => *len,
            _ => 0,
        }
    }

    /// The member of that name: of several, the last.
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        self.members().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// Its own tokens, and what follows them.
    #[inline]
    fn split(tokens: &'t [Token<'t>]) -> (Value<'t>, &'t [Token<'t>]) {
        let span = match tokens.first() {
            Some(Token::Object { count, .. } | Token::Array { count, .. }) => count + 1,
            _ => 1,
        };
        (Value(tokens), tokens.get(span..).unwrap_or_default())
    }
}

/// The members of an object.
#[derive(Clone)]
pub struct Members<'t> {
    rest: &'t [Token<'t>],
    left: usize,
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Value<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let [Token::String(key), rest @ ..] = self.rest else { return None };
        let (value, rest) = Value::split(rest);
        self.rest = rest;
        Some((key, value))
    }
}

/// The elements of an array.
#[derive(Clone)]
pub struct Elements<'t> {
    rest: &'t [Token<'t>],
    left: usize,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Value<'t>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = Value::split(self.rest);
        self.rest = rest;
        Some(value)
    }
}

/// Parses texts. Its buffers are used again.
pub struct Parser {
    buffers: Buffers,
}

/// Where texts are parsed in place.
#[derive(Default)]
pub struct Scratch {
    texts: Vec<u8>,
    mended: Vec<u8>,
}

impl Parser {
    pub fn new() -> Parser {
        // The depth costs heap, not stack.
        Parser { buffers: Buffers::with_max_depth(0, usize::MAX) }
    }

    /// Parses each text: `None` where it is not JSON.
    pub fn parse<'t>(&mut self, texts: &[&[u8]], scratch: &'t mut Scratch) -> Vec<Option<Tape<'t>>> {
        scratch.texts.clear();
        scratch.mended.clear();
        let mut parsed = self.parse_packed(texts, &mut scratch.texts);
        let failed: Vec<usize> =
            parsed.iter().enumerate().filter(|(_, tape)| tape.is_none()).map(|(index, _)| index).collect();
        if !failed.is_empty() {
            let mended: Vec<Vec<u8>> =
                failed.iter().filter_map(|index| texts.get(*index)).map(|text| mend(text)).collect();
            let mended: Vec<&[u8]> = mended.iter().map(Vec::as_slice).collect();
            for (index, tape) in failed.into_iter().zip(self.parse_packed(&mended, &mut scratch.mended)) {
                if let Some(slot) = parsed.get_mut(index) {
                    *slot = tape;
                }
            }
        }
        parsed
    }

    /// Copies the texts back to back, since parsing writes into them, and each needs some bytes behind it.
    fn parse_packed<'t>(&mut self, texts: &[&[u8]], packed: &'t mut Vec<u8>) -> Vec<Option<Tape<'t>>> {
        packed.reserve(texts.iter().map(|text| text.len()).sum::<usize>() + INPUT_PADDING * texts.len());
        for text in texts {
            packed.extend_from_slice(text);
            packed.extend_from_slice(&[b' '; INPUT_PADDING]);
        }
        let mut rest = packed.as_mut_slice();
        let mut parsed = Vec::with_capacity(texts.len());
        for text in texts {
            let Some((head, tail)) = mem::take(&mut rest).split_at_mut_checked(text.len() + INPUT_PADDING) else {
                break;
            };
            rest = tail;
            let mut tape = Tape(Vec::new());
            let result = fill_tape_padded(head, text.len(), &mut self.buffers, &mut tape);
            parsed.push(result.ok().map(|()| tape));
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_json_does_not_spoil_its_neighbours() {
        let mut scratch = Scratch::default();
        let texts: [&[u8]; 6] = [b"{\"a\":1}", b"{", b"[\"\\udc00\"]", b"", b"18446744073709551616", b"-1e999"];
        let parsed = Parser::new().parse(&texts, &mut scratch);
        let shapes: Vec<_> = parsed.iter().map(|tape| tape.as_ref().map(|tape| Value::new(&tape.0).shape())).collect();
        let big = Shape::Number(Number::Float(18_446_744_073_709_551_616.0));
        assert_eq!(
            shapes,
            [Some(Shape::Object), None, Some(Shape::Array), None, Some(big), Some(Shape::Text("-1e999"))]
        );
    }
}
