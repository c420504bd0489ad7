//! JSON text that is not as `serde_json` would write it.

use std::fmt::Write as _;

/// JSON that can have a key twice.
#[derive(Clone, Debug)]
pub enum Json {
    /// Its text.
    Scalar(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn text(text: &str) -> Self {
        Json::Scalar(serde_json::to_string(text).expect("text is JSON"))
    }

    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Json::Scalar(text) => out.push_str(text),
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.write_to(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    let _ = write!(out, "{comma}{}:", serde_json::to_string(key).expect("text is JSON"));
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}
