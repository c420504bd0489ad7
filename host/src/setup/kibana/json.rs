//! JSON that is put together.

use serde_json::Value;

/// The object with these members too.
pub(super) fn with<const N: usize>(object: Value, more: [(&str, Value); N]) -> Value {
    let Value::Object(mut members) = object else { return object };
    members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(members)
}

/// JSON inside JSON, as Kibana keeps it.
pub(super) fn text(value: &Value) -> Value {
    Value::String(value.to_string())
}
