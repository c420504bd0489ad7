//! What is read of JSON, as section 1 says: coercion, warnings.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::time::Micros;

pub type Object = Map<String, Value>;

/// The members of an object, read by name. What has the wrong type is left out and leaves a warning.
#[derive(Clone)]
pub struct Reader<'a> {
    members: Option<&'a Object>,
    path: String,
    warnings: Warnings,
}

/// Sorted and distinct, shared by the readers of one document.
#[derive(Clone, Default)]
pub struct Warnings(Rc<RefCell<BTreeSet<String>>>);

impl Warnings {
    pub fn add(&self, warning: impl Into<String>) {
        self.0.borrow_mut().insert(warning.into());
    }

    pub fn list(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }
}

impl<'a> Reader<'a> {
    pub fn new(members: &'a Object, warnings: &Warnings) -> Self {
        Reader { members: Some(members), path: String::new(), warnings: warnings.clone() }
    }

    /// A member that is there: null is absent.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// Every member that is not null.
    pub fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.members.into_iter().flatten().filter(|(_, value)| !value.is_null())
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.read(key, text).filter(|text| !text.is_empty())
    }

    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.read(key, boolean)
    }

    /// A boolean that matters only when true.
    pub fn flag(&self, key: &str) -> bool {
        self.boolean(key) == Some(true)
    }

    /// An `integer` of 32 bits.
    pub fn integer(&self, key: &str) -> Option<i32> {
        self.read(key, |value| i32::try_from(long(value)?).ok())
    }

    /// A `long` of 64 bits.
    pub fn long(&self, key: &str) -> Option<i64> {
        self.read(key, long)
    }

    /// Seconds since the epoch.
    pub fn time(&self, key: &str) -> Option<Micros> {
        let time = self.read(key, |value| Micros::from_seconds(number(value)?));
        if time.is_some() && self.get(key).is_some_and(Value::is_string) {
            self.warnings.add("time_string");
        }
        time
    }

    /// The members of an object; of none if there is none.
    pub fn object(&self, key: &str) -> Reader<'a> {
        Reader { members: self.read(key, Value::as_object), path: self.path_of(key), warnings: self.warnings.clone() }
    }

    pub fn list(&self, key: &str) -> Option<&'a Vec<Value>> {
        self.read(key, Value::as_array)
    }

    /// The texts of a list.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let texts = self.items(key, text);
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    /// The objects of a list.
    pub fn objects(&self, key: &str) -> Vec<Reader<'a>> {
        let reader =
            |object| Reader { members: Some(object), path: self.path_of(key), warnings: self.warnings.clone() };
        self.items(key, Value::as_object).into_iter().map(reader).collect()
    }

    pub fn read<T>(&self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let read = read(self.get(key)?);
        if read.is_none() {
            self.dropped(key);
        }
        read
    }

    pub fn dropped(&self, key: &str) {
        self.warnings.add(format!("dropped:{}", self.path_of(key)));
    }

    pub fn warn(&self, warning: &str) {
        self.warnings.add(warning);
    }

    fn items<T>(&self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> Vec<T> {
        let mut items = Vec::new();
        for value in self.list(key).into_iter().flatten().filter(|value| !value.is_null()) {
            match read(value) {
                Some(item) => items.push(item),
                None => self.dropped(key),
            }
        }
        items
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Text; a number or boolean gives its JSON text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A number, or text that is wholly one.
pub fn number(value: &Value) -> Option<f64> {
    as_number(value)?.as_f64()
}

fn long(value: &Value) -> Option<i64> {
    let number = as_number(value)?;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // 2^63 itself is not an i64.
        let fits = float.fract() == 0.0 && float >= i64::MIN as f64 && float < i64::MAX as f64;
        fits.then_some(float as i64)
    })
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(boolean) => Some(*boolean),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        // The reader of numbers would pass over white space.
        Value::String(text) if !text.contains(|c: char| c.is_ascii_whitespace()) => serde_json::from_str(text).ok(),
        _ => None,
    }
}
