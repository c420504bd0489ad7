//! An index that takes external versions, as Elasticsearch's `external_gte` does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::reference::{Document, Kind, Micros};

/// By index and `_id`: version and document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index(pub BTreeMap<(String, String), (u64, Map<String, Value>)>);

impl Index {
    /// Takes a document unless a later version of it is there.
    pub fn write(&mut self, document: &Document) {
        let place = (index_of(document.kind, document.time_ns), document.id.clone());
        if self.0.get(&place).is_none_or(|(version, _)| document.version >= *version) {
            self.0.insert(place, (document.version, document.body.clone()));
        }
    }

    pub fn write_all<'a>(&mut self, documents: impl IntoIterator<Item = &'a Document>) {
        documents.into_iter().for_each(|document| self.write(document));
    }
}

/// `xray-executions-2026.10`
fn index_of(kind: Kind, time_ns: u64) -> String {
    let kind = match kind {
        Kind::Execution => "executions",
        Kind::Trace => "traces",
        Kind::Segment | Kind::Subsegment => "spans",
    };
    let time = Micros((time_ns / 1000) as i64);
    format!("xray-{kind}-{}", time.format("%Y.%m"))
}
