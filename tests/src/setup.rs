//! `rayline setup elasticsearch` and `rayline prune` on every server: the same documents, the same answers.
//!
//! What none of these servers has is played: policies, Amazon's manners, refusals.

mod played;
mod retention;
mod rights;

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use jiff::civil::date;
use rayline::pipeline::HttpGrant;
use rayline::setup::elasticsearch::{Outcome, Report, State, install, print, state};
use rayline::setup::mapping::{EVERY, Index};
use rayline::setup::prune::prune;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness;
use crate::servers::{Engine, Search, Settings, search_with};

/// Questions that every server must answer alike.
const QUESTIONS: [(&str, &str); 5] = [
    ("xray-executions-*", r#"{"aggs":{"it":{"terms":{"field":"execution.status","order":{"_key":"asc"}}}}}"#),
    ("xray-executions-*", r#"{"aggs":{"it":{"sum":{"field":"event.duration"}}}}"#),
    (
        "xray-spans-*",
        r#"{"query":{"range":{"http.response.status_code":{"gte":500}}},"aggs":{"it":{"terms":{"field":"span.name","order":{"_key":"asc"}}}}}"#,
    ),
    (
        "xray-spans-*",
        r#"{"query":{"exists":{"field":"client.ip"}},"aggs":{"it":{"date_histogram":{"field":"@timestamp","fixed_interval":"1d"}}}}"#,
    ),
    (
        "xray-traces-*",
        r#"{"query":{"exists":{"field":"xray.annotation_kv"}},"aggs":{"it":{"terms":{"field":"xray.annotation_kv","size":50,"order":{"_key":"asc"}}}}}"#,
    ),
];

#[test]
fn every_server_takes_every_document_and_gives_the_same_answers() {
    let documents = documents();
    let mut answers: Vec<(Engine, Vec<Value>)> = Vec::new();
    for engine in Engine::ALL {
        // One of its own: the names of indices and templates are the product's.
        let server = search_with(engine, Settings::default());
        assert_eq!(state_of(&server).missing.len(), 4);
        let first = install_on(&server, None);
        assert_eq!(outcomes(&first), [Outcome::Created; 4], "{first:?}");
        let second = install_on(&server, None);
        assert_eq!(outcomes(&second), [Outcome::Unchanged; 4], "{second:?}");
        assert_eq!(state_of(&server), State { server: second.server, ..State::default() });

        index(&server, &documents);
        for kind in Index::ALL {
            assert_no_field_is_a_guess(&server, kind);
        }
        answers.push((engine, QUESTIONS.map(|(index, query)| ask(&server, index, query)).to_vec()));
        let annotation = ask(&server, "xray-spans-*", r#"{"query":{"exists":{"field":"xray.annotations"}}}"#);
        assert_ne!(annotation["count"], 0, "{engine:?} finds annotations by their own field");

        server.request("PUT", "/_index_template/xray-spans", r#"{"index_patterns":["xray-spans-*"]}"#).ok();
        assert_eq!(state_of(&server).different, ["index template xray-spans"]);
        let third = install_on(&server, Some(30));
        assert_eq!(outcomes(&third)[3], Outcome::Replaced, "{third:?}");
        assert!(third.notes[0].contains("rayline prune"), "{third:?}");

        assert_months_go(&server);
    }
    let (engine, expected) = &answers[0];
    assert!(expected.iter().all(|answer| answer["count"] != 0), "{expected:#?}");
    for (other, found) in &answers {
        assert_eq!(found, expected, "{other:?} and {engine:?}");
    }
}

#[test]
fn what_is_printed_is_what_a_console_takes() {
    let text = print("xray", Some(90));
    let is_request = |line: &&str| line.starts_with("PUT /") || line.starts_with("POST /");
    let requests: Vec<&str> = text.lines().filter(is_request).collect();
    let templates = [
        "/_component_template/xray",
        "/_index_template/xray-executions",
        "/_index_template/xray-traces",
        "/_index_template/xray-spans",
    ];
    let indices = "xray-executions-*,xray-traces-*,xray-spans-*";
    let of_states = |path: &str| {
        let adoption = ["add", "change_policy"].map(|verb| format!("POST {path}/{verb}/{indices}"));
        (format!("PUT {path}/policies/xray"), adoption.to_vec())
    };
    let expected: Vec<String> = [
        ("PUT /_ilm/policy/xray".to_owned(), vec![format!("PUT /{indices}/_settings")]),
        of_states("/_plugins/_ism"),
        of_states("/_opendistro/_ism"),
    ]
    .into_iter()
    .flat_map(|(policy, adoption)| {
        [policy].into_iter().chain(templates.map(|path| format!("PUT {path}"))).chain(adoption)
    })
    .collect();
    assert_eq!(requests, expected);
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with('#')) {
        let (_, body) = paragraph.split_once('\n').expect("a body");
        serde_json::from_str::<Value>(body).expect("JSON");
    }
}

fn install_on(server: &Search, retention_days: Option<u32>) -> Report {
    runtime().block_on(install(&grant(server), "xray", retention_days)).expect("a set-up")
}

fn state_of(server: &Search) -> State {
    runtime().block_on(state(&grant(server), "xray")).expect("an answer")
}

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.steps.iter().map(|step| step.outcome).collect()
}

/// Sends documents as the sink does. None may be refused.
fn index(server: &Search, documents: &[Value]) {
    let mut body = String::new();
    for document in documents {
        let kind = match document["kind"].as_str().expect("a kind") {
            "execution" => Index::Executions,
            "trace" => Index::Traces,
            _ => Index::Spans,
        };
        let month = document["body"]["@timestamp"].as_str().expect("a time")[..7].replace('-', ".");
        let action = json!({"index": {
            "_index": format!("{}-{month}", kind.name("xray")),
            "_id": document["id"],
            "version": document["version"],
            "version_type": "external_gte",
        }});
        body += &format!("{action}\n{}\n", document["body"]);
    }
    let answer = server.request("POST", "/_bulk?refresh=true", body).json();
    for item in answer["items"].as_array().expect("items") {
        let status = item["index"]["status"].as_u64().expect("a status");
        assert!((200..300).contains(&status) || status == 409, "{:?}: {item}", server.engine);
    }
}

/// Every field that can be searched is one that the mapping names.
fn assert_no_field_is_a_guess(server: &Search, index: Index) {
    let named: BTreeSet<&str> = EVERY.iter().copied().chain(index.fields()).map(|(name, _)| name).collect();
    let answer = server.get(&format!("/{}/_field_caps?fields=*", index.pattern("xray"))).json();
    for (name, types) in answer["fields"].as_object().expect("fields") {
        let types: Vec<&String> = types.as_object().expect("types").keys().collect();
        assert_eq!(types.len(), 1, "{name} has several types: {types:?}");
        let is_ours = named.iter().any(|field| {
            field == name || field.starts_with(&format!("{name}.")) || name.starts_with(&format!("{field}."))
        });
        assert!(name.starts_with('_') || is_ours, "{name} is not in the mapping of {}", index.name("xray"));
    }
}

/// Two of three months go, and no index of another name.
fn assert_months_go(server: &Search) {
    for name in ["xray-spans-2025.01", "xray-traces-2025.02", "xray-spans-2025.03", "xray-spans-2025.01-copy"] {
        server.request("PUT", &format!("/{name}"), "").ok();
    }
    let run = |is_rehearsal| {
        runtime().block_on(prune(&grant(server), "xray", date(2025, 3, 31), 30, is_rehearsal)).expect("a pruning")
    };
    let rehearsed = run(true);
    assert_eq!(rehearsed.old, ["xray-spans-2025.01", "xray-traces-2025.02"]);
    assert_eq!(run(false), rehearsed);
    assert!(run(false).old.is_empty());
    let left = server.get("/xray-*-2025.*/_settings").json();
    let left: Vec<&String> = left.as_object().expect("indices").keys().collect();
    assert_eq!(left, ["xray-spans-2025.01-copy", "xray-spans-2025.03"]);
}

fn ask(server: &Search, index: &str, query: &str) -> Value {
    let answer = server.request("POST", &format!("/{index}/_search?size=0"), query).json();
    json!({"count": answer["hits"]["total"]["value"], "it": answer["aggregations"]["it"]})
}

/// What our samples become.
fn documents() -> Vec<Value> {
    let files = fs::read_dir(harness::workspace("tests/golden")).expect("golden documents").flatten();
    let texts = files.map(|file| fs::read_to_string(file.path()).expect("a file"));
    let lines: Vec<Value> = texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>())
        .collect();
    let documents: Vec<Value> = lines.into_iter().filter(|line: &Value| line.get("body").is_some()).collect();
    assert!(documents.len() > 100, "{} documents", documents.len());
    documents
}

fn grant(server: &Search) -> HttpGrant {
    HttpGrant::new(Url::parse(&server.url).expect("a URL"))
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}
