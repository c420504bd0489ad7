//! The fast `flatten` against the slow reference.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::mutate::{Chance, mutate};
use super::{ALL, Outcome, message, real_data, samples, slow};
use crate::reference::{Document, Input, Payloads};

/// How many times each file is mutated.
const MUTATIONS: u64 = 40;

#[test]
fn samples_and_real_data() {
    for (name, payload) in samples().into_iter().chain(real_data()) {
        agree(&name, &message(&payload));
        for payload in wrapped(&payload) {
            agree(&format!("{name} in an envelope"), &message(&payload));
        }
    }
}

#[test]
fn samples_and_real_data_with_something_wrong() {
    for (file, (name, payload)) in samples().into_iter().chain(real_data()).enumerate() {
        let large = payload.len() > 50_000;
        for round in 0..if large { MUTATIONS / 10 } else { MUTATIONS } {
            let mut chance = Chance::new((file as u64) << 32 | round);
            let payloads = wrapped(&payload);
            let base = if chance.below(3) > 0 { payloads.first().unwrap_or(&payload) } else { &payload };
            agree(&format!("{name}, mutation {round}"), &message(&mutate(base, &mut chance)));
        }
    }
}

#[test]
fn what_is_known_from_outside() {
    for (name, payload) in samples() {
        for payloads in [Payloads::Full, Payloads::Truncated, Payloads::None] {
            for (account, region, sender_account, sent_at_ms) in [
                (Some("111122223333"), Some("eu-west-1"), None, Some(1_798_000_000_000)),
                (Some("444455556666"), Some("eu-west-1"), Some("111122223333"), None),
                (Some("12"), None, Some("12"), Some(1_791_000_000_000)),
                (None, Some(""), Some(""), None),
            ] {
                let input = Input { payload: &payload, account, region, sender_account, sent_at_ms, payloads };
                agree(&name, &input);
            }
        }
    }
}

#[test]
fn deep_nesting() {
    for levels in [255, 256, 257, 300] {
        let node = |n: usize| format!(r#"{{"id":"{n}","name":"n{n}","start_time":{n}"#);
        let open: String = (1..levels).map(|n| format!(r#"{},"subsegments":["#, node(n))).collect();
        let payload = format!("{open}{}}}{}", node(levels), "]}".repeat(levels - 1));
        agree(&format!("{levels} levels of subsegments"), &message(payload.as_bytes()));
        let metadata =
            format!(r#"{{"id":"a","start_time":1,"metadata":{{"m":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
        agree(&format!("{levels} levels of metadata"), &message(metadata.as_bytes()));
    }
}

#[test]
fn texts_that_most_readers_of_json_refuse() {
    for value in [
        "-0",
        "-0.0",
        "1e400",
        "-1e400",
        "[1e400]",
        "1e",
        "01e400",
        "- 1",
        "+1",
        ".5",
        "1.",
        "NaN",
        "\"\\ud83d\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\ud83d\\u00\"",
        "\"\\ud83d\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"\t\"",
        "tru",
        "{\"\\ud83d\":1}",
        "{1e400:1}",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "\"",
        "",
    ] {
        for member in ["name", "start_time", "annotations", "metadata", "http", "user"] {
            let nested = if member == "metadata" || member == "annotations" {
                format!("{{\"k\":{value}}}")
            } else {
                value.to_owned()
            };
            let payload = format!("{{\"id\":\"a\",\"start_time\":1,\"{member}\":{nested}}}");
            agree(value, &message(payload.as_bytes()));
            let text = json!({"Id": "t", "Segments": [{"Document": payload}]}).to_string();
            agree(value, &message(text.as_bytes()));
        }
    }
}

/// Panics with what differs.
pub fn agree(name: &str, input: &Input) {
    let expected = slow(input);
    for (implementation, flatten) in ALL {
        let found = flatten(input);
        if let Some(difference) = difference(&expected, &found) {
            let payload = String::from_utf8_lossy(input.payload);
            let shown: String = payload.chars().take(6000).collect();
            panic!("{name}: the reference and {implementation} differ:\n{difference}\nfor {shown}");
        }
    }
}

fn difference(expected: &Outcome, found: &Outcome) -> Option<String> {
    let mut text = String::new();
    if expected.reasons() != found.reasons() {
        let _ = writeln!(text, "rejections: {:?} and {:?}", expected.reasons(), found.reasons());
    }
    let in_one = |one: &[Document], other: &[Document], text: &mut String, side: &str| {
        for document in one {
            if !other.iter().any(|other| (other.kind, &other.id) == (document.kind, &document.id)) {
                let _ = writeln!(
                    text,
                    "only {side} has {} {}: {}",
                    document.kind.name(),
                    document.id,
                    json!(document.body)
                );
            }
        }
    };
    in_one(&expected.documents, &found.documents, &mut text, "the reference");
    in_one(&found.documents, &expected.documents, &mut text, "the other");
    let nth = |all: &[Document], index: usize| {
        let same = |other: &&Document| (other.kind, &other.id) == (all[index].kind, &all[index].id);
        all[..index].iter().filter(same).count()
    };
    for (index, a) in expected.documents.iter().enumerate() {
        let theirs = found.documents.iter().filter(|b| (b.kind, &b.id) == (a.kind, &a.id));
        for b in theirs.skip(nth(&expected.documents, index)).take(1) {
            if (a.time_ns, a.version) != (b.time_ns, b.version) {
                let _ =
                    writeln!(text, "{}: {} at {:#x} and {} at {:#x}", a.id, a.time_ns, a.version, b.time_ns, b.version);
            }
            let keys: std::collections::BTreeSet<&String> = a.body.keys().chain(b.body.keys()).collect();
            for key in keys {
                let (x, y) = (a.body.get(key), b.body.get(key));
                if !same(x, y) {
                    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                    let _ = writeln!(text, "{} {}: {key} is {} and {}", a.kind.name(), a.id, show(x), show(y));
                }
            }
        }
    }
    if text.is_empty() && expected.documents.len() != found.documents.len() {
        let _ = writeln!(text, "{} and {} documents", expected.documents.len(), found.documents.len());
    }
    (!text.is_empty()).then_some(text)
}

/// Equal as JSON: `1` and `1.0` are one number.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.len() == b.len() && a.iter().all(|(key, a)| same(Some(a), b.get(key)))
        }
        (a, b) => a == b,
    }
}

/// The payload as the trace, and as the execution, of a `rayline.raw/1` message.
fn wrapped(payload: &[u8]) -> Vec<Vec<u8>> {
    let Ok(value) = serde_json::from_slice::<Value>(payload) else {
        return Vec::new();
    };
    if value.get("schema").is_some() {
        return Vec::new();
    }
    let envelope = |verdict: &str, trace: Value, executions: Value| {
        let message = json!({"schema": "rayline.raw/1", "account_id": "444455556666", "region": "us-east-1", "verdict": verdict,
            "collected_at": "2026-11-20T10:00:00.5Z", "discovered_at": "2026-11-20T09:00:00Z", "trace": trace, "executions": executions});
        message.to_string().into_bytes()
    };
    if value.get("executionArn").or(value.get("detail")).is_some() {
        return vec![envelope("unsampled", Value::Null, json!([value]))];
    }
    let verdicts = ["settled", "partial", "limit_exceeded"];
    verdicts.iter().map(|verdict| envelope(verdict, value.clone(), json!([]))).collect()
}
