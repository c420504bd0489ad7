//! JSON that is well formed and that simd-json refuses all the same: half of a surrogate pair, which no text can hold,
//! becomes U+FFFD, and a number beyond the range of a float becomes its text.

use crate::coerce::is_json_number;
use crate::json::Number;

/// The JSON with both replaced. What is no JSON stays none.
pub fn mend(json: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(json.len() + 2);
    let mut in_string = false;
    let mut rest = json;
    while let [first, ..] = rest {
        let taken = match first {
            b'\\' => {
                let (taken, is_lone) = escape(rest);
                mended.extend_from_slice(if is_lone { b"\\ufffd" } else { rest.get(..taken).unwrap_or(rest) });
                taken
            }
            b'-' | b'0'..=b'9' if !in_string => {
                let number = number(rest);
                let after = rest.get(number.len()..).unwrap_or_default();
                if is_too_large(number) && !after.trim_ascii_start().starts_with(b":") {
                    mended.extend([b"\"", number, b"\""].into_iter().flatten());
                } else {
                    mended.extend_from_slice(number);
                }
                number.len()
            }
            _ => {
                in_string ^= *first == b'"';
                mended.push(*first);
                1
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    mended
}

/// The length of the escape, of a whole surrogate pair where there is one, and whether it is half of a pair.
fn escape(rest: &[u8]) -> (usize, bool) {
    match (unit(rest), rest.get(6..).and_then(unit)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, false),
        (Some(0xD800..=0xDFFF), _) => (6, true),
        (Some(_), _) => (6, false),
        (None, _) => (2, false),
    }
}

/// The UTF-16 code unit of a `\u` escape.
fn unit(escape: &[u8]) -> Option<u32> {
    let hex = escape.strip_prefix(b"\\u")?.get(..4)?;
    hex.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

fn number(rest: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    rest.split(|byte| !is_part(byte)).next().unwrap_or_default()
}

fn is_too_large(number: &[u8]) -> bool {
    is_json_number(number) && std::str::from_utf8(number).is_ok_and(|number| Number::parse(number).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates() {
        for (json, expected) in [
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ude00b""#, r#""\ufffdb""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\u+d83""#, r#""\u+d83""#),
            (r#""\"#, r#""\"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&mend(json.as_bytes())), expected);
        }
    }

    #[test]
    fn large_numbers() {
        for (json, expected) in [
            (r#"[1e400,-1E+400]"#, r#"["1e400","-1E+400"]"#),
            (r#"{"a":1e400 ,"b":1e308}"#, r#"{"a":"1e400" ,"b":1e308}"#),
            (r#"{1e400 :1}"#, r#"{1e400 :1}"#),
            (r#""\"1e400""#, r#""\"1e400""#),
            ("01e400", "01e400"),
        ] {
            assert_eq!(String::from_utf8_lossy(&mend(json.as_bytes())), expected);
        }
        let long = "9".repeat(400);
        assert_eq!(mend(long.as_bytes()), format!("\"{long}\"").into_bytes());
    }
}
