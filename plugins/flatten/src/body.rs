//! A document being written, straight into the output buffer.

use std::borrow::Cow;

use crate::coerce::{self, Coerced};
use crate::json::{Shape, Value};
use crate::time::{Calendar, Micros};
use crate::writer::{self, key};

/// Something about the source that a reader of the document should know: `duplicate`, `dropped:http.response.status`.
pub type Warning = Cow<'static, str>;

/// A field that one member of the source gives.
#[derive(Clone, Copy)]
pub struct Field {
    /// As it stands in a document.
    pub key: &'static str,
    /// The warning for a value of the wrong type.
    pub dropped: &'static str,
}

/// `field!("span.id" <- "id")`: the field and the source path it comes from.
macro_rules! field {
    ($name:literal <- $path:literal) => {
        $crate::body::Field { key: $crate::writer::key!($name), dropped: concat!("dropped:", $path) }
    };
}
pub(crate) use field;

/// Integers that the mapping's `integer` takes.
pub const INTEGER: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// A document being written. Every method adds a field, or nothing where the value is absent.
pub struct Body<'b> {
    pub out: &'b mut Vec<u8>,
    pub calendar: &'b mut Calendar,
    pub warnings: &'b mut Vec<Warning>,
}

/// The times of a document.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// Where it is not simply the end less the start.
    pub duration: Option<Micros>,
    pub collected_at: Option<Micros>,
}

