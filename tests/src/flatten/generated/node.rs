//! Segments and subsegments.

use proptest::collection::vec;
use proptest::prelude::*;

use super::json::Json;
use super::odd::{ARNS, TRACES, boolean, key, number, odd, select_fields, text, texts};

pub fn node(depth: u32) -> BoxedStrategy<Json> {
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
        "http://host:port:1/x",
        "http://[::1/a]",
        "http://h#f",
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
