//! The fields of segments and subsegments: section 4 of `docs/documents.md`, in its order.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::annotation;
use crate::body::{Body, Field, field};
use crate::cause;
use crate::coerce;
use crate::json::{Shape, Value};
use crate::members::{Aws, Http, HttpSide, Sql};
use crate::node::{Kind, Node};
use crate::stored::{self, Distinct};
use crate::tree::{Root, Tree};
use crate::url::{self, Url};
use crate::writer::{self, key};

/// What executions and traces want to know of a node, found while its document is written.
#[derive(Default)]
pub struct Facts<'t> {
    /// It is a subsegment with namespace `aws` or `remote`.
    pub is_call: bool,
    /// The table, bucket, function, queue or topic that is called.
    pub resource: Option<String>,
    pub starts_execution: bool,
    pub has_namespace: bool,
    /// `key=value`.
    pub annotations: Vec<String>,
    pub user: Option<Cow<'t, str>>,
}

/// Appends the fields of section 4.
pub fn write<'t>(body: &mut Body<'_>, tree: &Tree<'t>, index: usize, node: &Node<'t>, path: &str) -> Facts<'t> {
    let source = &node.source;
    let mut facts = Facts::default();
    body.optional(key!("span.id"), node.id.as_deref());
    body.optional(key!("parent.id"), tree.parent_id(index));
    body.optional(key!("span.name"), node.name.as_deref());
    service(body, source.service);
    if !path.is_empty() {
        body.string(key!("xray.path"), path);
    }
    body.integer(key!("xray.depth"), node.depth as i64);
    body.text(field!("xray.origin" <- "origin"), source.origin);
    body.text(field!("xray.type" <- "type"), source.kind);
    let namespace = body.read_text("dropped:namespace", source.namespace);
    body.optional(key!("xray.namespace"), namespace.as_deref());
    facts.has_namespace = namespace.is_some();
    facts.is_call = node.kind == Kind::Subsegment && matches!(namespace.as_deref(), Some("aws" | "remote"));
    let in_progress = source.in_progress.map_or(Ok(None), coerce::boolean);
    let in_progress = body.checked("dropped:in_progress", in_progress) == Some(true);
    body.flag(key!("xray.inferred"), node.inferred);
    body.flag(key!("xray.in_progress"), in_progress);
    body.flag(key!("xray.fault"), node.fault);
    body.flag(key!("xray.error"), node.error);
    body.flag(key!("xray.throttle"), node.throttle);
    body.flag(key!("xray.incomplete"), node.end.is_none());
    let aws_object = body.read_object("dropped:aws", source.aws);
    let aws = aws_object.map(Aws::read).unwrap_or_default();
    let arns = [
        ("dropped:resource_arn", source.resource_arn),
        ("dropped:aws.resource_arn", aws.resource_arn),
        ("dropped:aws.function_arn", aws.function_arn),
    ];
    body.first(key!("xray.resource_arn"), &arns);
    let account = body.read_text("dropped:aws.account_id", aws.account_id);
    let region = body.read_text("dropped:aws.region", aws.region);
    if facts.is_call {
        body.optional(key!("xray.target.name"), node.name.as_deref());
        body.text(field!("xray.target.operation" <- "aws.operation"), aws.operation);
        body.optional(key!("xray.target.account.id"), account.as_deref());
        body.optional(key!("xray.target.region"), region.as_deref());
        facts.resource = resource(&aws);
    }
    let precursors = body.read_array("dropped:precursor_ids", source.precursor_ids);
    let precursors = precursors.into_iter().flat_map(Value::elements);
    body.texts(field!("xray.precursor_ids" <- "precursor_ids"), precursors.map(Some));
    if let Some(links) = body.read_array("dropped:links", source.links) {
        let links = body.objects("dropped:links", links);
        let ids = links.clone().map(|link| link.get("id"));
        body.texts(field!("xray.links.trace_id" <- "links.trace_id"), links.map(|link| link.get("trace_id")));
        body.texts(field!("xray.links.id" <- "links.id"), ids);
    }
    facts.user = body.read_text("dropped:user", source.user);
    body.optional(key!("user.id"), facts.user.as_deref());
    facts.starts_execution = starts_execution(aws.operation);
    if source.http.is_some() {
        facts.starts_execution |= http(body, source.http);
    }
    if source.sql.is_some() {
        sql(body, source.sql);
    }
    if let Some(object) = aws_object {
        aws_fields(body, object, &aws);
    }
    if node.kind == Kind::Segment && is_text(source.origin, "AWS::Lambda::Function") {
        let mut children = source.subsegments.into_iter().flat_map(Value::elements);
        body.boolean(key!("faas.coldstart"), children.any(|child| is_text(child.get("name"), "Initialization")));
    }
    if source.cause.is_some() {
        cause::write(body, source.cause);
    }
    if source.annotations.is_some() {
        facts.annotations = annotation::write(body, source.annotations);
    }
    if let Some(metadata) = body.read_object("dropped:metadata", source.metadata)
        && Distinct::new(metadata).next().is_some()
    {
        body.raw(key!("xray.metadata").as_bytes());
        stored::write(body.out, metadata);
    }
    facts
}

