//! The documents of the samples, as they go to an index.

use std::collections::BTreeMap;
use std::fs;

use rayline::setup::kibana::chart::Index;
use serde_json::Value;

use super::counts::{Document, Documents};
use crate::harness::workspace;

/// One version of a document.
pub struct Golden {
    pub index: Index,
    pub id: String,
    pub version: u64,
    pub body: Document,
}

/// Every version of every document in `tests/golden`.
pub fn documents() -> Vec<Golden> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(workspace("tests/golden")).expect("golden documents") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let Some(body) = line["body"].as_object() else { continue };
            documents.push(Golden {
                index: match line["kind"].as_str() {
                    Some("execution") => Index::Executions,
                    Some("trace") => Index::Traces,
                    _ => Index::Spans,
                },
                id: line["id"].as_str().expect("an id").to_owned(),
                version: line["version"].as_u64().expect("a version"),
                body: body.clone(),
            });
        }
    }
    documents
}

/// The last version of each: what an index holds in the end.
pub fn latest(documents: &[Golden]) -> Documents {
    let mut last: BTreeMap<(Index, &str), &Golden> = BTreeMap::new();
    for document in documents {
        let kept = last.entry((document.index, &document.id)).or_insert(document);
        if document.version >= kept.version {
            *kept = document;
        }
    }
    let mut latest = Documents::new();
    for ((index, _), document) in last {
        latest.entry(index).or_default().push(document.body.clone());
    }
    latest
}
