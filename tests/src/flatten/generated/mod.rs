//! Messages that nobody would write: odd types everywhere, nulls, duplicates, repeated keys, huge numbers.

mod json;
mod node;
mod odd;

use proptest::collection::vec;
use proptest::prelude::*;

use json::Json;
use node::node;
use odd::{ARNS, TRACES, boolean, field, number, odd, select_fields, text};

/// A message in one of the forms, or something like it.
pub fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => raw(),
        2 => trace(),
        2 => (field("account", text(&["111122223333", "12", ""])), field("trace", trace()), field("execution", execution()))
            .prop_map(|(a, b, c)| Json::Object(vec![a, b, c])),
        2 => traces(),
        2 => node(3),
        1 => vec(prop_oneof![node(2), trace(), raw(), odd()], 0..4).prop_map(Json::List),
        1 => odd(),
    ]
    .prop_map(|json| json.write())
}

fn raw() -> impl Strategy<Value = Json> {
    let date = || {
        text(&[
            "2026-09-18T10:10:00Z",
            "9999-12-31T23:59:59Z",
            "2026-09-18T12:10:00.123456789+02:00",
            "1789725999.5",
            "yesterday",
        ])
    };
    (
        Just(("schema".to_owned(), Json::text("rayline.raw/1"))),
        field("verdict", text(&["settled", "partial", "limit_exceeded", "unsampled", "not_found"])),
        field("account_id", text(&["111122223333", "7"])),
        field("region", text(&["eu-west-1"])),
        field("collected_at", date()),
        field("discovered_at", date()),
        field("executions", vec(execution(), 0..3).prop_map(Json::List)),
        field("trace", prop_oneof![3 => trace(), 2 => traces()]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| Json::Object(vec![a, b, c, d, e, f, g, h]))
}

fn traces() -> impl Strategy<Value = Json> {
    vec(trace(), 0..4).prop_map(|traces| Json::Object(vec![("Traces".into(), Json::List(traces))]))
}

fn trace() -> impl Strategy<Value = Json> {
    let segment = prop_oneof![
        2 => node(3),
        2 => node(3).prop_map(|node| Json::Object(vec![("Document".into(), node)])),
        2 => node(3).prop_map(|node| Json::Object(vec![("Id".into(), Json::text("x")), ("Document".into(), Json::text(&node.write()))])),
        1 => odd().prop_map(|odd| Json::Object(vec![("Document".into(), odd)])),
        1 => odd(),
    ];
    let segments = vec(segment, 0..5).prop_map(Json::List);
    let members = (
        field("Id", text(&TRACES)),
        field("Duration", number()),
        field("LimitExceeded", boolean()),
        field("Segments", segments),
    );
    let members = members.prop_map(|(a, b, c, d)| vec![a, b, c, d]);
    members.prop_map(Json::Object)
}

fn execution() -> impl Strategy<Value = Json> {
    let date = || prop_oneof![number(), text(&["2026-09-18T10:05:55Z", "2026-09-18"])].boxed();
    let members = select_fields(vec![
        ("executionArn", text(&ARNS)),
        ("executionArn", text(&ARNS)),
        ("stateMachineArn", text(&["arn:aws:states:eu-west-1:111122223333:stateMachine:Orders", "Orders"])),
        ("name", text(&["order-1"])),
        ("status", text(&["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "PENDING_REDRIVE"])),
        ("startDate", date()),
        ("startDate", date()),
        ("stopDate", date()),
        ("input", text(&["{\"a\":1}", ""])),
        ("output", text(&["\"ü\""])),
        ("inputDetails", select_fields(vec![("included", boolean())]).boxed()),
        ("outputDetails", select_fields(vec![("included", boolean())]).boxed()),
        ("error", text(&["States.Timeout"])),
        ("cause", text(&["because"])),
        ("redriveCount", number()),
        ("traceHeader", text(&["Root=1-6aad0d03-6474ec86faeb7407e62ea252;Sampled=1", "Sampled=0", "Self=1; Root=odd"])),
    ]);
    prop_oneof![
        4 => members.clone(),
        1 => members.prop_map(|detail| Json::Object(vec![("detail".into(), detail)])),
        1 => odd(),
    ]
}