/// Appends what all nodes of a segment share.
pub fn write_shared(body: &mut Body<'_>, tree: &Tree<'_>, root: &Root<'_>) {
    let segment = root.segment.and_then(|segment| tree.nodes.get(segment));
    let root = segment.and_then(|segment| tree.root(segment)).unwrap_or(root);
    body.place(root.account.as_deref(), root.region.as_deref());
    if let Some(segment) = segment {
        body.optional(key!("service.name"), segment.name.as_deref());
        body.optional(key!("xray.segment.id"), segment.id.as_deref());
    }
}

fn service(body: &mut Body<'_>, service: Option<Value<'_>>) {
    if let Some(service) = body.read_object("dropped:service", service) {
        body.text(field!("service.version" <- "service.version"), service.get("version"));
    }
}

/// Returns whether the request starts an execution: API Gateway says so in the URL only.
fn http(body: &mut Body<'_>, http: Option<Value<'_>>) -> bool {
    let Some(http) = body.read_object("dropped:http", http).map(Http::read) else { return false };
    let mut starts_execution = false;
    if let Some(request) = body.read_object("dropped:http.request", http.request).map(HttpSide::read) {
        if let Some(method) = body.read_text("dropped:http.request.method", request.method) {
            if method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                body.string(key!("http.request.method"), &method);
            } else {
                body.string(key!("http.request.method"), &method.to_uppercase());
            }
        }
        if let Some(full) = body.read_text("dropped:http.request.url", request.url) {
            let url = Url::parse(&full);
            body.string(key!("url.full"), &full);
            body.optional(key!("url.domain"), url.domain.as_deref());
            body.optional(key!("url.path"), url.path);
            starts_execution = full.split_once('?').is_some_and(|(_, query)| {
                query.split('&').any(|part| matches!(part, "Action=StartExecution" | "Action=StartSyncExecution"))
            });
        }
        if let Some(client) = body.read_text("dropped:http.request.client_ip", request.client_ip) {
            let is_ip = client.parse::<IpAddr>().is_ok();
            body.string(if is_ip { key!("client.ip") } else { key!("client.address") }, &client);
        }
        body.text(field!("user_agent.original" <- "http.request.user_agent"), request.user_agent);
    }
    if let Some(response) = body.read_object("dropped:http.response", http.response).map(HttpSide::read) {
        body.integer_from(field!("http.response.status_code" <- "http.response.status"), response.status);
        let bytes = response.content_length.map_or(Ok(None), coerce::integer);
        if let Some(bytes) = body.checked("dropped:http.response.content_length", bytes).filter(|bytes| *bytes >= 0) {
            body.integer(key!("http.response.body.bytes"), bytes);
        }
    }
    starts_execution
}

fn sql(body: &mut Body<'_>, sql: Option<Value<'_>>) {
    let Some(sql) = body.read_object("dropped:sql", sql).map(Sql::read) else { return };
    body.text(field!("db.statement" <- "sql.sanitized_query"), sql.sanitized_query);
    body.text(field!("db.type" <- "sql.database_type"), sql.database_type);
    body.text(field!("db.user" <- "sql.user"), sql.user);
    let url = body.read_text("dropped:sql.url", sql.url);
    body.optional(key!("db.name"), url.as_deref().and_then(url::database));
}

