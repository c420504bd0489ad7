//! Segment documents as Step Functions and Lambda write them.

use serde_json::{Value, json};

/// Which trace, and where ids come from: each is taken once.
pub struct Writer {
    pub trace: String,
    next: u64,
}

/// A state of an execution that calls a service, and what it calls.
pub struct Call {
    pub state: String,
    /// `Lambda`, `StepFunctions`, …
    pub service: &'static str,
    pub operation: &'static str,
    pub resource: String,
    pub start: f64,
    pub end: Option<f64>,
    pub is_fault: bool,
}

impl Writer {
    /// Ids are unique in a trace only, but a number of the trace in them makes a mix-up of two traces visible.
    pub fn new(trace: &str, number: u64) -> Writer {
        Writer { trace: trace.to_owned(), next: number << 24 }
    }

    pub fn id(&mut self) -> String {
        self.next += 1;
        format!("{:016x}", self.next)
    }

    /// An execution's own segment: its ARN, that of its state machine, and its states.
    pub fn execution(&self, id: &str, parent: Option<&str>, arns: (&str, &str), times: (f64, Option<f64>)) -> Value {
        let (execution, machine) = arns;
        let mut segment = node(id, machine.rsplit(':').next().expect("a name"), times);
        segment["trace_id"] = json!(self.trace);
        segment["aws"] = json!({ "resource_arn": execution });
        segment["origin"] = json!("AWS::StepFunctions::StateMachine");
        segment["resource_arn"] = json!(machine);
        segment["cause"] = json!({});
        if let Some(parent) = parent {
            segment["parent_id"] = json!(parent);
        }
        segment
    }

    /// A state with its call; `id` is that of the call, for the segment of what is called.
    pub fn state(&mut self, id: &str, call: &Call) -> Value {
        let Call { state, service, operation, resource, start, end, is_fault } = call;
        let mut below = node(id, service, (*start + 0.01, end.map(|end| end - 0.01)));
        below["namespace"] = json!("aws");
        below["aws"] = json!({ "operation": operation, "resource_names": [resource] });
        below["cause"] = json!({});
        let mut above = node(&self.id(), state, (*start, *end));
        above["cause"] = json!({});
        if *is_fault {
            below["fault"] = json!(true);
            below["cause"] = json!({ "exceptions": [{ "remote": true }] });
            above["error"] = json!(true);
            above["cause"] = json!({ "message": "States.TaskFailed", "exceptions": [{ "type": "Caught error", "message": "no stock" }] });
        }
        above["subsegments"] = json!([below]);
        above
    }

    /// A function that was called by the call with this id, and itself asks DynamoDB.
    pub fn function(&mut self, parent: &str, name: &str, times: (f64, f64)) -> Value {
        let (start, end) = times;
        let mut segment = node(&self.id(), name, (start + 0.02, Some(end - 0.02)));
        segment["trace_id"] = json!(self.trace);
        segment["parent_id"] = json!(parent);
        segment["origin"] = json!("AWS::Lambda::Function");
        segment["aws"] = json!({ "resource_names": [name] });
        let mut table = node(&self.id(), "DynamoDB", (start + 0.03, Some(end - 0.03)));
        table["namespace"] = json!("aws");
        table["aws"] = json!({ "operation": "UpdateItem", "table_name": "stock" });
        segment["subsegments"] = json!([table]);
        segment
    }

    /// A Map with so many iterations of about 2 KB.
    pub fn map(&mut self, iterations: usize, times: (f64, f64)) -> Value {
        let (start, end) = times;
        let mut map = node(&self.id(), "Each", (start, Some(end)));
        let each = (0..iterations).map(|n| {
            let mut iteration = node(&self.id(), &format!("Iteration {n}"), (start, Some(end)));
            iteration["metadata"] = json!({ "default": { "item": "x".repeat(1_700) } });
            iteration["subsegments"] = json!([node(&self.id(), "Copy", (start, Some(end)))]);
            iteration
        });
        map["subsegments"] = each.collect();
        map
    }
}

fn node(id: &str, name: &str, (start, end): (f64, Option<f64>)) -> Value {
    let mut node = json!({ "id": id, "name": name, "start_time": millis(start) });
    match end {
        Some(end) => node["end_time"] = json!(millis(end)),
        None => node["in_progress"] = json!(true),
    }
    node
}

/// As the services write times: in milliseconds.
pub fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
