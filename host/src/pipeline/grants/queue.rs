//! The grant of a queue.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sqs::{self, SqsGrant};
use super::{file, no_address, table, url};
use crate::pipeline::Capability;
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report};
use crate::pipeline::fields::{Fields, Key};

/// Which queue: `"file:PATH"`, `"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"`, or a table with one of them as `url`.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueGrant {
    /// An embedded one.
    File(FileQueueGrant),
    /// Amazon SQS, or what speaks like it.
    Sqs(Box<SqsGrant>),
}

/// `"file:PATH"` or `{ url, visibility_secs, max_hold_secs }`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileQueueGrant {
    /// The file.
    pub path: PathBuf,
    /// How long a received message stays invisible unless its holder says again that it has it. Default 30 s.
    pub visibility: Duration,
    /// How long a message may stay received altogether before it goes back. Default 12 hours, as with SQS.
    pub max_hold: Duration,
}

impl FileQueueGrant {
    /// With the default times.
    pub fn at(path: PathBuf) -> FileQueueGrant {
        FileQueueGrant { path, visibility: Duration::from_secs(30), max_hold: LONGEST_HOLD }
    }
}

/// As the pipeline file has it.
impl fmt::Display for QueueGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueGrant::File(FileQueueGrant { path, .. }) => path.display().fmt(f),
            QueueGrant::Sqs(grant) => f.write_str(&grant.url),
        }
    }
}

/// The longest that SQS keeps a message from others.
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(43_200);

const KEYS: &[Key] = &[
    Key { name: "url", example: "\"file:inbox.queue\"" },
    Key { name: "visibility_secs", example: "30" },
    Key { name: "max_hold_secs", example: "43_200" },
    Key { name: "region", example: "\"eu-west-1\"" },
    Key { name: "role_arn", example: "\"arn:aws:iam::111122223333:role/rayline\"" },
    Key { name: "external_id", example: "\"my-external-id\"" },
    Key { name: "claim_check", example: "\"s3://my-bucket/payloads\"" },
    Key { name: "accounts", example: "{ AROAEXAMPLE = \"111122223333\" }" },
];

/// What an embedded queue has too.
const OF_EVERY_QUEUE: [&str; 3] = ["url", "visibility_secs", "max_hold_secs"];

/// Reads a `queue` grant.
pub(super) fn read(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<QueueGrant> {
    let table = table(Capability::Queue, field, node, KEYS, report)?;
    let url = url(Capability::Queue, field, node, table.as_ref(), report)?;
    if url.word.text.starts_with("https:") || url.word.text.starts_with("http:") {
        return sqs::read(&url, table.as_ref(), folder, report).map(Box::new).map(QueueGrant::Sqs);
    }
    let Some(path) = file(&url.word, folder) else {
        no_address(Capability::Queue, &url, report);
        return None;
    };
    let mut grant = FileQueueGrant::at(path);
    if let Some(table) = &table {
        only_sqs(table, report);
        let given = table.secs("visibility_secs", 0.1..=LONGEST_HOLD.as_secs_f64(), report);
        let longest = table.secs("max_hold_secs", 0.1..=LONGEST_HOLD.as_secs_f64(), report);
        grant.visibility = given.or(longest.map(|longest| longest.min(grant.visibility))).unwrap_or(grant.visibility);
        grant.max_hold = longest.unwrap_or(grant.max_hold);
        hold_at_least(grant.visibility, grant.max_hold, table, report);
    }
    Some(QueueGrant::File(grant))
}

/// Reports a message that would be given back before it is visible again by itself.
pub(super) fn hold_at_least(visibility: Duration, max_hold: Duration, table: &Fields<'_>, report: &mut Report<'_>) {
    if let Some(node) = table.node("max_hold_secs")
        && max_hold < visibility
    {
        let message = "this is less than `visibility_secs`";
        let diagnostic = Diagnostic::new(table.field("max_hold_secs"), node.span.clone(), message);
        report.add(diagnostic.write(node.span.clone(), visibility.as_secs_f64().to_string()));
    }
}

/// Reports the keys that a file cannot have.
fn only_sqs(table: &Fields<'_>, report: &mut Report<'_>) {
    let keys = KEYS.iter().filter(|key| !OF_EVERY_QUEUE.contains(&key.name));
    for entry in keys.filter_map(|key| table.table.entry(key.name)) {
        let message = "only a queue of SQS has this key, a file has none of it";
        let diagnostic = Diagnostic::new(table.field(&entry.key), entry.key_span.clone(), message);
        report.add(diagnostic.remove_key(report.text, table.table, entry, ""));
    }
}
