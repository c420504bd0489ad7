//! Small messages about one trace, to be varied by tests.

use serde_json::{Value, json};

pub const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:Orders:order-1";
pub const EXPRESS: &str = "arn:aws:states:eu-west-1:111122223333:express:Price:quote-1:5f0f";
pub const TRACE: &str = "1-6aad0d03-6474ec86faeb7407e62ea252";
/// The seconds in [`TRACE`].
pub const T0: f64 = 1_789_725_955.0;

/// A message about [`TRACE`], collected so many seconds after it began.
pub fn raw(after_secs: i64, verdict: &str, executions: Value, segments: Value) -> Vec<u8> {
    let trace = if segments.is_null() { Value::Null } else { json!({"Id": TRACE, "Segments": segments}) };
    envelope(after_secs, verdict, executions, trace)
}

pub fn envelope(after_secs: i64, verdict: &str, executions: Value, trace: Value) -> Vec<u8> {
    let at = jiff::Timestamp::from_second(T0 as i64 + after_secs).expect("a time").to_string();
    let message = json!({"schema": "rayline.raw/1", "account_id": "111122223333", "region": "eu-west-1", "collected_at": at,
        "discovered_at": at, "verdict": verdict, "executions": executions, "trace": trace});
    message.to_string().into_bytes()
}

pub fn describe(status: &str, redrives: u32) -> Value {
    json!({"executionArn": ARN, "status": status, "startDate": T0, "redriveCount": redrives})
}

/// The segment of an execution that took so many seconds.
pub fn machine(arn: &str, secs: Option<f64>) -> Value {
    json!({"id": "own", "name": "Orders", "start_time": T0, "end_time": secs.map(|secs| T0 + secs),
        "origin": "AWS::StepFunctions::StateMachine", "aws": {"resource_arn": arn}})
}
