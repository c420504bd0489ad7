//! Messages that nobody would write: odd types everywhere, nulls, duplicates, repeated keys, huge numbers.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// JSON that can have a key twice.
#[derive(Clone, Debug)]
pub enum Json {
    /// Its text.
    Scalar(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn text(text: &str) -> Self {
        Json::Scalar(serde_json::to_string(text).expect("text is JSON"))
    }

    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Json::Scalar(text) => out.push_str(text),
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.write_to(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    let _ = write!(out, "{comma}{}:", serde_json::to_string(key).expect("text is JSON"));
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

const TRACES: [&str; 4] = [
    "1-6aad0d03-6474ec86faeb7407e62ea252",
    "6AAD0D036474ec86faeb7407e62ea252",
    "1-00000001-000000000000000000000000",
    "odd",
];

const ARNS: [&str; 6] = [
    "arn:aws:states:eu-west-1:111122223333:execution:Orders:order-1",
    "arn:aws:states:eu-west-1:111122223333:express:Price:quote-1:5f0f",
    "arn:aws:states:us-east-1:11112222:execution:Map/Part:x",
    "arn:aws:lambda:us-east-1:444455556666:function:charge",
    "arn:aws:s3:::bucket",
    "arn:aws:states",
];

/// A message in one of the forms, or something like it.
pub fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => raw(),
        2 => trace(),
        2 => (field("account", text(&["111122223333", "12", ""])), field("trace", trace()), field("execution", execution()))
            .prop_map(|(a, b, c)| Json::Object(vec![a, b, c])),
        1 => vec(trace(), 0..3).prop_map(|traces| Json::Object(vec![("Traces".into(), Json::List(traces))])),
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
        field("trace", trace()),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| Json::Object(vec![a, b, c, d, e, f, g, h]))
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

fn node(depth: u32) -> BoxedStrategy<Json> {
    let children: BoxedStrategy<Json> = match depth {
        0 => odd().boxed(),
        _ => vec(prop_oneof![8 => node(depth - 1), 1 => odd()], 0..3).prop_map(Json::List).boxed(),
    };
    let mut fields = node_fields();
    fields.extend(std::iter::repeat_n(("subsegments", children), 4));
    fields.extend([("start_time", number()), ("end_time", number()), ("id", text(&IDS)), ("name", text(&NAMES))]);
    fields.extend([("start_time", number()), ("end_time", number()), ("id", text(&IDS)), ("name", text(&NAMES))]);
    select_fields(fields).boxed()
}

const IDS: [&str; 5] = ["a", "b", "c", "d1d1d1d1d1d1d1d1", ""];
const NAMES: [&str; 7] = ["n", "Initialization", "Branch 1", "Iteration 12", "Iteration x", "größe", ""];

fn node_fields() -> Vec<(&'static str, BoxedStrategy<Json>)> {
    vec![
        ("trace_id", text(&TRACES)),
        ("parent_id", text(&IDS)),
        ("type", text(&["subsegment", "segment"])),
        (
            "origin",
            text(&[
                "AWS::StepFunctions::StateMachine",
                "aws::stepfunctions::STATEMACHINE",
                "AWS::Lambda::Function",
                "AWS::Lambda",
                "AWS::ECS::Container",
                "AWS::EC2::Instance",
            ]),
        ),
        ("namespace", text(&["aws", "remote", "local"])),
        ("inferred", boolean()),
        ("in_progress", boolean()),
        ("fault", boolean()),
        ("error", boolean()),
        ("throttle", boolean()),
        ("user", text(&["u"])),
        ("resource_arn", text(&ARNS)),
        ("precursor_ids", texts()),
        ("service", select_fields(vec![("version", text(&["1"]))]).boxed()),
        (
            "links",
            vec(
                prop_oneof![3 => select_fields(vec![("trace_id", text(&TRACES)), ("id", text(&IDS))]), 1 => odd()],
                0..3,
            )
            .prop_map(Json::List)
            .boxed(),
        ),
        ("http", http()),
        ("sql", sql()),
        ("aws", aws()),
        ("aws", aws()),
        ("cause", cause()),
        ("annotations", vec((key(), odd()), 0..4).prop_map(Json::Object).boxed()),
        ("metadata", odd().boxed()),
        ("more", odd().boxed()),
    ]
}

fn http() -> BoxedStrategy<Json> {
    let urls = [
        "https://user:pw@API.example.com:8443/a/b?c=d#e",
        "http://[2001:DB8::1]:80",
        "/orders?page=2",
        "example.com/x",
        "://x/y",
        "https://states.eu-west-1.amazonaws.com/?Action=StartExecution",
        "a+b-c.1://h@i@J/k#l?m",
        "1://x/y",
    ];
    let request = select_fields(vec![
        ("method", text(&["get", "POST", "ß"])),
        ("url", text(&urls)),
        ("client_ip", text(&["10.0.0.1", "2001:db8::1", "10.0.0.1, 10.0.0.2", "::ffff:1.2.3.4", "01.2.3.4"])),
        ("user_agent", text(&["curl/8"])),
    ]);
    let response = select_fields(vec![("status", number()), ("content_length", number())]);
    select_fields(vec![("request", request.boxed()), ("response", response.boxed())]).boxed()
}

fn sql() -> BoxedStrategy<Json> {
    let urls = [
        "jdbc:postgresql://h:5432/orders?ssl=/true",
        "mysql://h",
        "jdbc:sqlserver://h;db=/x",
        "a://b/c/d/",
        "none",
        "x://h?/y",
    ];
    select_fields(vec![
        ("url", text(&urls)),
        ("sanitized_query", text(&["SELECT 1"])),
        ("database_type", text(&["PostgreSQL"])),
        ("user", text(&["shop"])),
    ])
    .boxed()
}

fn aws() -> BoxedStrategy<Json> {
    let some = || {
        text(&[
            "x",
            "a:b/c",
            "arn:aws:lambda:eu-west-1:111122223333:function:charge",
            "https://sqs/1/queue",
            "end/",
            "end:",
        ])
    };
    let group =
        |keys: &[&'static str]| select_fields(keys.iter().map(|key| (*key, text(&["one", "two"]))).collect()).boxed();
    let logs = vec(prop_oneof![3 => group(&["log_group", "arn"]), 1 => odd().boxed()], 0..3).prop_map(Json::List);
    let fields = vec![
        ("account_id", text(&["444455556666", "12", ""])),
        ("region", text(&["us-east-1"])),
        ("resource_arn", text(&ARNS)),
        ("resource_arn", text(&ARNS)),
        ("function_arn", text(&ARNS)),
        ("operation", text(&["Invoke", "StartExecution", "StartSyncExecution"])),
        ("request_id", some()),
        ("table_name", some()),
        ("queue_url", some()),
        ("bucket_name", some()),
        ("key", some()),
        ("topic_arn", some()),
        ("function_name", some()),
        ("function_error", some()),
        ("index_name", some()),
        ("message_id", some()),
        ("retries", number()),
        ("status_code", number()),
        ("resource_names", texts()),
        ("cloudwatch_logs", logs.boxed()),
        ("api_gateway", group(&["account_id", "rest_api_id", "stage", "request_id"])),
        ("ec2", group(&["instance_id", "instance_size", "ami_id", "availability_zone"])),
        ("ecs", group(&["container", "container_id", "container_arn"])),
        ("eks", group(&["cluster_name", "pod", "container_id"])),
        ("elastic_beanstalk", group(&["environment_name", "version_label"])),
        ("xray", group(&["sdk", "sdk_version", "sampling_rule_name"])),
        ("id_2", odd().boxed()),
    ];
    select_fields(fields).boxed()
}

fn cause() -> BoxedStrategy<Json> {
    let frame = select_fields(vec![("label", text(&["main"])), ("path", text(&["a.rs"])), ("line", number())]);
    let stack = vec(prop_oneof![5 => frame, 1 => odd()], 0..4).prop_map(Json::List);
    let exception = select_fields(vec![
        ("id", text(&["e1"])),
        ("type", text(&["Error"])),
        ("message", text(&["broken", ""])),
        ("stack", stack.boxed()),
        ("remote", boolean()),
    ]);
    let exceptions = vec(prop_oneof![5 => exception, 1 => odd()], 0..3).prop_map(Json::List);
    prop_oneof![
        4 => select_fields(vec![("message", text(&["cause"])), ("exceptions", exceptions.boxed())]),
        1 => text(&["e1e1e1e1e1e1e1e1"]),
        1 => odd(),
    ]
    .boxed()
}

fn texts() -> BoxedStrategy<Json> {
    vec(prop_oneof![4 => text(&["one", "two"]), 1 => odd()], 0..4).prop_map(Json::List).boxed()
}

/// Some of the members, in any order, a few of them odd, a few twice.
fn select_fields(fields: Vec<(&'static str, BoxedStrategy<Json>)>) -> impl Strategy<Value = Json> + Clone {
    let count = fields.len();
    let fields: Vec<_> = fields.into_iter().map(|(name, usual)| field(name, usual).boxed()).collect();
    let member = (0..count).prop_flat_map(move |index| fields[index].clone());
    vec(member, 0..=count.min(10)).prop_map(Json::Object).boxed()
}

fn field(name: &'static str, usual: impl Strategy<Value = Json> + 'static) -> impl Strategy<Value = (String, Json)> {
    prop_oneof![12 => usual.boxed(), 1 => odd().boxed()].prop_map(move |value| (name.to_owned(), value))
}

fn text(usual: &[&'static str]) -> BoxedStrategy<Json> {
    select(usual.to_vec()).prop_map(Json::text).boxed()
}

fn boolean() -> BoxedStrategy<Json> {
    select(vec!["true", "true", "false", "\"true\"", "\"yes\"", "1"])
        .prop_map(|text| Json::Scalar(text.to_owned()))
        .boxed()
}

/// Times, counts, and what is near them.
fn number() -> BoxedStrategy<Json> {
    let usual = vec![
        "1789725955",
        "1789725955.25",
        "1.789725956E9",
        "1789725957.1234565",
        "1789725955000",
        "1789720000",
        "0",
        "1",
        "2",
        "200",
        "-1",
        "0.0000005",
        "-0.0000004",
        "\"1789725955.5\"",
        "\"200\"",
        "\"861.0\"",
        "253402300799",
        "253402300800",
        "1e300",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890",
        "-0",
        "\" 1\"",
        "\"0x10\"",
        "200.0",
        "200.5",
        "\"01\"",
        "\"1e2\"",
        "\"NaN\"",
        "\"-5\"",
        "\"\"",
        "1e22",
        "\"123456789012345678901234567890\"",
    ];
    select(usual).prop_map(|text| Json::Scalar(text.to_owned())).boxed()
}

fn key() -> impl Strategy<Value = String> {
    select(vec!["k", "l", "aws:api_id", "a.b", "", "ключ"]).prop_map(str::to_owned)
}

/// Anything.
fn odd() -> impl Strategy<Value = Json> + Clone {
    let scalar = prop_oneof![
        3 => Just(Json::Scalar("null".to_owned())),
        2 => boolean(),
        3 => number(),
        2 => "\\PC{0,8}".prop_map(|text| Json::text(&text)),
        1 => text(&["", "null", "true", "{}", "\u{0}", "\u{1F680}"]),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Json::List), vec((key(), inner), 0..4).prop_map(Json::Object),]
    })
}
