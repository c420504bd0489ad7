//! The documents of segments and subsegments, section 4.

use serde_json::Value;

use super::body::Body;
use super::common::{self, Common, Source};
use super::id::{self, Draft};
use super::input::Message;
use super::json::{self, Object, Reader, Warnings};
use super::node::Node;
use super::{Document, cause, http};

/// The members of `aws` that a rule reads.
const AWS_READ: [&str; 25] = [
    "account_id",
    "region",
    "resource_arn",
    "function_arn",
    "api_gateway",
    "operation",
    "request_id",
    "table_name",
    "queue_url",
    "bucket_name",
    "key",
    "topic_arn",
    "function_name",
    "function_error",
    "index_name",
    "message_id",
    "retries",
    "status_code",
    "resource_names",
    "cloudwatch_logs",
    "ec2",
    "ecs",
    "eks",
    "elastic_beanstalk",
    "xray",
];

const AWS_TEXTS: [&str; 11] = [
    "operation",
    "request_id",
    "table_name",
    "queue_url",
    "bucket_name",
    "key",
    "topic_arn",
    "function_name",
    "function_error",
    "index_name",
    "message_id",
];

pub fn document(source: &Source, node: &Node) -> Draft {
    let message = source.message;
    let warnings = Warnings::default();
    let reader = Reader::new(&node.members, &warnings);
    let mut body = Body::default();
    let timestamp = node.timestamp;

    let segment = common::segment_of(message, node);
    let common = Common {
        kind: node.kind,
        timestamp,
        start: reader.time("start_time"),
        end: reader.time("end_time"),
        duration_micros: None,
        outcome: node.outcome(),
        account: common::segment_account(segment, source),
        region: common::segment_region(segment, source),
    };
    source.common(&mut body, &warnings, common);
    body.put("trace.id", &node.trace_id);
    body.put("trace.w3c_id", node.trace_id.as_deref().and_then(id::w3c_id));

    place(&mut body, message, node, segment);
    own_members(&mut body, &reader, node);
    aws(&mut body, &reader.object("aws"), node);
    http::request_and_response(&mut body, &reader.object("http"));
    sql(&mut body, &reader.object("sql"));
    cause::error(&mut body, &reader);
    annotations(&mut body, &reader.object("annotations"));
    body.put("xray.metadata", reader.read("metadata", Value::as_object));

    if node.subsegments_dropped {
        reader.dropped("subsegments");
    }
    if node.duplicate {
        warnings.add("duplicate");
    }
    body.put("xray.parse.warnings", warnings.list());

    let t = id::version_time(message, Some(node.trace), None);
    Draft {
        document: Document {
            kind: node.kind,
            id: id::of_node(source, node),
            time_ns: id::index_time(node.trace_id.as_deref(), timestamp).nanos(),
            version: id::node_version(t, node),
            body: body.finish(),
        },
        start: node.start,
        end: node.end,
        name: node.name.clone(),
    }
}

/// Where the node stands.
fn place(body: &mut Body, message: &Message, node: &Node, segment: Option<&Node>) {
    body.put("span.id", &node.id);
    body.put("parent.id", id::parent_id(message, node));
    body.put("span.name", &node.name);
    body.put("service.name", segment.and_then(|segment| segment.name.as_ref()));
    body.put("xray.segment.id", segment.and_then(|segment| segment.id.as_ref()));
    body.put("xray.depth", node.depth);

    let mut names = Vec::new();
    let mut above = Some(node);
    while let Some(node) = above {
        names.extend(node.name.clone());
        above = node.enclosing.map(|enclosing| &message.nodes[enclosing]);
    }
    names.reverse();
    body.put("xray.path", names.join(" > "));
}

fn own_members(body: &mut Body, reader: &Reader, node: &Node) {
    let outermost: &[&str] = if node.enclosing.is_none() { &["trace_id", "parent_id"] } else { &[] };
    for key in ["id", "name"].iter().chain(outermost) {
        reader.text(key);
    }
    body.put("service.version", reader.object("service").text("version"));
    for key in ["origin", "namespace", "type"] {
        body.put(&format!("xray.{key}"), reader.text(key));
    }
    for key in ["inferred", "in_progress", "fault", "error", "throttle"] {
        body.flag(&format!("xray.{key}"), reader.flag(key));
    }
    body.flag("xray.incomplete", node.end.is_none());
    body.put("xray.precursor_ids", reader.texts("precursor_ids"));
    let links = reader.objects("links");
    for key in ["trace_id", "id"] {
        let values: Vec<String> = links.iter().filter_map(|link| link.text(key)).collect();
        body.put(&format!("xray.links.{key}"), values);
    }
    body.put("user.id", reader.text("user"));
    if node.is_segment() && reader.text("origin").as_deref() == Some("AWS::Lambda::Function") {
        body.put("faas.coldstart", node.initialized);
    }
    let aws = reader.object("aws");
    let arns = [reader.text("resource_arn"), aws.text("resource_arn"), aws.text("function_arn")];
    body.put("xray.resource_arn", arns.into_iter().flatten().next());
}

