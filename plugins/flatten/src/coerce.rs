//! What a value stands for where a certain type is wanted.

use std::borrow::Cow;

use crate::json::{Number, Shape, Value};

/// `None` is absent; `Err` is a wrong type.
pub type Coerced<T> = Result<Option<T>, WrongType>;

/// The value cannot stand for what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType;

/// As text: a number or boolean gives its JSON text. No text is empty.
pub fn text(value: Value<'_>) -> Coerced<Cow<'_, str>> {
    match value.shape() {
        Shape::Null | Shape::Text("") => Ok(None),
        Shape::Text(text) => Ok(Some(Cow::Borrowed(text))),
        Shape::Bool(value) => Ok(Some(Cow::Borrowed(if value { "true" } else { "false" }))),
        Shape::Number(number) => Ok(Some(Cow::Owned(number.to_text()))),
        Shape::Object | Shape::Array => Err(WrongType),
    }
}

/// As a boolean: `"true"` and `"false"` stand for theirs.
pub fn boolean(value: Value<'_>) -> Coerced<bool> {
    match value.shape() {
        Shape::Null => Ok(None),
        Shape::Bool(value) => Ok(Some(value)),
        Shape::Text("true") => Ok(Some(true)),
        Shape::Text("false") => Ok(Some(false)),
        _ => Err(WrongType),
    }
}

/// As a number: a text that is wholly a JSON number stands for it. The flag says that it was text.
pub fn number(value: Value<'_>) -> Coerced<(Number, bool)> {
    match value.shape() {
        Shape::Null => Ok(None),
        Shape::Number(number) => Ok(Some((number, false))),
        Shape::Text(text) => Number::parse(text).map(|number| Some((number, true))).ok_or(WrongType),
        _ => Err(WrongType),
    }
}

/// As an integer: a number without a fraction.
pub fn integer(value: Value<'_>) -> Coerced<i64> {
    match number(value)? {
        Some((number, _)) => number.to_integer().map(Some).ok_or(WrongType),
        None => Ok(None),
    }
}

impl Number {
    /// Reads a text that is wholly a number in JSON's own grammar.
    pub fn parse(text: &str) -> Option<Number> {
        if !is_json_number(text.as_bytes()) {
            return None;
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Signed(number));
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Unsigned(number));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
    }

    /// As a float, perhaps rounded.
    #[inline]
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Signed(number) => number as f64,
            Number::Unsigned(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// As an integer, if it is one of 64 bits.
    pub fn to_integer(self) -> Option<i64> {
        const END: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Number::Signed(number) => Some(number),
            Number::Unsigned(number) => i64::try_from(number).ok(),
            Number::Float(number) => (number.fract() == 0.0 && (-END..END).contains(&number)).then_some(number as i64),
        }
    }

    /// As JSON text.
    pub fn to_text(self) -> String {
        match self {
            Number::Signed(number) => itoa::Buffer::new().format(number).into(),
            Number::Unsigned(number) => itoa::Buffer::new().format(number).into(),
            Number::Float(number) => zmij::Buffer::new().format_finite(number).into(),
        }
    }
}

/// Whether it is a number in JSON's own grammar.
pub fn is_json_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> (usize, &[u8]) {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count, text.get(count..).unwrap_or_default())
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, mut rest) = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned.starts_with(b"0")) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let (count, after) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let (count, after) = digits(exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent));
        if count == 0 {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text() {
        for (text, expected) in [
            ("861", Some(Number::Signed(861))),
            ("-1", Some(Number::Signed(-1))),
            ("18446744073709551615", Some(Number::Unsigned(u64::MAX))),
            ("18446744073709551616", Some(Number::Float(18_446_744_073_709_551_616.0))),
            ("1.478293361271E9", Some(Number::Float(1_478_293_361.271))),
            ("1e-2", Some(Number::Float(0.01))),
            ("0.5", Some(Number::Float(0.5))),
            ("1e400", None),
            ("007", None),
            ("+5", None),
            (".5", None),
            ("5.", None),
            ("1e", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
            ("NaN", None),
            ("inf", None),
            ("-", None),
        ] {
            assert_eq!(Number::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn integers() {
        for (number, expected) in [
            (Number::Float(200.0), Some(200)),
            (Number::Float(200.5), None),
            (Number::Float(1e19), None),
            (Number::Unsigned(u64::MAX), None),
            (Number::Float(-9_223_372_036_854_775_808.0), Some(i64::MIN)),
        ] {
            assert_eq!(number.to_integer(), expected, "{number:?}");
        }
    }

    #[test]
    fn number_texts() {
        for (number, expected) in [
            (Number::Float(1.0), "1.0"),
            (Number::Float(1e21), "1e+21"),
            (Number::Float(12.5), "12.5"),
            (Number::Signed(-3), "-3"),
        ] {
            assert_eq!(number.to_text(), expected);
        }
    }
}
