//! `annotations`: as an object, and as `key=value` texts, which every engine can search.

use std::borrow::Cow;

use crate::body::Body;
use crate::json::{Shape, Value};
use crate::stored::{self, Distinct};
use crate::writer::{self, key};

/// Writes both fields and returns the texts, sorted.
pub fn write(body: &mut Body<'_>, annotations: Option<Value<'_>>) -> Vec<String> {
    let Some(annotations) = body.read_object("dropped:annotations", annotations) else { return Vec::new() };
    let mut texts = Vec::new();
    for (key, value) in Distinct::new(annotations) {
        let text = match value.shape() {
            Shape::Null => continue,
            Shape::Object | Shape::Array => {
                body.warnings.push(Cow::Owned(format!("dropped:annotations.{key}")));
                continue;
            }
            Shape::Text(text) => Cow::Borrowed(text),
            Shape::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Shape::Number(number) => Cow::Owned(number.to_text()),
        };
        body.raw(if texts.is_empty() { key!("xray.annotations").as_bytes() } else { b"," });
        if texts.is_empty() {
            body.out.push(b'{');
        }
        writer::string(body.out, key);
        body.out.push(b':');
        stored::write(body.out, value);
        texts.push([key, "=", &text].concat());
    }
    if !texts.is_empty() {
        body.out.push(b'}');
        texts.sort_unstable();
        body.strings(key!("xray.annotation_kv"), &texts);
    }
    texts
}
