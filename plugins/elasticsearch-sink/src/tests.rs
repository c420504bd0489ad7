//! The stage against servers that say whatever a server may.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rayline_sdk::http::{Method, Request, Response};
use rayline_sdk::testing::{self, Input, Verdict, Written};
use rayline_sdk::{CapabilityError, Failure};
use serde_json::{Value, json};

use crate::{ElasticsearchSink, HTTP};

const JANUARY: u64 = 1_738_367_999_000_000_000;

/// A span whose id and body are this text.
fn span(id: &str) -> Input {
    Input::body(json!({ "name": id }).to_string()).label("kind", "segment").id(id).at(JANUARY, 7)
}

fn spans(count: usize) -> Vec<Input> {
    (0..count).map(|n| span(&n.to_string())).collect()
}

fn response(status: u16, body: impl ToString) -> Result<Response, CapabilityError> {
    Ok(Response { status, headers: Vec::new(), body: body.to_string().into_bytes() })
}

/// The ids in a bulk.
fn ids(request: &Request) -> Vec<String> {
    let body = std::str::from_utf8(&request.body).unwrap();
    let actions = body.lines().step_by(2).map(|line| serde_json::from_str::<Value>(line).unwrap());
    actions.map(|action| action["index"]["_id"].as_str().unwrap().to_owned()).collect()
}

/// What the stage does with these events where the server answers so. Also the ids of each request that it sent.
fn write(
    events: &[Input],
    server: impl Fn(&Request) -> Result<Response, CapabilityError> + 'static,
) -> (Result<Vec<Written>, Failure>, Vec<Vec<String>>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let requests = seen.clone();
    testing::http::serve(HTTP, move |request| {
        requests.borrow_mut().push(ids(request));
        server(request)
    });
    let written = testing::open_sink::<ElasticsearchSink>("{}").unwrap().write(events);
    (written, seen.take())
}

/// What becomes of one event whose item is this.
fn judged(item: Value) -> Result<Vec<Written>, Failure> {
    write(&[span("a")], move |_| response(200, json!({ "items": [{ "index": item }] }))).0
}

/// What becomes of one event where the bulk as a whole is answered so.
fn answered(status: u16, body: &'static str) -> Result<Vec<Written>, Failure> {
    write(&[span("a")], move |_| response(status, body)).0
}

fn item(status: u16, kind: &str, reason: &str) -> Value {
    json!({ "status": status, "error": { "type": kind, "reason": reason } })
}

fn retry(reason: &str) -> Result<Vec<Written>, Failure> {
    Ok(vec![Written { event: 0, verdict: Verdict::Retry(None), reason: reason.to_owned() }])
}

fn reject(reason: &str) -> Result<Vec<Written>, Failure> {
    Ok(vec![Written { event: 0, verdict: Verdict::Reject, reason: reason.to_owned() }])
}

fn advice(answer: &Result<Vec<Written>, Failure>) -> &str {
    match answer {
        Err(Failure::Fatal(reason)) => reason,
        other => panic!("not fatal: {other:?}"),
    }
}