impl Body<'_> {
    /// The value, or a warning.
    pub fn checked<T>(&mut self, dropped: &'static str, coerced: Coerced<T>) -> Option<T> {
        coerced.unwrap_or_else(|_| {
            self.warnings.push(Cow::Borrowed(dropped));
            None
        })
    }

    /// The value as text, or a warning.
    #[inline(always)]
    pub fn read_text<'t>(&mut self, dropped: &'static str, value: Option<Value<'t>>) -> Option<Cow<'t, str>> {
        match value?.shape() {
            Shape::Text("") => None,
            Shape::Text(text) => Some(Cow::Borrowed(text)),
            _ => self.checked(dropped, coerce::text(value?)),
        }
    }

    /// The value if it is an object, or a warning.
    pub fn read_object<'t>(&mut self, dropped: &'static str, value: Option<Value<'t>>) -> Option<Value<'t>> {
        self.read_if(dropped, value, Value::is_object)
    }

    /// The value if it is an array, or a warning.
    pub fn read_array<'t>(&mut self, dropped: &'static str, value: Option<Value<'t>>) -> Option<Value<'t>> {
        self.read_if(dropped, value, Value::is_array)
    }

    #[inline]
    fn read_if<'t>(
        &mut self,
        dropped: &'static str,
        value: Option<Value<'t>>,
        is_wanted: impl Fn(Value<'t>) -> bool,
    ) -> Option<Value<'t>> {
        let value = value?;
        if !is_wanted(value) {
            self.warnings.push(Cow::Borrowed(dropped));
            return None;
        }
        Some(value)
    }

    /// Bytes that are JSON already.
    #[inline]
    pub fn raw(&mut self, json: &[u8]) {
        writer::raw(self.out, json);
    }

    /// Text from the source, as it is.
    #[inline(always)]
    pub fn text(&mut self, field: Field, value: Option<Value<'_>>) {
        let Some(value) = value else { return };
        match value.shape() {
            Shape::Text("") => {}
            Shape::Text(text) => self.string(field.key, text),
            _ => self.other_text(field, value),
        }
    }

    #[cold]
    fn other_text(&mut self, field: Field, value: Value<'_>) {
        let text = self.read_text(field.dropped, Some(value));
        self.optional(field.key, text.as_deref());
    }

    /// A key. Always inlined, since a copy of known length is a few instructions and one of unknown length a call.
    #[inline(always)]
    fn key(&mut self, key: &'static str) {
        self.out.extend_from_slice(key.as_bytes());
    }

    /// Text.
    #[inline(always)]
    pub fn string(&mut self, key: &'static str, text: &str) {
        self.key(key);
        writer::string(self.out, text);
    }

    /// Text that may be absent.
    #[inline(always)]
    pub fn optional(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.string(key, text);
        }
    }

    /// Texts, none of them empty.
    pub fn strings<S: AsRef<str>>(&mut self, key: &'static str, texts: &[S]) {
        let Some((first, rest)) = texts.split_first() else { return };
        self.raw(key.as_bytes());
        self.out.push(b'[');
        writer::string(self.out, first.as_ref());
        for text in rest {
            self.out.push(b',');
            writer::string(self.out, text.as_ref());
        }
        self.out.push(b']');
    }

    /// Texts from the source.
    pub fn texts<'t>(&mut self, field: Field, values: impl Iterator<Item = Option<Value<'t>>>) {
        let mut open = false;
        for value in values {
            let Some(text) = self.read_text(field.dropped, value) else { continue };
            if open {
                self.out.push(b',');
            } else {
                self.raw(field.key.as_bytes());
                self.out.push(b'[');
                open = true;
            }
            writer::string(self.out, &text);
        }
        if open {
            self.out.push(b']');
        }
    }

    /// The objects of an array, or a warning if it has other elements.
    pub fn objects<'t>(
        &mut self,
        dropped: &'static str,
        array: Value<'t>,
    ) -> impl Iterator<Item = Value<'t>> + Clone + use<'t> {
        if array.elements().any(|element| !element.is_object() && !element.is_null()) {
            self.warnings.push(Cow::Borrowed(dropped));
        }
        array.elements().filter(|element| element.is_object())
    }

    /// Text: the first of several places that has it. All of them are read, since each may have the wrong type.
    pub fn first(&mut self, key: &'static str, places: &[(&'static str, Option<Value<'_>>)]) {
        let mut first = None;
        for (dropped, value) in places {
            let text = self.read_text(dropped, *value);
            first = first.or(text);
        }
        self.optional(key, first.as_deref());
    }

    /// An integer.
    #[inline(always)]
    pub fn integer(&mut self, key: &'static str, number: i64) {
        self.key(key);
        writer::integer(self.out, number);
    }

    /// An integer of 32 bits from the source.
    pub fn integer_from(&mut self, field: Field, value: Option<Value<'_>>) {
        let Some(value) = value else { return };
        let coerced = match coerce::integer(value) {
            Ok(Some(number)) if !INTEGER.contains(&number) => Err(coerce::WrongType),
            other => other,
        };
        if let Some(number) = self.checked(field.dropped, coerced) {
            self.integer(field.key, number);
        }
    }

    /// A boolean, written whatever it is.
    #[inline(always)]
    pub fn boolean(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A boolean, written only where it is true.
    #[inline(always)]
    pub fn flag(&mut self, key: &'static str, value: bool) {
        if value {
            self.boolean(key, true);
        }
    }

    /// A time.
    #[inline(always)]
    pub fn time(&mut self, key: &'static str, time: Option<Micros>) {
        if let Some(time) = time {
            self.key(key);
            self.out.extend_from_slice(self.calendar.quoted(time));
        }
    }

    /// `@timestamp` and what begins with `event.`, but for the outcome.
    pub fn times(&mut self, timestamp: Micros, times: Times) {
        self.time(key!("@timestamp"), Some(timestamp));
        self.time(key!("event.start"), times.start);
        self.time(key!("event.end"), times.end);
        let duration = times.duration.or_else(|| Some(times.end? - times.start?));
        if duration.is_some_and(|duration| duration < 0) {
            self.warnings.push(Cow::Borrowed("negative_duration"));
        }
        let duration = duration.map(|duration| duration.max(0));
        // Times can lie so far apart that the nanoseconds between them are no `long`.
        if let Some((duration, nanoseconds)) =
            duration.and_then(|duration| Some((duration, duration.checked_mul(1000)?)))
        {
            self.integer(key!("event.duration"), nanoseconds);
            self.key(key!("duration_ms"));
            writer::thousandths(self.out, duration);
        }
        if let (Some(collected_at), Some(end)) = (times.collected_at, times.end) {
            self.integer(key!("xray.lag_ms"), (collected_at - end) / 1000);
        }
    }

    /// The account and region that the document is about.
    pub fn place(&mut self, account: Option<&str>, region: Option<&str>) {
        if let Some(account) = account {
            self.string(key!("cloud.account.id"), account);
            if !is_account(account) {
                self.warnings.push(Cow::Borrowed("account_not_12_digits"));
            }
        }
        self.optional(key!("cloud.region"), region);
    }

    /// The warnings, sorted and distinct, and the closing brace.
    pub fn close(mut self) {
        if !self.warnings.is_empty() {
            self.warnings.sort_unstable();
            self.warnings.dedup();
            let warnings = std::mem::take(self.warnings);
            self.strings(key!("xray.parse.warnings"), &warnings);
        }
        self.out.push(b'}');
    }
}

/// Whether an account id has twelve digits.
pub fn is_account(account: &str) -> bool {
    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
}
