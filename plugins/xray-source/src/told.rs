//! What DescribeExecution or a status event says of an execution.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::arn::TraceMention;
use crate::options::Payloads;

/// How much of an input or output `truncated` keeps, in bytes.
const TRUNCATED: usize = 4096;

/// One execution as told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// As it goes into the raw message.
    pub json: String,
    /// Whether it may still change.
    pub is_running: bool,
    /// The trace that it belongs to.
    pub trace: Option<TraceMention>,
    /// When it ended, in nanoseconds since 1970-01-01T00:00:00Z.
    pub end: Option<u64>,
    /// The latest time that it names.
    pub latest: u64,
    /// What of it must be the same for two of them to agree.
    pub state: String,
    /// The `Date` of the service's answer; 0 for an event.
    pub date: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    status: Option<String>,
    #[serde(default)]
    trace_header: Option<String>,
    #[serde(default)]
    start_date: Value,
    #[serde(default)]
    stop_date: Value,
    #[serde(default)]
    redrive_date: Value,
    #[serde(default)]
    redrive_count: Option<u64>,
}

impl Told {
    /// Reads an answer of DescribeExecution, or the `detail` of a status event. `None`: it is neither.
    pub fn read(json: String, date: u64, payloads: Payloads) -> Option<Told> {
        let members: Members = serde_json::from_str(&json).ok()?;
        let status = members.status?;
        let [start, end, redrive] =
            [&members.start_date, &members.stop_date, &members.redrive_date].map(|date| time(date));
        let redrives = members.redrive_count.unwrap_or(0);
        Some(Told {
            is_running: !matches!(status.as_str(), "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED"),
            trace: members.trace_header.as_deref().and_then(TraceMention::parse),
            end,
            latest: start.max(end).max(redrive).unwrap_or(0),
            state: format!("{status} {redrives} {}", end.unwrap_or(0) / 1_000_000),
            date,
            json: payloads.apply(json),
        })
    }

    /// Leaves out input and output: the message would be too large.
    pub fn drop_payloads(&mut self) {
        self.json = Payloads::None.apply(std::mem::take(&mut self.json));
    }
}

impl Payloads {
    fn apply(self, json: String) -> String {
        let most = match self {
            Payloads::Full => return json,
            Payloads::Truncated => TRUNCATED,
            Payloads::None => 0,
        };
        let Ok(Value::Object(mut execution)) = serde_json::from_str(&json) else { return json };
        let cut = [("input", "inputDetails"), ("output", "outputDetails")]
            .into_iter()
            .filter(|(payload, details)| shorten(&mut execution, payload, details, most))
            .count();
        if cut > 0 { Value::Object(execution).to_string() } else { json }
    }
}

/// Cuts one payload and says so beside it, in the services' own words.
fn shorten(execution: &mut Map<String, Value>, payload: &str, details: &str, most: usize) -> bool {
    let Some(Value::String(text)) = execution.get_mut(payload) else { return false };
    if text.len() <= most {
        return false;
    }
    text.truncate(text.floor_char_boundary(most));
    if most > 0 {
        execution.insert(details.to_owned(), json!({ "included": true, "truncated": true }));
    } else {
        execution.remove(payload);
        execution.insert(details.to_owned(), json!({ "included": false }));
    }
    true
}

/// A date of the APIs (seconds), of events (milliseconds), or as text, in nanoseconds since 1970-01-01T00:00:00Z.
fn time(date: &Value) -> Option<u64> {
    match date {
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| *number > 0.0)?;
            let milliseconds = if number > 1e11 { number } else { number * 1000.0 };
            Some((milliseconds.round() as u64).saturating_mul(1_000_000))
        }
        Value::String(text) => rayline_message::nanoseconds(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = r#"{"executionArn":"a","status":"FAILED","startDate":1710276830.1,"stopDate":1710276840.0,"input":"{\"n\":1}","inputDetails":{"included":true},"redriveCount":1,"traceHeader":"Root=1-65f0c0de-5a1b2c3d4e5f60718293a4b5;Sampled=1"}"#;

    #[test]
    fn answers_and_events_are_read_alike() {
        let told = Told::read(DESCRIBED.into(), 7, Payloads::Full).unwrap();
        assert_eq!((told.json.as_str(), told.date, told.is_running), (DESCRIBED, 7, false));
        assert_eq!(told.end, Some(1_710_276_840_000_000_000));
        assert_eq!(told.trace.unwrap().id, "1-65f0c0de-5a1b2c3d4e5f60718293a4b5");
        let event = DESCRIBED.replace("1710276840.0", "1710276840000").replace("1710276830.1", "1710276830100");
        assert_eq!(Told::read(event, 0, Payloads::Full).unwrap().state, told.state);
        for running in ["RUNNING", "PENDING_REDRIVE", "SOMETHING_NEW"] {
            let text = format!(r#"{{"status":"{running}","startDate":1,"stopDate":null}}"#);
            assert!(Told::read(text, 0, Payloads::Full).unwrap().is_running);
        }
        for text in ["{}", "[]", "x", r#"{"status":1}"#] {
            assert_eq!(Told::read(text.into(), 0, Payloads::Full), None);
        }
    }

    #[test]
    fn payloads() {
        let long = "ü".repeat(3000);
        let text = json!({ "status": "SUCCEEDED", "input": long, "output": "short" }).to_string();
        let read =
            |payloads| -> Value { serde_json::from_str(&Told::read(text.clone(), 0, payloads).unwrap().json).unwrap() };
        assert_eq!(read(Payloads::Full)["input"], long.as_str());
        let truncated = read(Payloads::Truncated);
        assert_eq!(truncated["input"].as_str().unwrap().len(), TRUNCATED);
        assert_eq!(truncated["inputDetails"], json!({ "included": true, "truncated": true }));
        assert_eq!((&truncated["output"], truncated.get("outputDetails")), (&json!("short"), None));
        let none = read(Payloads::None);
        assert_eq!((none.get("input"), none.get("output")), (None, None));
        assert_eq!(none["outputDetails"], json!({ "included": false }));
    }
}
