//! Whole messages in, documents and rejections out.

use std::fs;
use std::path::{Path, PathBuf};

use flatten::{Flattener, Head, Input, Options, Output, Payloads};
use serde_json::{Value, json};

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    begin: usize,
    documents: Vec<Document>,
    rejected: Vec<(String, Option<String>)>,
}

struct Document {
    kind: &'static str,
    id: String,
    time: i64,
    version: u64,
    body: Value,
}

impl Output for Collected {
    fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn finish(&mut self, head: &Head<'_>) {
        let body = &self.bytes[self.begin..];
        let value: Value =
            serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)));
        check_form(&value, body);
        self.begin = self.bytes.len();
        let Head { kind, id, time, version, .. } = *head;
        self.documents.push(Document { kind, id: id.into(), time, version, body: value });
    }

    fn reject(&mut self, reason: &str, part: Option<&[u8]>) {
        self.rejected.push((reason.into(), part.map(|part| String::from_utf8(part.into()).unwrap())));
    }
}

/// Section 1: dotted keys, each once, nothing nested but what is stored only, nothing null or empty.
fn check_form(value: &Value, body: &[u8]) {
    for (key, member) in value.as_object().unwrap() {
        let quoted = format!(",\"{key}\":");
        let stored = ["xray.annotations", "xray.metadata", "xray.exceptions", "aws.extra"].contains(&key.as_str());
        let times = String::from_utf8_lossy(body).matches(&quoted).count();
        assert!(times <= 1, "{key} is written {times} times");
        match member {
            Value::Null => panic!("{key} is null"),
            Value::String(text) => assert!(!text.is_empty(), "{key} is empty"),
            Value::Array(list) => {
                assert!(!list.is_empty(), "{key} is empty");
                assert!(stored || list.iter().all(Value::is_string), "{key} nests");
            }
            Value::Object(object) => assert!(stored && !object.is_empty(), "{key} nests or is empty"),
            Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn flatten(payload: &[u8]) -> Collected {
    flatten_with(&Input { payload, sha256: SHA, ..Input::default() }, Options::default())
}

fn flatten_with(input: &Input<'_>, options: Options) -> Collected {
    let mut out = Collected::default();
    Flattener::new(options).flatten(input, &mut out);
    out
}

fn message(payload: Value) -> Collected {
    flatten(payload.to_string().as_bytes())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/xray-data").join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The one document of a segment, without the fields of section 3 that say nothing about it.
fn segment(members: &str) -> Value {
    let payload = format!("{{\"id\":\"a\",\"start_time\":1{members}}}");
    let mut out = flatten(payload.as_bytes());
    assert_eq!(out.rejected, []);
    out.documents.remove(0).body
}

#[test]
fn real_files_have_no_rejections() {
    for file in files("traces").into_iter().chain(files("segments")) {
        let out = flatten(&fs::read(&file).unwrap());
        assert_eq!(out.rejected, [], "{}", file.display());
        assert!(!out.documents.is_empty(), "{}", file.display());
    }
}

#[test]
fn malformed_files_are_rejected_whole() {
    for file in files("malformed") {
        let out = flatten(&fs::read(&file).unwrap());
        assert_eq!(out.rejected, [("not an X-Ray message".into(), None)], "{}", file.display());
    }
}

#[test]
fn forms_of_a_message() {
    let node = json!({"id": "a", "name": "n", "trace_id": "t", "start_time": 1, "end_time": 2});
    let text = node.to_string();
    let trace = json!({"Id": "t", "Segments": [{"Id": "a", "Document": text}]});
    let kinds = |payload: Value| message(payload).documents.iter().map(|document| document.kind).collect::<Vec<_>>();
    let whole = ["segment", "execution", "trace"];
    assert_eq!(kinds(json!({"schema": "rayline.raw/1", "verdict": "settled", "trace": trace})), whole);
    assert_eq!(kinds(json!({"schema": "rayline.raw/1", "verdict": "partial", "trace": trace})), ["segment", "trace"]);
    assert_eq!(kinds(json!({"schema": "rayline.raw/1", "trace": null})), [] as [&str; 0]);
    assert_eq!(kinds(json!({"account": 123456789012u64, "trace": trace})), whole);
    assert_eq!(kinds(json!({"accountId": "1", "trace": trace.to_string()})), whole);
    assert_eq!(kinds(json!({"Traces": [trace], "UnprocessedTraceIds": []})), whole);
    assert_eq!(kinds(json!({"Traces": null})), [] as [&str; 0]);
    assert_eq!(kinds(trace.clone()), whole);
    assert_eq!(kinds(json!({"Id": "t", "Segments": [node]})), whole);
    assert_eq!(kinds(json!({"Id": "t", "Segments": [{"Document": node}]})), whole);
    assert_eq!(kinds(node.clone()), ["segment", "execution"]);
    assert_eq!(kinds(json!([trace, trace])), whole);
    for other in [json!([]), json!([1]), json!(5), json!({}), json!({"trace": trace}), json!({"id": "a"})] {
        assert_eq!(message(other).rejected, [("not an X-Ray message".into(), None)]);
    }
}

#[test]
fn bad_parts_are_rejected_and_the_rest_goes_on() {
    let good = json!({"id": "a", "name": "n", "start_time": 1, "subsegments": [5, {"id": "b", "start_time": 1}]});
    let out = message(json!({"Id": "t", "Segments": [
        7, {"Id": "x"}, {"Id": "y", "Document": "{"}, {"Document": "[]"}, {"Document": 1}, {"Document": {"id": "z"}},
        {"Document": good},
    ]}));
    let reasons: Vec<_> =
        out.rejected.iter().map(|(reason, part)| (reason.as_str(), part.as_deref().unwrap())).collect();
    assert_eq!(
        reasons,
        [
            ("segment is not an object", "7"),
            ("no Document", r#"{"Id":"x"}"#),
            ("Document is not JSON", r#"{"Document":"{","Id":"y"}"#),
            ("Document is not an object", r#"{"Document":"[]"}"#),
            ("Document is not an object", r#"{"Document":1}"#),
            ("no time", r#"{"id":"z"}"#),
            ("subsegment is not an object", "5"),
        ]
    );
    let ids: Vec<_> = out.documents.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids, ["t:a", "t:b", "t:a:execution", "::t"]);
    assert_eq!(out.documents[3].body["xray.unparsed_segments"], 6);
}

#[test]
fn deep_nesting_is_rejected_at_its_level() {
    for depth in [256, 257, 100_000] {
        let text = r#"{"start_time":1,"id":"a","subsegments":["#.repeat(depth) + &"]}".repeat(depth);
        let out = flatten(text.as_bytes());
        let nodes = out.documents.iter().filter(|document| document.kind != "execution").count();
        assert_eq!(nodes, 2, "the outermost one, and one for all that share its id");
        let reasons: Vec<_> = out.rejected.iter().map(|(reason, _)| reason.as_str()).collect();
        assert_eq!(reasons, vec!["nesting beyond 256 levels"; usize::from(depth > 256)]);
    }
}

#[test]
fn coercions() {
    for (members, field, expected, warning) in [
        (r#","name":5"#, "span.name", json!("5"), None),
        (r#","name":true"#, "span.name", json!("true"), None),
        (r#","name":{}"#, "span.name", Value::Null, Some("dropped:name")),
        (r#","name":"x","name":"""#, "span.name", Value::Null, None),
        (r#","end_time":"2.5""#, "event.end", json!("1970-01-01T00:00:02.500000Z"), Some("time_string")),
        (r#","end_time":-1"#, "event.end", Value::Null, Some("dropped:end_time")),
        (r#","end_time":1e20"#, "event.end", Value::Null, Some("dropped:end_time")),
        (r#","end_time":0"#, "event.duration", json!(0), Some("negative_duration")),
        (r#","end_time":1.0000005"#, "event.duration", json!(1000), None),
        (r#","http":{"response":{"status":"861"}}"#, "http.response.status_code", json!(861), None),
        (r#","http":{"response":{"status":2e2}}"#, "http.response.status_code", json!(200), None),
        (
            r#","http":{"response":{"status":1e12}}"#,
            "http.response.status_code",
            Value::Null,
            Some("dropped:http.response.status"),
        ),
        (r#","http":{"response":{"content_length":-1}}"#, "http.response.body.bytes", Value::Null, None),
        (r#","http":5"#, "url.full", Value::Null, Some("dropped:http")),
        (r#","http":{"request":{"method":"get"}}"#, "http.request.method", json!("GET"), None),
        (r#","http":{"request":{"client_ip":"::1"}}"#, "client.ip", json!("::1"), None),
        (r#","http":{"request":{"client_ip":"1.2.3.4, 5.6.7.8"}}"#, "client.address", json!("1.2.3.4, 5.6.7.8"), None),
        (r#","fault":"true""#, "xray.fault", json!(true), None),
        (r#","fault":1"#, "xray.fault", Value::Null, Some("dropped:fault")),
        (r#","fault":false"#, "xray.fault", Value::Null, None),
        (r#","aws":{"account_id":"12"}"#, "cloud.account.id", json!("12"), Some("account_not_12_digits")),
        (r#","aws":{"x":null,"y":[null],"":1}"#, "aws.extra", json!({"y": [null]}), None),
        (r#","aws":{"ec2":3}"#, "cloud.instance.id", Value::Null, Some("dropped:aws.ec2")),
        (
            r#","annotations":{"a":1,"b":[],"c":null}"#,
            "xray.annotations",
            json!({"a": 1}),
            Some("dropped:annotations.b"),
        ),
        (r#","annotations":{"b":false,"a":1.50}"#, "xray.annotation_kv", json!(["a=1.5", "b=false"]), None),
        (r#","precursor_ids":["x",{},null,1]"#, "xray.precursor_ids", json!(["x", "1"]), Some("dropped:precursor_ids")),
        (r#","links":[{"trace_id":"t","id":"i"},{"id":"j"}]"#, "xray.links.id", json!(["i", "j"]), None),
        (r#","subsegments":{}"#, "span.id", json!("a"), Some("dropped:subsegments")),
        (r#","metadata":{}"#, "xray.metadata", Value::Null, None),
        (r#","metadata":{"a":"\ud800"}"#, "xray.metadata", json!({"a": "\u{fffd}"}), None),
        (r#","origin":"AWS::Lambda::Function""#, "faas.coldstart", json!(false), None),
    ] {
        let document = segment(members);
        assert_eq!(document.get(field).unwrap_or(&Value::Null), &expected, "{members}");
        let warnings = document.get("xray.parse.warnings").cloned().unwrap_or(json!([]));
        assert_eq!(warnings, warning.map_or(json!([]), |warning| json!([warning])), "{members}");
    }
}

#[test]
fn one_node_twice_is_one_document() {
    let running = json!({"id": "a", "name": "n", "start_time": 1, "trace_id": "t", "in_progress": true});
    let ended = json!({"id": "a", "name": "n", "start_time": 1, "trace_id": "t", "end_time": 3});
    for list in [json!([running, ended]), json!([ended, running])] {
        let out = message(list);
        let document = &out.documents[0];
        assert_eq!(document.body["event.end"], "1970-01-01T00:00:03.000000Z");
        assert_eq!(document.body["xray.parse.warnings"], json!(["duplicate"]));
        assert_eq!(document.version, (1 << 43) | 3000);
        assert_eq!(out.documents.iter().filter(|document| document.kind == "segment").count(), 1);
    }
}

#[test]
fn different_nodes_of_one_id_are_numbered() {
    let late = json!({"id": "a", "name": "b", "start_time": 2, "trace_id": "t", "parent_id": "p"});
    let early = json!({"id": "a", "name": "z", "start_time": 1, "trace_id": "t", "parent_id": "p"});
    for list in [json!([late, early]), json!([early, late])] {
        let mut ids: Vec<_> = message(list)
            .documents
            .iter()
            .map(|document| (document.id.clone(), document.body["span.name"].clone()))
            .collect();
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(ids, [("t:a".into(), json!("z")), ("t:a:2".into(), json!("b"))]);
    }
}

#[test]
fn a_date_in_the_future_is_rejected() {
    let payload = json!({"schema": "rayline.raw/1", "collected_at": "1970-01-01T00:10:01Z", "trace": null}).to_string();
    for (sent_at_ms, expected) in [(Some(0), 1), (Some(1000), 0), (None, 0)] {
        let input = Input { payload: payload.as_bytes(), sha256: SHA, sent_at_ms, ..Input::default() };
        assert_eq!(flatten_with(&input, Options::default()).rejected.len(), expected);
    }
}

#[test]
fn payloads_of_executions() {
    let arn = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
    let long = "é".repeat(200_000);
    let execution = json!({"executionArn": arn, "startDate": 1, "status": "RUNNING", "input": long,
        "output": "{}", "outputDetails": {"included": false}, "redriveCount": 0});
    let payload = json!({"schema": "rayline.raw/1", "executions": [execution], "trace": null}).to_string();
    let input = Input { payload: payload.as_bytes(), sha256: SHA, ..Input::default() };
    for (payloads, kept, truncated) in [
        (Payloads::Full, Some(400_000), Value::Null),
        (Payloads::Truncated, Some(262_144), json!(true)),
        (Payloads::None, None, Value::Null),
    ] {
        let out = flatten_with(&input, Options { payloads });
        let document = &out.documents[0];
        assert_eq!((document.id.as_str(), document.time), (arn, 1_000_000));
        assert_eq!(document.version, (1 << 45) | 1000);
        assert_eq!(document.body.get("execution.input").map(|input| input.as_str().unwrap().len()), kept);
        assert_eq!(document.body.get("execution.input_truncated").unwrap_or(&Value::Null), &truncated);
        assert_eq!(document.body["execution.input_bytes"], 400_000);
        assert_eq!(document.body["execution.output_included"], false);
        assert_eq!(document.body["execution.redrive_count"], 0);
    }
}

/// A state machine that calls another one, which calls a function.
fn nested_executions() -> Value {
    let machine = |name: &str| format!("arn:aws:states:eu-west-1:210987654321:execution:{name}:run");
    json!({"Id": "t", "Duration": 5, "Segments": [
        {"id": "f", "name": "function", "start_time": 3, "end_time": 4, "parent_id": "c1", "fault": true},
        {"id": "p", "name": "Parent", "start_time": 1, "end_time": 6, "origin": "AWS::StepFunctions::StateMachine",
            "aws": {"resource_arn": machine("Parent")}, "subsegments": [
                {"id": "p1", "name": "State", "start_time": 1, "end_time": 6, "subsegments": [
                    {"id": "p2", "name": "StepFunctions", "namespace": "aws", "start_time": 2, "end_time": 5,
                        "aws": {"operation": "StartExecution"}}]},
                {"id": "p3", "name": "Branch 1", "start_time": 1, "end_time": 6}]},
        {"id": "c", "name": "Child", "start_time": 2, "end_time": 5, "parent_id": "p2",
            "origin": "AWS::STEPFUNCTIONS::STATEMACHINE", "aws": {"resource_arn": machine("Child")}, "subsegments": [
                {"id": "c1", "name": "Lambda", "namespace": "aws", "start_time": 2, "end_time": 5, "error": true,
                    "aws": {"function_name": "arn:aws:lambda:eu-west-1:210987654321:function:function"}}]},
    ]})
}

#[test]
fn each_execution_has_its_part_of_the_trace() {
    let out = message(nested_executions());
    let executions: Vec<_> = out.documents.iter().filter(|document| document.kind == "execution").collect();
    let counts = |document: &Document| {
        ["segments.count", "subsegments.count", "states.count", "service_calls", "faults", "errors"]
            .map(|key| document.body[key].as_i64().unwrap())
    };
    assert_eq!(executions.len(), 2);
    assert_eq!(counts(executions[0]), [1, 3, 1, 1, 0, 0]);
    assert_eq!(counts(executions[1]), [2, 1, 0, 1, 1, 1]);
    assert_eq!(executions[1].body["execution.parent_arn"], executions[0].body["execution.arn"]);
    assert_eq!(executions[1].body["service_resources"], json!(["Lambda:function"]));
    assert_eq!(executions[0].body.get("execution.parent_arn"), None);
    let trace = out.documents.last().unwrap();
    assert_eq!(trace.body["trace.root.name"], "Parent");
    assert_eq!(trace.body["execution.arn"].as_array().unwrap().len(), 2);
}

#[test]
fn parents_in_a_circle_belong_to_nobody() {
    let node =
        |id: &str, parent: &str| json!({"id": id, "name": id, "start_time": 1, "end_time": 2, "parent_id": parent});
    let out = message(json!({"Id": "t", "Segments": [node("a", "b"), node("b", "a"), node("c", "c")]}));
    assert_eq!(
        out.documents.iter().map(|document| document.kind).collect::<Vec<_>>(),
        ["segment"; 3].into_iter().chain(["trace"]).collect::<Vec<_>>()
    );
    assert_eq!(out.documents[3].body["trace.root.found"], false);
}
