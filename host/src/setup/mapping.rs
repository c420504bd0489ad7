//! The fields of the three indices and their types, as `docs/documents.md` gives them.

use serde_json::{Map, Value, json};

/// Which index a document is in. Each is one index a month, `PREFIX-executions-YYYY.MM` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One document for each execution.
    Executions,
    /// One document for each trace.
    Traces,
    /// Segments and subsegments.
    Spans,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text that is found as a whole, unless it has more characters than this. Documents hold it in any case.
    Keyword(u32),
    /// RFC 3339.
    Date,
    /// `true` or `false`.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// An IP address.
    Ip,
    /// A text whose words are found.
    Text,
    /// A text that is shown and not found.
    StoredText,
    /// An object that is shown and not found.
    StoredObject,
    /// An object whose members are found, on servers that have a type for it; see [`Annotations`].
    Annotations,
}

/// The type that a server has for an object with any members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotations {
    /// Elasticsearch from 7.3.
    Flattened,
    /// OpenSearch from 2.7.
    FlatObject,
    /// All others: shown and not found.
    Stored,
}

/// A field's name, with dots, and its type.
pub type Field = (&'static str, Kind);

/// Below 32,766 bytes in any script: a longer term would make the server refuse the document.
const WORD: Kind = Kind::Keyword(1024);

/// Of documents in every index.
pub const EVERY: &[Field] = &[
    ("@timestamp", Kind::Date),
    ("cloud.account.id", WORD),
    ("cloud.provider", WORD),
    ("cloud.region", WORD),
    ("doc.kind", WORD),
    ("duration_ms", Kind::Double),
    ("ecs.version", WORD),
    ("event.duration", Kind::Long),
    ("event.end", Kind::Date),
    ("event.outcome", WORD),
    ("event.start", Kind::Date),
    ("service.name", Kind::Keyword(256)),
    ("trace.id", WORD),
    ("trace.w3c_id", WORD),
    ("user.id", WORD),
    ("xray.annotation_kv", WORD),
    ("xray.collected_at", Kind::Date),
    ("xray.collector.account.id", WORD),
    ("xray.collector.account.verified", Kind::Boolean),
    ("xray.collector.region", WORD),
    ("xray.lag_ms", Kind::Long),
    ("xray.parse.warnings", WORD),
    ("xray.raw.sha256", WORD),
    ("xray.schema_version", Kind::Integer),
    ("xray.verdict", WORD),
];

/// Of executions and of traces: what is counted over their nodes.
const COUNTED: &[Field] = &[
    ("errors", Kind::Integer),
    ("execution.arn", WORD),
    ("faults", Kind::Integer),
    ("segments.count", Kind::Integer),
    ("service_calls", Kind::Integer),
    ("service_resources", WORD),
    ("services", WORD),
    ("subsegments.count", Kind::Integer),
    ("throttles", Kind::Integer),
    ("xray.limit_exceeded", Kind::Boolean),
    ("xray.partial", Kind::Boolean),
];

const EXECUTIONS: &[Field] = &[
    ("execution.cause", Kind::Text),
    ("execution.date", WORD),
    ("execution.error", Kind::Keyword(256)),
    ("execution.input", Kind::StoredText),
    ("execution.input_bytes", Kind::Long),
    ("execution.input_included", Kind::Boolean),
    ("execution.input_truncated", Kind::Boolean),
    ("execution.name", WORD),
    ("execution.output", Kind::StoredText),
    ("execution.output_bytes", Kind::Long),
    ("execution.output_included", Kind::Boolean),
    ("execution.output_truncated", Kind::Boolean),
    ("execution.parent_arn", WORD),
    ("execution.redrive_count", Kind::Integer),
    ("execution.start", Kind::Date),
    ("execution.state_machine.alias_arn", WORD),
    ("execution.state_machine.arn", WORD),
    ("execution.state_machine.name", WORD),
    ("execution.state_machine.version_arn", WORD),
    ("execution.status", WORD),
    ("execution.status_source", WORD),
    ("execution.stop", Kind::Date),
    ("execution.type", WORD),
    ("states.count", Kind::Integer),
    ("states.failed", Kind::Integer),
];

const TRACES: &[Field] = &[
    ("trace.root.found", Kind::Boolean),
    ("trace.root.name", WORD),
    ("trace.root.origin", WORD),
    ("xray.unparsed_segments", Kind::Integer),
];

const SPANS: &[Field] = &[
    ("aws.api_gateway.rest_api_id", WORD),
    ("aws.api_gateway.stage", WORD),
    ("aws.bucket_name", WORD),
    ("aws.extra", Kind::StoredObject),
    ("aws.function_arn", WORD),
    ("aws.function_error", WORD),
    ("aws.function_name", WORD),
    ("aws.index_name", WORD),
    ("aws.key", WORD),
    ("aws.log_groups", WORD),
    ("aws.message_id", WORD),
    ("aws.operation", WORD),
    ("aws.queue_url", WORD),
    ("aws.request_id", WORD),
    ("aws.resource_names", WORD),
    ("aws.retries", Kind::Integer),
    ("aws.status_code", Kind::Integer),
    ("aws.table_name", WORD),
    ("aws.topic_arn", WORD),
    ("client.address", WORD),
    ("client.ip", Kind::Ip),
    ("cloud.availability_zone", WORD),
    ("cloud.instance.id", WORD),
    ("cloud.machine.type", WORD),
    ("container.id", WORD),
    ("container.name", WORD),
    ("db.name", WORD),
    ("db.statement", Kind::Keyword(2048)),
    ("db.type", WORD),
    ("db.user", WORD),
    ("error.id", WORD),
    ("error.message", Kind::Keyword(1024)),
    ("error.stack_trace", Kind::StoredText),
    ("error.type", Kind::Keyword(256)),
    ("faas.coldstart", Kind::Boolean),
    ("host.image.id", WORD),
    ("http.request.method", WORD),
    ("http.response.body.bytes", Kind::Long),
    ("http.response.status_code", Kind::Integer),
    ("orchestrator.cluster.name", WORD),
    ("orchestrator.resource.name", WORD),
    ("parent.id", WORD),
    ("service.environment", WORD),
    ("service.version", WORD),
    ("span.id", WORD),
    ("span.name", Kind::Keyword(256)),
    ("url.domain", Kind::Keyword(2048)),
    ("url.full", Kind::Keyword(2048)),
    ("url.path", Kind::Keyword(2048)),
    ("user_agent.original", Kind::Keyword(512)),
    ("xray.annotations", Kind::Annotations),
    ("xray.depth", Kind::Integer),
    ("xray.error", Kind::Boolean),
    ("xray.exceptions", Kind::StoredObject),
    ("xray.fault", Kind::Boolean),
    ("xray.in_progress", Kind::Boolean),
    ("xray.incomplete", Kind::Boolean),
    ("xray.inferred", Kind::Boolean),
    ("xray.links.id", WORD),
    ("xray.links.trace_id", WORD),
    ("xray.metadata", Kind::StoredObject),
    ("xray.namespace", WORD),
    ("xray.origin", WORD),
    ("xray.path", Kind::Keyword(1024)),
    ("xray.precursor_ids", WORD),
    ("xray.resource_arn", WORD),
    ("xray.sampling_rule", WORD),
    ("xray.sdk.name", WORD),
    ("xray.sdk.version", WORD),
    ("xray.segment.id", WORD),
    ("xray.target.account.id", WORD),
    ("xray.target.name", WORD),
    ("xray.target.operation", WORD),
    ("xray.target.region", WORD),
    ("xray.throttle", Kind::Boolean),
    ("xray.type", WORD),
];

impl Index {
    /// All of them.
    pub const ALL: [Index; 3] = [Index::Executions, Index::Traces, Index::Spans];

    /// What comes before the month: `xray-executions`, where the sink's `index_prefix` is `xray`.
    pub fn name(self, prefix: &str) -> String {
        let family = match self {
            Index::Executions => "executions",
            Index::Traces => "traces",
            Index::Spans => "spans",
        };
        format!("{prefix}-{family}")
    }

    /// What matches every month's index.
    pub fn pattern(self, prefix: &str) -> String {
        format!("{}-*", self.name(prefix))
    }

    /// The fields that its documents have beside [`EVERY`].
    pub fn fields(self) -> impl Iterator<Item = Field> {
        let (counted, own) = match self {
            Index::Executions => (COUNTED, EXECUTIONS),
            Index::Traces => (COUNTED, TRACES),
            Index::Spans => (&[] as &[Field], SPANS),
        };
        counted.iter().chain(own).copied()
    }
}

impl Kind {
    fn definition(self, annotations: Annotations) -> Value {
        match self {
            Kind::Keyword(longest) => json!({"type": "keyword", "ignore_above": longest}),
            Kind::Date => json!({"type": "date"}),
            Kind::Boolean => json!({"type": "boolean"}),
            Kind::Integer => json!({"type": "integer"}),
            Kind::Long => json!({"type": "long"}),
            Kind::Double => json!({"type": "double"}),
            Kind::Ip => json!({"type": "ip"}),
            Kind::Text => json!({"type": "text"}),
            Kind::StoredText => json!({"type": "text", "index": false}),
            Kind::StoredObject => json!({"type": "object", "enabled": false}),
            Kind::Annotations => match annotations {
                Annotations::Flattened => json!({"type": "flattened", "ignore_above": 1024}),
                Annotations::FlatObject => json!({"type": "flat_object"}),
                Annotations::Stored => Kind::StoredObject.definition(annotations),
            },
        }
    }
}

/// The mapping of these fields, as a server takes it. Fields that it does not name are shown and not found.
pub fn mapping(fields: impl Iterator<Item = Field>, annotations: Annotations) -> Value {
    let mut properties = Map::new();
    for (name, kind) in fields {
        insert(&mut properties, name, kind.definition(annotations));
    }
    json!({"dynamic": false, "properties": properties})
}

/// Puts a field where its dotted name says: `a.b` is the property `b` of the object `a`.
fn insert(properties: &mut Map<String, Value>, name: &str, definition: Value) {
    let Some((object, rest)) = name.split_once('.') else {
        properties.insert(name.to_owned(), definition);
        return;
    };
    let object = properties.entry(object).or_insert_with(|| json!({"properties": {}}));
    if let Some(Value::Object(inner)) = object.get_mut("properties") {
        insert(inner, rest, definition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_become_objects() {
        let fields = [("a.b", Kind::Long), ("a.c.d", Kind::Ip), ("e", Kind::Annotations)];
        let expected = json!({"dynamic": false, "properties": {
            "a": {"properties": {"b": {"type": "long"}, "c": {"properties": {"d": {"type": "ip"}}}}},
            "e": {"type": "flat_object"},
        }});
        assert_eq!(mapping(fields.into_iter(), Annotations::FlatObject), expected);
    }

    #[test]
    fn no_field_is_named_twice_and_none_is_an_object_too() {
        for index in Index::ALL {
            let mut names: Vec<&str> = EVERY.iter().copied().chain(index.fields()).map(|(name, _)| name).collect();
            names.sort_unstable();
            for pair in names.windows(2) {
                assert_ne!(pair[0], pair[1]);
            }
            for name in &names {
                let members = format!("{name}.");
                assert!(!names.iter().any(|other| other.starts_with(&members)), "{name} is a field and an object");
            }
        }
    }
}
