//! Whole messages in, documents and rejections out.

mod executions;
mod nodes;

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Flattener, Head, Input, Options, Output};
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
        7, {"Id": "x"}, {"Id": "y", "Document": "{"}, {"Document": " [] "}, {"Document": 1}, {"Document": {"id": "z"}}, {"Document": r#"{"name" : "z"}"#},
        {"Document": good},
    ]}));
    let reasons: Vec<_> =
        out.rejected.iter().map(|(reason, part)| (reason.as_str(), part.as_deref().unwrap())).collect();
    assert_eq!(
        reasons,
        [
            ("segment is not an object", "7"),
            ("no Document", r#"{"Id":"x"}"#),
            ("Document is not JSON", "{"),
            ("Document is not an object", " [] "),
            ("Document is not an object", r#"{"Document":1}"#),
            ("no time", r#"{"id":"z"}"#),
            ("no time", r#"{"name" : "z"}"#),
            ("subsegment is not an object", "5"),
        ]
    );
    let ids: Vec<_> = out.documents.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids, ["t:a", "t:b", "t:a:execution", "::t"]);
    assert_eq!(out.documents[3].body["xray.unparsed_segments"], 7);
}

#[test]
fn a_trace_that_is_not_json_is_rejected_as_it_came() {
    let out = message(json!({"account": "1", "trace": "{ ", "executions": [{"executionArn": "a", "startDate": 1}]}));
    assert_eq!(out.rejected, [("trace is not JSON".into(), Some("{ ".into()))]);
    assert_eq!(out.documents.len(), 1);
}

#[test]
fn a_number_beyond_a_float_spoils_nothing_but_its_field() {
    let out = flatten(br#"{"id":"a","start_time":1,"end_time":1e999,"metadata":{"n":-1e999}}"#);
    let body = &out.documents[0].body;
    assert_eq!(body["xray.metadata"], json!({"n": "-1e999"}));
    assert_eq!(body["xray.parse.warnings"], json!(["dropped:end_time"]));
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
fn a_date_in_the_future_is_rejected() {
    let payload = json!({"schema": "rayline.raw/1", "collected_at": "1970-01-01T00:10:01Z", "trace": null}).to_string();
    for (sent_at_ms, expected) in [(Some(0), 1), (Some(1000), 0), (None, 0)] {
        let input = Input { payload: payload.as_bytes(), sha256: SHA, sent_at_ms, ..Input::default() };
        assert_eq!(flatten_with(&input, Options::default()).rejected.len(), expected);
    }
}
