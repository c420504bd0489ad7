//! Policies by which a server deletes indices by itself: index lifecycle management (Elasticsearch), index state
//! management (OpenSearch; Amazon's Elasticsearch has it by its older name).

use serde_json::{Value, json};

use super::mapping::Index;
use super::template::Resource;

/// An index is as old as its first document, and its last one comes up to a month later.
const MONTH_DAYS: u32 = 31;

/// Which kind of policies a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policies {
    /// Index lifecycle management.
    Lifecycle,
    /// Index state management, at this path.
    State(&'static str),
}

impl Policies {
    /// Of OpenSearch.
    pub const PLUGINS: Policies = Policies::State("/_plugins/_ism");
    /// Of Amazon's Elasticsearch 7.
    pub const OPENDISTRO: Policies = Policies::State("/_opendistro/_ism");

    /// The policy that keeps every document for so many days at least. It has the indices' prefix for its name.
    pub fn policy(self, prefix: &str, days: u32) -> Resource {
        let age = format!("{}d", days.saturating_add(MONTH_DAYS));
        match self {
            Policies::Lifecycle => Resource {
                title: format!("lifecycle policy {prefix}"),
                path: format!("/_ilm/policy/{prefix}"),
                body: json!({"policy": {"phases": {"delete": {"min_age": age, "actions": {"delete": {}}}}}}),
                place: format!("/{prefix}"),
            },
            Policies::State(path) => Resource {
                title: format!("state policy {prefix}"),
                path: format!("{path}/policies/{prefix}"),
                body: json!({"policy": {
                    "description": "Deletes old X-Ray indices",
                    "default_state": "kept",
                    "states": [
                        {"name": "kept", "actions": [], "transitions": [
                            {"state_name": "deleted", "conditions": {"min_index_age": age}},
                        ]},
                        {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
                    ],
                    "ism_template": [{"index_patterns": Index::ALL.map(|index| index.pattern(prefix)), "priority": 100}],
                }}),
                place: String::new(),
            },
        }
    }

    /// What makes indices that are already there follow the policy: methods, paths and bodies, to be sent in this order.
    pub fn adoption(self, prefix: &str) -> Vec<(http::Method, String, Value)> {
        let patterns = Index::ALL.map(|index| index.pattern(prefix)).join(",");
        match self {
            Policies::Lifecycle => vec![(
                http::Method::PUT,
                format!("/{patterns}/_settings"),
                json!({"index": {"lifecycle": lifecycle(prefix)}}),
            )],
            // An index keeps the policy as it was when it got it. The first is for those that have none, and refuses all
            // others; the second gives those what the policy says now.
            Policies::State(path) => ["add", "change_policy"]
                .map(|verb| (http::Method::POST, format!("{path}/{verb}/{patterns}"), json!({"policy_id": prefix})))
                .into(),
        }
    }
}

/// The indices for which the last request of an adoption came to nothing, each with the server's reason. It answers 200
/// for these too.
pub fn left_out(answer: &Value) -> Vec<String> {
    let indices = answer.get("failed_indices").and_then(Value::as_array);
    let text = |index: &Value, name: &str| index.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let line = |index| format!("{} ({})", text(index, "index_name"), text(index, "reason"));
    indices.into_iter().flatten().map(line).collect()
}

/// The setting by which an index follows the lifecycle policy.
pub fn lifecycle(prefix: &str) -> Value {
    json!({"name": prefix})
}
