//! Where an `elasticsearch-sink` writes, as its stage says.

use crate::pipeline::{Grant, HttpGrant, PluginRef, Stage};

/// What the indices' names begin with where `index_prefix` says nothing else.
pub const DEFAULT_PREFIX: &str = "xray";

/// The indices of one stage.
#[derive(Clone, Debug)]
pub struct Indices {
    /// The stage's name.
    pub stage: String,
    /// The servers.
    pub grant: HttpGrant,
    /// What the indices' names begin with.
    pub prefix: String,
}

impl Indices {
    /// Of a stage with the shipped `elasticsearch-sink`, which alone is known to have these indices.
    pub fn of(stage: &Stage) -> Option<Indices> {
        let PluginRef::Shipped(name) = &stage.plugin else { return None };
        let Some(Grant::Http(grant)) = stage.grants.get("http").filter(|_| name == "elasticsearch-sink") else {
            return None;
        };
        let prefix = stage.options.get("index_prefix").and_then(|prefix| prefix.as_str()).unwrap_or(DEFAULT_PREFIX);
        Some(Indices { stage: stage.name.clone(), grant: grant.clone(), prefix: prefix.to_owned() })
    }
}
