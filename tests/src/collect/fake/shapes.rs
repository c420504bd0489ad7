//! The API models of AWS, and whether a value is what they say: members, types, enumerations, lengths. Patterns are not
//! looked at.

use std::fs;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::harness::{skip, workspace};

/// What any operation may answer besides the errors that its model names.
const COMMON: [&str; 5] =
    ["AccessDeniedException", "InternalFailure", "ServiceUnavailable", "ThrottlingException", "ValidationException"];

/// The model of one service.
pub struct Model {
    shapes: Map<String, Value>,
    operations: Map<String, Value>,
}

/// Of X-Ray; none where the models are not there.
pub fn xray() -> Option<&'static Model> {
    static MODEL: OnceLock<Option<Model>> = OnceLock::new();
    MODEL.get_or_init(|| read("botocore-xray-2016-04-12-service-2.json")).as_ref()
}

/// Of Step Functions.
pub fn states() -> Option<&'static Model> {
    static MODEL: OnceLock<Option<Model>> = OnceLock::new();
    MODEL.get_or_init(|| read("botocore-stepfunctions-2016-11-23-service-2.json")).as_ref()
}

fn read(name: &str) -> Option<Model> {
    let path = workspace("../shared/xray-data/schema").join(name);
    let Ok(text) = fs::read_to_string(&path) else {
        skip(&format!("there is no {}, answers are not held against it", path.display()));
        return None;
    };
    let mut model: Value = serde_json::from_str(&text).expect("JSON");
    let mut part = |name: &str| match model[name].take() {
        Value::Object(part) => part,
        other => panic!("{name} is {other}"),
    };
    Some(Model { shapes: part("shapes"), operations: part("operations") })
}

impl Model {
    /// What is wrong with the input of an operation.
    pub fn input(&self, operation: &str, value: &Value) -> Vec<String> {
        self.check(operation, "input", value)
    }

    /// What is wrong with the output of an operation.
    pub fn output(&self, operation: &str, value: &Value) -> Vec<String> {
        self.check(operation, "output", value)
    }

    /// What is wrong with an error of an operation: its name and its status.
    pub fn error(&self, operation: &str, code: &str, status: u16) -> Vec<String> {
        if COMMON.contains(&code) {
            return Vec::new();
        }
        let errors = self.operations[operation]["errors"].as_array().map_or(&[][..], Vec::as_slice);
        if !errors.iter().any(|error| error["shape"] == code) {
            return vec![format!("{operation} never answers {code}")];
        }
        let expected = self.shapes[code]["error"]["httpStatusCode"].as_u64().unwrap_or(400);
        let is_right = u64::from(status) == expected;
        if is_right { Vec::new() } else { vec![format!("{code} is a {expected}, not a {status}")] }
    }

    fn check(&self, operation: &str, side: &str, value: &Value) -> Vec<String> {
        let Some(known) = self.operations.get(operation) else { return vec![format!("there is no {operation}")] };
        let mut wrong = Vec::new();
        match known[side]["shape"].as_str() {
            Some(shape) => self.value(shape, value, &format!("{operation} {side}"), &mut wrong),
            None => wrong.push(format!("{operation} has no {side}")),
        }
        wrong
    }

    /// `place` is where in the input or output it stands.
    fn value(&self, shape: &str, value: &Value, place: &str, wrong: &mut Vec<String>) {
        let model = &self.shapes[shape];
        let kind = model["type"].as_str().expect("a type");
        let mut size = None;
        let is_right = match (kind, value) {
            ("structure", Value::Object(members)) => {
                self.members(model, members, place, wrong);
                true
            }
            ("list", Value::Array(items)) => {
                size = Some(items.len() as f64);
                let member = model["member"]["shape"].as_str().expect("a member");
                for (n, item) in items.iter().enumerate() {
                    self.value(member, item, &format!("{place}[{n}]"), wrong);
                }
                true
            }
            ("map", Value::Object(entries)) => {
                size = Some(entries.len() as f64);
                for (key, entry) in entries {
                    let at = format!("{place}.{key}");
                    self.value(model["value"]["shape"].as_str().expect("a value"), entry, &at, wrong);
                }
                true
            }
            ("string", Value::String(text)) => {
                size = Some(text.chars().count() as f64);
                let choices = model["enum"].as_array();
                choices.is_none_or(|choices| choices.iter().any(|choice| choice == text))
            }
            ("integer" | "long", Value::Number(number)) => {
                size = number.as_f64();
                number.is_i64() || number.is_u64()
            }
            ("double" | "float" | "timestamp", Value::Number(_)) | ("boolean", Value::Bool(_)) => true,
            _ => false,
        };
        let short: String = value.to_string().chars().take(100).collect();
        if !is_right {
            wrong.push(format!("{place} is no {shape} ({kind}): {short}"));
        }
        let outside = size.is_some_and(|size| {
            model["min"].as_f64().is_some_and(|min| size < min) || model["max"].as_f64().is_some_and(|max| size > max)
        });
        if outside {
            wrong.push(format!("{place} is too short or too long for {shape}: {short}"));
        }
    }

    fn members(&self, model: &Value, members: &Map<String, Value>, place: &str, wrong: &mut Vec<String>) {
        for name in model["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            if members.get(name).is_none_or(Value::is_null) {
                wrong.push(format!("{place} has no {name}"));
            }
        }
        for (name, member) in members {
            match model["members"][name]["shape"].as_str() {
                Some(shape) => self.value(shape, member, &format!("{place}.{name}"), wrong),
                None => wrong.push(format!("{place} has {name}, which the model does not know")),
            }
        }
    }
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let (Some(xray), Some(states)) = (xray(), states()) else { return };
    let check = |model: &Model, operation: &str, output: Value, expected: &[&str]| {
        assert_eq!(model.output(operation, &output), expected);
    };
    check(xray, "BatchGetTraces", serde_json::json!({ "Traces": [{ "Id": "1", "Duration": 0.5 }] }), &[]);
    check(
        xray,
        "BatchGetTraces",
        serde_json::json!({ "Traces": [{ "Id": "", "Duration": "1", "Segments": {} }], "Trace": [] }),
        &[
            "BatchGetTraces output has Trace, which the model does not know",
            "BatchGetTraces output.Traces[0].Duration is no NullableDouble (double): \"1\"",
            "BatchGetTraces output.Traces[0].Id is too short or too long for TraceId: \"\"",
            "BatchGetTraces output.Traces[0].Segments is no SegmentList (list): {}",
        ],
    );
    check(
        states,
        "DescribeExecution",
        serde_json::json!({ "executionArn": "a", "stateMachineArn": "a", "status": "DONE" }),
        &[
            "DescribeExecution output has no startDate",
            "DescribeExecution output.status is no ExecutionStatus (string): \"DONE\"",
        ],
    );
    assert_eq!(xray.error("BatchGetTraces", "ThrottledException", 429), [] as [String; 0]);
    assert_eq!(xray.error("BatchGetTraces", "ThrottledException", 400), ["ThrottledException is a 429, not a 400"]);
    assert_eq!(xray.error("BatchGetTraces", "ExecutionDoesNotExist", 400).len(), 1);
}