fn aws(body: &mut Body, aws: &Reader, node: &Node) {
    let (account, region) = (aws.text("account_id"), aws.text("region"));
    if node.is_call() {
        body.put("xray.target.name", &node.name);
        body.put("xray.target.operation", aws.text("operation"));
        body.put("xray.target.account.id", account);
        body.put("xray.target.region", region);
    }
    for key in AWS_TEXTS {
        body.put(&format!("aws.{key}"), aws.text(key));
    }
    for key in ["retries", "status_code"] {
        body.put(&format!("aws.{key}"), aws.integer(key));
    }
    body.put("aws.resource_names", aws.texts("resource_names"));
    let logs = aws.objects("cloudwatch_logs");
    let groups: Vec<String> = logs.iter().filter_map(|log| log.text("log_group")).collect();
    body.put("aws.log_groups", groups);

    let gateway = aws.object("api_gateway");
    gateway.text("account_id");
    body.put("aws.api_gateway.rest_api_id", gateway.text("rest_api_id"));
    body.put("aws.api_gateway.stage", gateway.text("stage"));
    let ec2 = aws.object("ec2");
    body.put("cloud.instance.id", ec2.text("instance_id"));
    body.put("cloud.machine.type", ec2.text("instance_size"));
    body.put("host.image.id", ec2.text("ami_id"));
    body.put("cloud.availability_zone", ec2.text("availability_zone"));
    let (ecs, eks) = (aws.object("ecs"), aws.object("eks"));
    let eks_container = eks.text("container_id");
    body.put("container.name", ecs.text("container"));
    body.put("container.id", ecs.text("container_id").or(eks_container));
    body.put("orchestrator.cluster.name", eks.text("cluster_name"));
    body.put("orchestrator.resource.name", eks.text("pod"));
    body.put("service.environment", aws.object("elastic_beanstalk").text("environment_name"));
    let xray = aws.object("xray");
    body.put("xray.sdk.name", xray.text("sdk"));
    body.put("xray.sdk.version", xray.text("sdk_version"));
    body.put("xray.sampling_rule", xray.text("sampling_rule_name"));

    let unread = aws.members().filter(|(key, _)| !AWS_READ.contains(&key.as_str()));
    let extra = unread.map(|(key, value)| (key.clone(), value.clone()));
    body.put("aws.extra", extra.collect::<Object>());
}

fn sql(body: &mut Body, sql: &Reader) {
    body.put("db.statement", sql.text("sanitized_query"));
    body.put("db.type", sql.text("database_type"));
    body.put("db.user", sql.text("user"));
    body.put("db.name", sql.text("url").and_then(|url| database(&url)));
}

/// What follows the last `/` after the authority of `…://…`, up to `?` or `;`.
fn database(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split(['?', ';']).next()?;
    let (_, path) = rest.split_once('/')?;
    path.rsplit('/').next().map(str::to_owned)
}

fn annotations(body: &mut Body, annotations: &Reader) {
    let mut kept = Object::new();
    for (key, value) in annotations.members() {
        match value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                kept.insert(key.clone(), value.clone());
            }
            _ => annotations.dropped(key),
        }
    }
    body.put("xray.annotation_kv", key_values(&kept));
    body.put("xray.annotations", kept);
}

/// The `key=value` texts of a node's annotations, sorted.
pub fn annotation_kv(node: &Node) -> Vec<String> {
    let reader = node.reader().object("annotations");
    let texts = reader.members().filter(|(_, value)| json::text(value).is_some());
    key_values(&texts.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn key_values(annotations: &Object) -> Vec<String> {
    let text = |value| json::text(value).unwrap_or_default();
    let mut list: Vec<String> = annotations.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    list.sort();
    list
}