#[test]
fn the_bulk_as_it_is_sent() {
    let sent = Rc::new(RefCell::new(None));
    let seen = sent.clone();
    testing::http::serve(HTTP, move |request| {
        *seen.borrow_mut() = Some(request.clone());
        response(200, json!({ "items": [{ "index": { "status": 201 } }, { "index": { "status": 200 } }] }))
    });
    let mut sink = testing::open_sink::<ElasticsearchSink>(r#"{"index_prefix":"acme"}"#).unwrap();
    let events = [
        Input::body("{\"a\": 1}").label("kind", "execution").id("arn:\"1\"").at(JANUARY, 3),
        Input::body("{\n\"b\": 2\n}\n").label("kind", "trace").id("1-é").at(JANUARY + 1_000_000_000, i64::MAX as u64),
    ];
    assert_eq!(sink.write(&events).unwrap(), []);
    let request = sent.take().unwrap();
    assert_eq!(request.method, Method::Post);
    assert!(request.path.starts_with("/_bulk?filter_path=items.*.status,"), "{}", request.path);
    assert!(request.gzip);
    assert_eq!(request.headers, [("content-type".to_owned(), "application/x-ndjson".to_owned())]);
    let expected = concat!(
        r#"{"index":{"_index":"acme-executions-2025.01","_id":"arn:\"1\"","version":3,"version_type":"external_gte"}}"#,
        "\n{\"a\": 1}\n",
        r#"{"index":{"_index":"acme-traces-2025.02","_id":"1-é","version":9223372036854775807,"version_type":"external_gte"}}"#,
        "\n{\r\"b\": 2\r}\r\n",
    );
    assert_eq!(String::from_utf8(request.body).unwrap(), expected);
}

#[test]
fn what_has_no_place_in_a_bulk_is_rejected_and_the_rest_sent() {
    let events = [
        span(&"x".repeat(512)),
        span(&"x".repeat(513)),
        span(""),
        Input::body("{}").id("raw").label("kind", "raw"),
        Input::body("{}").id("none"),
        Input::body("").id("empty").label("kind", "trace"),
        span("version").at(0, 1 << 63),
        span("last"),
    ];
    let (written, sent) = write(&events, |request| {
        response(200, json!({ "items": vec![json!({ "index": { "status": 201 } }); ids(request).len()] }))
    });
    assert_eq!(sent, [["x".repeat(512), "last".to_owned()]]);
    let reasons: Vec<_> =
        written.unwrap().into_iter().map(|written| (written.event, written.verdict, written.reason)).collect();
    let expected = [
        (1, "its id has 513 bytes, an id has 1 to 512"),
        (2, "its id has 0 bytes, an id has 1 to 512"),
        (3, "its kind is `raw`, and only execution, trace, segment and subsegment have an index"),
        (4, "it has no label `kind`, and only execution, trace, segment and subsegment have an index"),
        (5, "its body is empty"),
        (6, "its version 9223372036854775808 is above 9223372036854775807, the highest there is"),
    ];
    assert_eq!(reasons, expected.map(|(event, reason)| (event, Verdict::Reject, reason.to_owned())));
    let (written, sent) = write(&[span("")], |_| panic!("there is nothing to send"));
    assert_eq!((written.unwrap().len(), sent.len()), (1, 0));
}

#[test]
fn each_document_has_its_own_verdict() {
    let (written, sent) = write(&spans(6), |_| {
        let items = [
            json!({ "status": 201 }),
            item(400, "mapper_parsing_exception", "failed to parse\n field [x]"),
            item(409, "version_conflict_engine_exception", "[2]: version conflict"),
            item(429, "es_rejected_execution_exception", "rejected execution"),
            json!({ "status": 200 }),
            item(503, "unavailable_shards_exception", "primary shard is not active"),
        ];
        let items: Vec<_> = items.into_iter().map(|item| json!({ "index": item })).collect();
        let headers = vec![("retry-after".to_owned(), "3".to_owned())];
        Ok(Response { status: 200, headers, body: json!({ "errors": true, "items": items }).to_string().into_bytes() })
    });
    let written: Vec<_> =
        written.unwrap().into_iter().map(|written| (written.event, written.verdict, written.reason)).collect();
    assert_eq!(
        written,
        [
            (1, Verdict::Reject, "400: mapper_parsing_exception: failed to parse field [x]".to_owned()),
            (3, Verdict::Retry(Some(3000)), "429: es_rejected_execution_exception: rejected execution".to_owned()),
            (
                5,
                Verdict::Retry(Some(3000)),
                "503: unavailable_shards_exception: primary shard is not active".to_owned()
            ),
        ]
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_document_that_waits_or_goes() {
    for (status, kind, reason) in [
        (429, "circuit_breaking_exception", "Data too large"),
        (500, "null_pointer_exception", ""),
        (503, "process_cluster_event_timeout_exception", "failed to process cluster event"),
        (400, "validation_exception", "this action would add [2] shards, but this cluster currently has [1000]/[1000]"),
        (403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"),
        (403, "cluster_block_exception", "blocked by: [FORBIDDEN/6/cluster read-only (api)];"),
        (403, "cluster_block_exception", "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];"),
        (404, "index_not_found_exception", "no such index [i]"),
    ] {
        let text = if reason.is_empty() { format!("{status}: {kind}") } else { format!("{status}: {kind}: {reason}") };
        assert_eq!(judged(item(status, kind, reason)), retry(&text));
    }
    for (status, kind, reason) in [
        (400, "index_closed_exception", "closed"),
        (400, "strict_dynamic_mapping_exception", "introduction of [x] is not allowed"),
        (403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/8/index write (api)];"),
        (403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/5/index read-only (api)];"),
        (403, "cluster_block_exception", "index [i] blocked by: [FORBIDDEN/4/index closed];"),
        (413, "too_large", "one document"),
    ] {
        assert_eq!(judged(item(status, kind, reason)), reject(&format!("{status}: {kind}: {reason}")));
    }
}

#[test]
fn a_reason_is_one_line_with_its_cause_and_not_long() {
    let cause =
        json!({ "type": "illegal_argument_exception", "reason": "For input string: \"abc\"", "caused_by": null });
    let error = json!({ "type": "document_parsing_exception", "reason": null, "caused_by": cause });
    let text = "400: document_parsing_exception: illegal_argument_exception: For input string: \"abc\"";
    assert_eq!(judged(json!({ "status": 400, "error": error })), reject(text));
    let long = judged(item(400, "a", &"é\r\n".repeat(1000))).unwrap();
    assert!(long[0].reason.starts_with("400: a: é é é") && long[0].reason.ends_with('…'), "{}", long[0].reason);
    assert!(long[0].reason.len() < 610);
}

#[test]
fn what_only_a_person_can_mend_stops_the_pipeline_with_advice() {
    let forbidden = "no such index [i] and [action.auto_create_index] ([-*]) doesn't match";
    let template = "no such index [i] and composable template [x] forbids index auto creation";
    for (answer, expected) in [
        (judged(item(403, "security_exception", "no permissions")), "grants.http.auth"),
        (judged(item(404, "index_not_found_exception", forbidden)), "rayline setup elasticsearch"),
        (judged(item(404, "index_not_found_exception", template)), "action.auto_create_index"),
        (
            answered(401, r#"{"error":{"type":"security_exception","reason":"missing credentials"},"status":401}"#),
            "missing credentials",
        ),
        (answered(401, ""), "grants.http.auth"),
        (answered(403, r#"{"Message":"User: anonymous is not authorized"}"#), "anonymous is not authorized"),
        (answered(301, ""), "grants.http.urls"),
        (answered(400, r#"{"error":"text","status":400}"#), "grants.http.urls"),
        (answered(404, "<html>\n<body>not found</body>"), "<html> <body>not found"),
        (answered(405, ""), "grants.http.urls"),
    ] {
        assert!(advice(&answer).contains(expected), "{answer:?}");
    }
}

#[test]
fn an_index_that_is_not_there_is_asked_for_three_times() {
    let gone = json!({ "items": [{ "index": item(404, "index_not_found_exception", "no such index [i]") }] });
    let there = json!({ "items": [{ "index": { "status": 201 } }] });
    let answers = RefCell::new([&gone, &gone, &there, &gone, &gone, &gone].map(Value::to_string).into_iter());
    testing::http::serve(HTTP, move |_| response(200, answers.borrow_mut().next().unwrap()));
    let mut sink = testing::open_sink::<ElasticsearchSink>("{}").unwrap();
    for expected in [1, 1, 0, 1, 1] {
        assert_eq!(sink.write(&[span("a")]).unwrap().len(), expected);
    }
    assert!(advice(&sink.write(&[span("a")])).contains("action.auto_create_index"));
}

#[test]
fn an_answer_that_is_none_is_asked_for_again() {
    let whole = r#"{"items":[{"index":{"status":201}}]}"#;
    for (status, body) in [
        (200, &whole[..20]),
        (200, "<html>please log in</html>"),
        (200, ""),
        (200, r#"{"items":[]}"#),
        (200, r#"{"items":[{"index":{"status":201}},{"index":{"status":201}}]}"#),
        (200, r#"{"items":[{"create":{"status":201}}]}"#),
        (200, r#"{"tagline":"You Know, for Search"}"#),
        (429, "slow down"),
        (500, ""),
        (502, "<html>bad gateway</html>"),
        (503, r#"{"error":{"type":"cluster_block_exception","reason":"state not recovered"},"status":503}"#),
        (504, ""),
        (408, ""),
        (
            403,
            r#"{"error":{"type":"cluster_block_exception","reason":"FORBIDDEN/6/cluster read-only (api)"},"status":403}"#,
        ),
    ] {
        let body: &'static str = Box::leak(body.to_owned().into_boxed_str());
        let written = answered(status, body).unwrap();
        assert_eq!(written.len(), 1, "{status} {body}");
        assert_eq!(written[0].verdict, Verdict::Retry(None), "{status} {body}");
    }
    assert_eq!(answered(200, whole), Ok(vec![]));
    let (written, _) = write(&spans(3), move |_| response(200, whole));
    let reasons: Vec<_> = written.unwrap().into_iter().map(|written| written.reason).collect();
    assert_eq!(reasons, ["the server answered for 1 of 3 documents"; 3]);
}

#[test]
fn the_wait_that_a_server_asks_for_is_kept() {
    for (header, expected) in [
        ("7", Some(7000)),
        (" 1 ", Some(1000)),
        ("86400", Some(60_000)),
        ("0", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let headers = vec![("retry-after".to_owned(), header.to_owned())];
        let answer = Response { status: 429, headers, body: Vec::new() };
        let (written, _) = write(&spans(2), move |_| Ok(answer.clone()));
        let waits: Vec<_> = written.unwrap().into_iter().map(|written| written.verdict).collect();
        assert_eq!(waits, [Verdict::Retry(expected), Verdict::Retry(expected)]);
    }
}

#[test]
fn a_bulk_that_is_too_large_goes_in_pieces() {
    // The server takes three documents, none of them larger than 100 bytes.
    let server = |request: &Request| {
        let documents = request.body.split(|byte| *byte == b'\n').skip(1).step_by(2);
        if ids(request).len() > 3 || documents.into_iter().any(|document| document.len() > 100) {
            return response(413, "<html>413 Request Entity Too Large</html>");
        }
        response(200, json!({ "items": vec![json!({ "index": { "status": 201 } }); ids(request).len()] }))
    };
    let mut events = spans(8);
    events[5] = span(&"5".repeat(200));
    let (written, sent) = write(&events, server);
    let written = written.unwrap();
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!((written[0].event, &written[0].verdict), (5, &Verdict::Reject));
    assert!(written[0].reason.starts_with("the server takes no document of "), "{}", written[0].reason);
    let sizes: Vec<_> = sent.iter().map(Vec::len).collect();
    assert_eq!(sizes, [8, 4, 2, 2, 4, 2, 1, 1, 2], "in halves, in order");
}

#[test]
fn a_server_that_is_away_costs_nothing_but_time() {
    let away = |_: &Request| {
        let after = Some(Duration::from_secs(2));
        Err(CapabilityError::Temporary { reason: "no server can be reached".to_owned(), after })
    };
    let (written, _) = write(&spans(2), away);
    let expected =
        |event| Written { event, verdict: Verdict::Retry(Some(2000)), reason: "no server can be reached".to_owned() };
    assert_eq!(written, Ok(vec![expected(0), expected(1)]));
    let (written, _) = write(&spans(2), |_| Err(CapabilityError::Permanent("the request is too large".to_owned())));
    assert_eq!(written, Err(Failure::fatal("the request is too large")));
}

#[test]
fn what_it_says_of_itself() {
    let description = testing::describe_sink::<ElasticsearchSink>();
    assert_eq!(description["bindings"][0]["name"], "http");
    let prefix = &description["options"]["properties"]["index_prefix"];
    assert_eq!(prefix["default"], "xray");
    assert_eq!(prefix["pattern"], "^[a-z0-9][a-z0-9._-]*$");
}
