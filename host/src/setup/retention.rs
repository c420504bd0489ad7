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

    /// What makes indices that are already there follow the policy: method, path and body.
    pub fn adoption(self, prefix: &str) -> (http::Method, String, Value) {
        let patterns = Index::ALL.map(|index| index.pattern(prefix)).join(",");
        match self {
            Policies::Lifecycle => (
                http::Method::PUT,
                format!("/{patterns}/_settings"),
                json!({"index": {"lifecycle": lifecycle(prefix)}}),
            ),
            Policies::State(path) => {
                (http::Method::POST, format!("{path}/add/{patterns}"), json!({"policy_id": prefix}))
            }
        }
    }
}

/// The setting by which an index follows the lifecycle policy.
pub fn lifecycle(prefix: &str) -> Value {
    json!({"name": prefix})
}
