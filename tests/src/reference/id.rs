//! Ids, times of the index, versions: section 7.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Document;
use super::common::Source;
use super::input::Message;
use super::node::Node;
use super::time::Micros;

/// A document before its id is known to be its own.
pub struct Draft {
    pub document: Document,
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    pub name: Option<String>,
}

/// Numbers the documents of one id, and shortens long ids.
pub fn number(drafts: Vec<Draft>) -> Vec<Document> {
    let mut by_id: BTreeMap<String, Vec<Draft>> = BTreeMap::new();
    for draft in drafts {
        by_id.entry(draft.document.id.clone()).or_default().push(draft);
    }
    let mut documents = Vec::new();
    for mut drafts in by_id.into_values() {
        drafts.sort_by(|a, b| a.order().cmp(&b.order()));
        for (index, Draft { mut document, .. }) in drafts.into_iter().enumerate() {
            if index > 0 {
                document.id += &format!(":{}", index + 1);
            }
            if document.id.len() > 512 {
                document.id = sha256(document.id.as_bytes());
            }
            documents.push(document);
        }
    }
    documents
}

impl Draft {
    fn order(&self) -> impl Ord + use<'_> {
        (self.start, &self.name, self.end, self.document.kind)
    }
}

pub fn of_node(source: &Source, node: &Node) -> String {
    let trace_id = trace_part(source.input.payload, node.trace_id.as_deref());
    match &node.id {
        Some(id) => format!("{trace_id}:{id}"),
        None => {
            let parent = parent_id(source.message, node).unwrap_or_default();
            let name = node.name.as_deref().unwrap_or_default();
            let start = node.start.map(|start| start.0.to_string()).unwrap_or_default();
            let hash = sha256(format!("{parent}\n{name}\n{start}").as_bytes());
            format!("{trace_id}:{}", &hash[..16])
        }
    }
}

pub fn of_trace(payload: &[u8], account: Option<&str>, region: Option<&str>, trace_id: Option<&str>) -> String {
    let trace_id = trace_part(payload, trace_id);
    format!("{}:{}:{trace_id}", account.unwrap_or_default(), region.unwrap_or_default())
}

/// The trace id, or what stands in for it.
fn trace_part(payload: &[u8], trace_id: Option<&str>) -> String {
    trace_id.map(str::to_owned).unwrap_or_else(|| sha256(payload)[..32].to_owned())
}

/// The enclosing node's id; of an outermost node its `parent_id`.
pub fn parent_id(message: &Message, node: &Node) -> Option<String> {
    match node.enclosing {
        Some(enclosing) => message.nodes[enclosing].id.clone(),
        None => node.parent_id(),
    }
}

/// The time by which a node or trace finds its index: the epoch in its trace id if within 31 days of `@timestamp`.
pub fn index_time(trace_id: Option<&str>, timestamp: Micros) -> Micros {
    const DAYS_31: u64 = 31 * 86_400 * 1_000_000;
    trace_id.and_then(epoch).filter(|epoch| epoch.0.abs_diff(timestamp.0) <= DAYS_31).unwrap_or(timestamp)
}

/// The seconds in `1-8hex-24hex`.
pub fn epoch(trace_id: &str) -> Option<Micros> {
    w3c_id(trace_id)?;
    let seconds = i64::from_str_radix(trace_id.strip_prefix("1-")?.split('-').next()?, 16).ok()?;
    Micros::new(seconds * 1_000_000)
}

/// The 32 hexadecimal digits of `1-8hex-24hex` or 32hex.
pub fn w3c_id(trace_id: &str) -> Option<String> {
    let digits = match trace_id.strip_prefix("1-") {
        Some(rest) => {
            let (epoch, random) =
                rest.split_once('-').filter(|(epoch, random)| epoch.len() == 8 && random.len() == 24)?;
            format!("{epoch}{random}")
        }
        None => trace_id.to_owned(),
    };
    let hexadecimal = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| digits.to_ascii_lowercase())
}

/// `t`: milliseconds, 43 bits. Without a trace that of all together, and `last` where they have no time.
pub fn version_time(message: &Message, trace: Option<usize>, last: Option<Micros>) -> u64 {
    let nodes =
        || message.documented().map(|(_, node)| node).filter(|node| trace.is_none_or(|trace| trace == node.trace));
    let latest = nodes().filter_map(|node| node.end).max().or_else(|| nodes().filter_map(|node| node.start).max());
    let latest = message.collected_at().or(latest).or(last);
    (latest.map_or(0, Micros::millis) as u64).min((1 << 43) - 1)
}

pub fn node_version(t: u64, node: &Node) -> u64 {
    u64::from(node.end.is_some()) << 43 | t
}

/// Lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
