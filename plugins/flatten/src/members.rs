//! The members that are read of each kind of object. All rules on which source field is known stand here.

use crate::json::Value;

/// A struct with a slot for each known member, filled in one pass. Of a repeated key the last counts; null is absent.
macro_rules! members {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $key:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default)]
        pub struct $name<'t> {
            $(pub $field: Option<Value<'t>>,)*
            /// How many members have other keys.
            pub unknown: u32,
        }

        impl<'t> $name<'t> {
            /// Reads an object; anything else has no members.
            pub fn read(object: Value<'t>) -> Self {
                let mut read = Self::default();
                for (key, value) in object.members() {
                    let slot = match key.as_bytes() {
                        $($key => &mut read.$field,)*
                        _ => {
                            read.unknown += 1;
                            continue;
                        }
                    };
                    *slot = (!value.is_null()).then_some(value);
                }
                read
            }

            /// Whether the key is one of those that have a slot.
            #[allow(dead_code, reason = "only objects whose other members are kept ask")]
            pub fn knows(key: &str) -> bool {
                matches!(key.as_bytes(), $($key)|*)
            }
        }
    };
}

members! {
    /// The outermost object of a message.
    Message {
        schema: b"schema", trace: b"trace", account: b"account", account_id: b"account_id",
        account_id_camel: b"accountId", region: b"region", collected_at: b"collected_at",
        discovered_at: b"discovered_at", verdict: b"verdict", execution: b"execution", executions: b"executions",
    }
}

members! {
    /// One trace of BatchGetTraces.
    Trace { id: b"Id", duration: b"Duration", limit_exceeded: b"LimitExceeded", segments: b"Segments" }
}

members! {
    /// A segment or subsegment.
    Node {
        id: b"id", name: b"name", trace_id: b"trace_id", parent_id: b"parent_id", start_time: b"start_time",
        end_time: b"end_time", in_progress: b"in_progress", kind: b"type", namespace: b"namespace",
        origin: b"origin", resource_arn: b"resource_arn", inferred: b"inferred", fault: b"fault", error: b"error",
        throttle: b"throttle", http: b"http", aws: b"aws", cause: b"cause", annotations: b"annotations",
        metadata: b"metadata", sql: b"sql", service: b"service", user: b"user", links: b"links",
        precursor_ids: b"precursor_ids", subsegments: b"subsegments",
    }
}

members! {
    /// What `aws` holds. A member without a slot goes to `aws.extra`.
    Aws {
        account_id: b"account_id", region: b"region", resource_arn: b"resource_arn",
        function_arn: b"function_arn", operation: b"operation", request_id: b"request_id",
        table_name: b"table_name", queue_url: b"queue_url", bucket_name: b"bucket_name", key: b"key",
        topic_arn: b"topic_arn", function_name: b"function_name", function_error: b"function_error",
        index_name: b"index_name", message_id: b"message_id", retries: b"retries", status_code: b"status_code",
        resource_names: b"resource_names", cloudwatch_logs: b"cloudwatch_logs", api_gateway: b"api_gateway",
        ec2: b"ec2", ecs: b"ecs", eks: b"eks", elastic_beanstalk: b"elastic_beanstalk", xray: b"xray",
    }
}

members! {
    /// `http`.
    Http { request: b"request", response: b"response" }
}

members! {
    /// `http.request` and `http.response`.
    HttpSide {
        method: b"method", url: b"url", client_ip: b"client_ip", user_agent: b"user_agent", status: b"status",
        content_length: b"content_length",
    }
}

members! {
    /// `sql`.
    Sql { sanitized_query: b"sanitized_query", database_type: b"database_type", user: b"user", url: b"url" }
}

members! {
    /// `cause`, where it is an object.
    Cause { message: b"message", exceptions: b"exceptions" }
}

members! {
    /// One of `cause.exceptions`.
    Exception { id: b"id", kind: b"type", message: b"message", stack: b"stack" }
}

members! {
    /// A frame of an exception's stack.
    Frame { label: b"label", path: b"path", line: b"line" }
}

members! {
    /// What DescribeExecution or the detail of a status event says.
    Execution {
        arn: b"executionArn", state_machine_arn: b"stateMachineArn", name: b"name", status: b"status",
        start: b"startDate", stop: b"stopDate", input: b"input", input_details: b"inputDetails",
        output: b"output", output_details: b"outputDetails", error: b"error", cause: b"cause",
        trace_header: b"traceHeader", version_arn: b"stateMachineVersionArn",
        alias_arn: b"stateMachineAliasArn", redrive_count: b"redriveCount",
    }
}
