//! The form of a document: one flat object without nulls and without anything empty.

use serde::Serialize;
use serde_json::Value;

use super::json::Object;

#[derive(Default)]
pub struct Body(Object);

impl Body {
    /// Nothing, empty text, an empty list and an empty object are absent.
    pub fn put(&mut self, key: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).expect("documents are JSON");
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            self.0.insert(key.to_owned(), value);
        }
    }

    /// A boolean that is written only when true.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.put(key, value.then_some(true));
    }

    pub fn finish(self) -> Object {
        self.0
    }
}