fn aws_fields(body: &mut Body<'_>, object: Value<'_>, aws: &Aws<'_>) {
    body.text(field!("aws.operation" <- "aws.operation"), aws.operation);
    body.text(field!("aws.request_id" <- "aws.request_id"), aws.request_id);
    body.text(field!("aws.table_name" <- "aws.table_name"), aws.table_name);
    body.text(field!("aws.queue_url" <- "aws.queue_url"), aws.queue_url);
    body.text(field!("aws.bucket_name" <- "aws.bucket_name"), aws.bucket_name);
    body.text(field!("aws.key" <- "aws.key"), aws.key);
    body.text(field!("aws.topic_arn" <- "aws.topic_arn"), aws.topic_arn);
    body.text(field!("aws.function_name" <- "aws.function_name"), aws.function_name);
    body.text(field!("aws.function_error" <- "aws.function_error"), aws.function_error);
    body.text(field!("aws.index_name" <- "aws.index_name"), aws.index_name);
    body.text(field!("aws.message_id" <- "aws.message_id"), aws.message_id);
    body.integer_from(field!("aws.retries" <- "aws.retries"), aws.retries);
    body.integer_from(field!("aws.status_code" <- "aws.status_code"), aws.status_code);
    let names = body.read_array("dropped:aws.resource_names", aws.resource_names);
    let names = names.into_iter().flat_map(Value::elements);
    body.texts(field!("aws.resource_names" <- "aws.resource_names"), names.map(Some));
    if let Some(logs) = body.read_array("dropped:aws.cloudwatch_logs", aws.cloudwatch_logs) {
        let groups = body.objects("dropped:aws.cloudwatch_logs", logs).map(|log| log.get("log_group"));
        body.texts(field!("aws.log_groups" <- "aws.cloudwatch_logs.log_group"), groups);
    }
    const API_GATEWAY: &[(&str, Field)] = &[
        ("rest_api_id", field!("aws.api_gateway.rest_api_id" <- "aws.api_gateway.rest_api_id")),
        ("stage", field!("aws.api_gateway.stage" <- "aws.api_gateway.stage")),
    ];
    const EC2: &[(&str, Field)] = &[
        ("instance_id", field!("cloud.instance.id" <- "aws.ec2.instance_id")),
        ("instance_size", field!("cloud.machine.type" <- "aws.ec2.instance_size")),
        ("ami_id", field!("host.image.id" <- "aws.ec2.ami_id")),
        ("availability_zone", field!("cloud.availability_zone" <- "aws.ec2.availability_zone")),
    ];
    const ECS: &[(&str, Field)] = &[("container", field!("container.name" <- "aws.ecs.container"))];
    const EKS: &[(&str, Field)] = &[
        ("cluster_name", field!("orchestrator.cluster.name" <- "aws.eks.cluster_name")),
        ("pod", field!("orchestrator.resource.name" <- "aws.eks.pod")),
    ];
    const XRAY: &[(&str, Field)] = &[
        ("sdk", field!("xray.sdk.name" <- "aws.xray.sdk")),
        ("sdk_version", field!("xray.sdk.version" <- "aws.xray.sdk_version")),
        ("sampling_rule_name", field!("xray.sampling_rule" <- "aws.xray.sampling_rule_name")),
    ];
    const BEANSTALK: &[(&str, Field)] =
        &[("environment_name", field!("service.environment" <- "aws.elastic_beanstalk.environment_name"))];
    if let Some(gateway) = group(body, "dropped:aws.api_gateway", aws.api_gateway, API_GATEWAY) {
        // What it says is a field of the whole segment's.
        body.read_text("dropped:aws.api_gateway.account_id", gateway.get("account_id"));
    }
    group(body, "dropped:aws.ec2", aws.ec2, EC2);
    group(body, "dropped:aws.xray", aws.xray, XRAY);
    group(body, "dropped:aws.elastic_beanstalk", aws.elastic_beanstalk, BEANSTALK);
    let ecs = group(body, "dropped:aws.ecs", aws.ecs, ECS);
    let eks = group(body, "dropped:aws.eks", aws.eks, EKS);
    if ecs.is_some() || eks.is_some() {
        let ids = [
            ("dropped:aws.ecs.container_id", ecs.and_then(|ecs| ecs.get("container_id"))),
            ("dropped:aws.eks.container_id", eks.and_then(|eks| eks.get("container_id"))),
        ];
        body.first(key!("container.id"), &ids);
    }
    if aws.unknown > 0 {
        extra(body, object);
    }
}

/// Text members of an object within `aws`.
fn group<'t>(
    body: &mut Body<'_>,
    dropped: &'static str,
    object: Option<Value<'t>>,
    fields: &[(&str, Field)],
) -> Option<Value<'t>> {
    let object = body.read_object(dropped, object)?;
    for (key, field) in fields {
        body.text(*field, object.get(key));
    }
    Some(object)
}

/// The members of `aws` that nothing here reads.
fn extra(body: &mut Body<'_>, aws: Value<'_>) {
    let mut is_open = false;
    for (key, value) in Distinct::new(aws).filter(|(key, value)| !Aws::knows(key) && !value.is_null()) {
        body.raw(if is_open { b"," } else { key!("aws.extra").as_bytes() });
        if !std::mem::replace(&mut is_open, true) {
            body.out.push(b'{');
        }
        writer::string(body.out, key);
        body.out.push(b':');
        stored::write(body.out, value);
    }
    if is_open {
        body.out.push(b'}');
    }
}

/// What a call is about: of several the first.
fn resource(aws: &Aws<'_>) -> Option<String> {
    let text = |value: Option<Value<'_>>| coerce::text(value?).ok().flatten().map(Cow::into_owned);
    let after = |value, mark| text(value).map(|text| text.rsplit(mark).next().unwrap_or_default().to_owned());
    aws.resource_names
        .and_then(|names| names.elements().find_map(|name| text(Some(name))))
        .or_else(|| text(aws.table_name))
        .or_else(|| text(aws.bucket_name))
        .or_else(|| after(aws.function_name, ':'))
        .or_else(|| after(aws.queue_url, '/'))
        .or_else(|| after(aws.topic_arn, ':'))
        .filter(|resource| !resource.is_empty())
}

fn starts_execution(operation: Option<Value<'_>>) -> bool {
    matches!(operation.map(Value::shape), Some(Shape::Text("StartExecution" | "StartSyncExecution")))
}

fn is_text(value: Option<Value<'_>>, text: &str) -> bool {
    value.is_some_and(|value| value.shape() == Shape::Text(text))
}
