//! Segments and subsegments.

use serde_json::{Value, json};

use super::{flatten, message};

/// The one document of a segment, without the fields of section 3 that say nothing about it.
fn segment(members: &str) -> Value {
    let payload = format!("{{\"id\":\"a\",\"start_time\":1{members}}}");
    let mut out = flatten(payload.as_bytes());
    assert_eq!(out.rejected, []);
    out.documents.remove(0).body
}

#[test]
fn coercions() {
    for (members, field, expected, warning) in [
        (r#","name":5"#, "span.name", json!("5"), None),
        (r#","name":true"#, "span.name", json!("true"), None),
        (r#","name":-0"#, "span.name", json!("0"), None),
        (r#","name":1e300"#, "span.name", json!("1e+300"), None),
        (r#","name":{}"#, "span.name", Value::Null, Some("dropped:name")),
        (r#","name":"x","name":"""#, "span.name", Value::Null, None),
        (r#","end_time":"2.5""#, "event.end", json!("1970-01-01T00:00:02.500000Z"), Some("time_string")),
        (r#","end_time":-1"#, "event.end", Value::Null, Some("dropped:end_time")),
        (r#","end_time":1e20"#, "event.end", Value::Null, Some("dropped:end_time")),
        (r#","end_time":0"#, "event.duration", json!(0), Some("negative_duration")),
        (r#","end_time":1.0000005"#, "event.duration", json!(1000), None),
        (r#","end_time":253402300799"#, "event.duration", Value::Null, None),
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
        (r#","links":[null,{"id":"i"}]"#, "xray.links.id", json!(["i"]), None),
        (r#","links":["t"]"#, "xray.links.id", Value::Null, Some("dropped:links")),
        (
            r#","resource_arn":"r","aws":{"resource_arn":[]}"#,
            "xray.resource_arn",
            json!("r"),
            Some("dropped:aws.resource_arn"),
        ),
        (
            r#","type":"subsegment","aws":{"account_id":[]}"#,
            "cloud.account.id",
            Value::Null,
            Some("dropped:aws.account_id"),
        ),
        (
            r#","aws":{"account_id":"123456789012","api_gateway":{"account_id":{}}}"#,
            "cloud.account.id",
            json!("123456789012"),
            Some("dropped:aws.api_gateway.account_id"),
        ),
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

/// Members of a segment and the fields that they give, as a table row has them.
#[test]
fn rows_of_the_table() {
    let ecs = json!({"aws": {"ecs": {"container": "web", "container_id": "c1"}, "eks": {"container_id": "c2"}}});
    let eks = json!({"aws": {"eks": {"cluster_name": "blue", "pod": "web-1", "container_id": "c2"}}});
    let ec2 = json!({"aws": {"ec2": {"instance_id": "i-1", "instance_size": "m7g.large", "ami_id": "ami-1",
        "availability_zone": "eu-west-1a"}}});
    let sdk = json!({"aws": {"xray": {"sdk": "X-Ray for Go", "sdk_version": "1.8.4", "sampling_rule_name": "all"}}});
    let gateway = json!({"aws": {"api_gateway": {"rest_api_id": "r1", "stage": "prod", "account_id": "123456789012"}}});
    let logs = json!({"aws": {"cloudwatch_logs": [{"log_group": "/a"}, {"arn": "x"}, {"log_group": "/b"}]}});
    let sql = json!({"sql": {"sanitized_query": "select ?", "database_type": "PostgreSQL", "user": "u",
        "url": "jdbc:postgresql://host:5432/shop?x=1"}});
    let call = json!({"type": "subsegment", "namespace": "aws", "name": "DynamoDB", "aws": {"operation": "GetItem",
        "account_id": "123456789012", "region": "eu-west-1", "table_name": "t", "retries": 2, "status_code": "400"}});
    for (members, expected) in [
        (ecs, json!({"container.name": "web", "container.id": "c1"})),
        (
            eks,
            json!({"container.id": "c2", "orchestrator.cluster.name": "blue", "orchestrator.resource.name": "web-1"}),
        ),
        (
            ec2,
            json!({"cloud.instance.id": "i-1", "cloud.machine.type": "m7g.large", "host.image.id": "ami-1",
                "cloud.availability_zone": "eu-west-1a"}),
        ),
        (
            json!({"service": {"version": "7"}, "aws": {"elastic_beanstalk": {"environment_name": "prod"}}}),
            json!({"service.version": "7", "service.environment": "prod"}),
        ),
        (sdk, json!({"xray.sdk.name": "X-Ray for Go", "xray.sdk.version": "1.8.4", "xray.sampling_rule": "all"})),
        (
            gateway,
            json!({"aws.api_gateway.rest_api_id": "r1", "aws.api_gateway.stage": "prod",
                "cloud.account.id": "123456789012"}),
        ),
        (logs, json!({"aws.log_groups": ["/a", "/b"]})),
        (sql, json!({"db.statement": "select ?", "db.type": "PostgreSQL", "db.user": "u", "db.name": "shop"})),
        (
            call,
            json!({"xray.target.name": "DynamoDB", "xray.target.operation": "GetItem",
                "xray.target.account.id": "123456789012", "xray.target.region": "eu-west-1", "aws.operation": "GetItem",
                "aws.table_name": "t", "aws.retries": 2, "aws.status_code": 400, "cloud.account.id": null}),
        ),
        (
            json!({"http": {"request": {"url": "https://Shop.example:8443/a?b", "user_agent": "curl"}}}),
            json!({"url.full": "https://Shop.example:8443/a?b", "url.domain": "shop.example", "url.path": "/a",
                "user_agent.original": "curl"}),
        ),
        (
            json!({"resource_arn": "arn:aws:sqs:eu-west-1:123456789012:q"}),
            json!({"cloud.account.id": "123456789012", "cloud.region": "eu-west-1",
                "xray.resource_arn": "arn:aws:sqs:eu-west-1:123456789012:q"}),
        ),
        (
            json!({"user": "u", "origin": "AWS::Lambda::Function", "subsegments":
                [{"name": "Initialization", "start_time": 1}]}),
            json!({"user.id": "u", "faas.coldstart": true, "xray.origin": "AWS::Lambda::Function"}),
        ),
    ] {
        let text = members.to_string();
        let document = segment(&format!(",{}", &text[1..text.len() - 1]));
        assert_eq!(document.get("xray.parse.warnings"), None, "{text}");
        assert_eq!(document.get("aws.extra"), None, "{text}");
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(document.get(field).unwrap_or(&Value::Null), value, "{field} of {text}");
        }
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
