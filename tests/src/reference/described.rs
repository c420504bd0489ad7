//! Executions as DescribeExecution or a status event tells them, section 5.

use serde_json::Value;

use super::json::{self, Object, Reader, Warnings};
use super::time::Micros;

/// What a message says of one execution.
#[derive(Clone)]
pub struct Described {
    pub arn: String,
    members: Object,
    /// A status event, not an answer of DescribeExecution.
    pub is_event: bool,
}

impl Described {
    /// An answer of DescribeExecution, a status event, or the event's `detail`.
    pub fn read(value: &Value) -> Result<Self, &'static str> {
        let object = value.as_object().ok_or("execution is not an object")?;
        let (members, whole_event) = match object.get("detail") {
            Some(Value::Object(detail)) => (detail, true),
            _ => (object, false),
        };
        let reader = Reader::new(members, &Warnings::default());
        let arn = reader.text("executionArn").ok_or("execution without an ARN")?;
        // The event has milliseconds where DescribeExecution has seconds.
        let in_millis = |key| reader.get(key).and_then(Value::as_f64).is_some_and(|date| date > 1e11);
        let is_event = whole_event || in_millis("startDate") || in_millis("stopDate");
        Ok(Described { arn, members: members.clone(), is_event })
    }

    pub fn reader(&self, warnings: &Warnings) -> Reader<'_> {
        Reader::new(&self.members, warnings)
    }

    pub fn status(&self) -> Option<String> {
        self.reader(&Warnings::default()).text("status")
    }

    pub fn redrive_count(&self) -> Option<i32> {
        redrive_count(&self.reader(&Warnings::default()))
    }

    pub fn is_terminal(&self) -> bool {
        self.status().is_some_and(|status| is_terminal(&status))
    }

    /// Of two for one ARN the greater stands.
    pub fn rank(&self) -> impl Ord + use<> {
        (self.redrive_count().unwrap_or(0), self.is_terminal(), !self.is_event)
    }

    /// The trace id in `traceHeader`.
    pub fn root(&self, warnings: &Warnings) -> Option<String> {
        let header = self.reader(warnings).text("traceHeader")?;
        let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root=").map(str::to_owned));
        root.filter(|root| !root.is_empty())
    }
}

/// A negative count has the wrong type.
pub fn redrive_count(reader: &Reader) -> Option<i32> {
    let count = reader.integer("redriveCount")?;
    if count < 0 {
        reader.dropped("redriveCount");
    }
    (count >= 0).then_some(count)
}

pub fn is_terminal(status: &str) -> bool {
    matches!(status, "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED")
}

/// A date of an execution; one that is text and a number is taken with a warning.
pub fn date(reader: &Reader, key: &str) -> Option<Micros> {
    let date = reader.read(key, Micros::from_date)?;
    if reader.get(key).is_some_and(|value| value.is_string() && json::number(value).is_some()) {
        reader.warn("time_string");
    }
    Some(date)
}
