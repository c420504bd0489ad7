//! What a message says of executions: answers of DescribeExecution, status events.

use std::borrow::Cow;

use crate::body::Warning;
use crate::coerce;
use crate::json::{Shape, Value};
use crate::members;
use crate::message::checked;
use crate::time::{self, Micros};

/// One execution as described.
pub struct Described<'t> {
    pub source: members::Execution<'t>,
    pub whole: Value<'t>,
    pub arn: Cow<'t, str>,
    pub status: Option<Cow<'t, str>>,
    pub is_event: bool,
    pub start: Option<Micros>,
    pub stop: Option<Micros>,
    pub redrive_count: Option<i64>,
    /// The trace that its `traceHeader` names.
    pub trace_id: Option<String>,
    pub warnings: Vec<Warning>,
}

impl<'t> Described<'t> {
    /// Reads a description, a status event or an event's `detail`. `Err`: why it is none.
    pub fn read(whole: Value<'t>) -> Result<Described<'t>, &'static str> {
        if !whole.is_object() {
            return Err("execution is not an object");
        }
        let detail = whole.get("detail").filter(|detail| detail.is_object());
        let source = members::Execution::read(detail.unwrap_or(whole));
        let mut warnings = Vec::new();
        let mut text = |dropped, value: Option<Value<'t>>| checked(&mut warnings, dropped, coerce::text(value?));
        let arn = text("dropped:executionArn", source.arn).ok_or("execution without an ARN")?;
        let status = text("dropped:status", source.status);
        let trace_id = text("dropped:traceHeader", source.trace_header).as_deref().and_then(root);
        let mut date = |dropped, value: Option<Value<'t>>| {
            let read = checked(&mut warnings, dropped, time::date(value?))?;
            if read.was_number_text {
                warnings.push(Cow::Borrowed("time_string"));
            }
            Some(read.time)
        };
        let start = date("dropped:startDate", source.start);
        let stop = date("dropped:stopDate", source.stop);
        // Only events have their dates in milliseconds.
        let in_milliseconds = |date: Option<Value<'t>>| match date.map(Value::shape) {
            Some(Shape::Number(number)) => time::is_milliseconds(number),
            _ => false,
        };
        let is_event = detail.is_some() || in_milliseconds(source.start) || in_milliseconds(source.stop);
        let redrive_count = source.redrive_count.map_or(Ok(None), coerce::integer).and_then(|count| match count {
            Some(count) if !(0..=i64::from(i32::MAX)).contains(&count) => Err(coerce::WrongType),
            count => Ok(count),
        });
        let redrive_count = checked(&mut warnings, "dropped:redriveCount", redrive_count);
        Ok(Described { source, whole, arn, status, is_event, start, stop, redrive_count, trace_id, warnings })
    }

    /// What decides between two descriptions of one execution: the greater stays.
    pub fn worth(&self) -> (i64, bool, bool) {
        let is_terminal = self.status.as_deref().is_some_and(is_terminal);
        (self.redrive_count.unwrap_or(0), is_terminal, !self.is_event)
    }
}

/// Whether an execution of that status has ended.
pub fn is_terminal(status: &str) -> bool {
    matches!(status, "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED")
}

/// The trace id in `Root=1-…;Sampled=1`.
fn root(header: &str) -> Option<String> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    (!root.is_empty()).then(|| root.to_owned())
}
