//! The grant of a queue.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{file, no_address, table, url};
use crate::pipeline::Capability;
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report};
use crate::pipeline::fields::Key;

/// `"file:PATH"` or `{ url, visibility_secs, max_hold_secs }`.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueGrant {
    /// The file of an embedded queue.
    pub path: PathBuf,
    /// How long a received message stays invisible unless its holder says again that it has it. Default 30 s.
    pub visibility: Duration,
    /// How long a message may stay received altogether before it goes back. Default 12 hours, which is SQS's limit.
    pub max_hold: Duration,
}

const KEYS: &[Key] = &[
    Key { name: "url", example: "\"file:inbox.queue\"" },
    Key { name: "visibility_secs", example: "30" },
    Key { name: "max_hold_secs", example: "43_200" },
];

/// Reads a `queue` grant.
pub(super) fn read(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<QueueGrant> {
    let table = table(Capability::Queue, field, node, KEYS, report)?;
    let url = url(Capability::Queue, field, node, table.as_ref(), report);
    let path = url.and_then(|url| {
        let path = file(&url.word, folder);
        if path.is_none() {
            no_address(Capability::Queue, &url, report);
        }
        path
    });
    let mut visibility = Duration::from_secs(30);
    let mut max_hold = Duration::from_secs(43_200);
    if let Some(table) = table {
        let given = table.secs("visibility_secs", 0.1..=43_200.0, report);
        let longest = table.secs("max_hold_secs", 0.1..=43_200.0, report);
        visibility = given.unwrap_or(longest.map_or(visibility, |longest| visibility.min(longest)));
        max_hold = longest.unwrap_or(max_hold);
        if let Some(node) = table.node("max_hold_secs")
            && max_hold < visibility
        {
            let message = "this is less than `visibility_secs`";
            let diagnostic = Diagnostic::new(table.field("max_hold_secs"), node.span.clone(), message);
            report.add(diagnostic.write(node.span.clone(), visibility.as_secs_f64().to_string()));
        }
    }
    Some(QueueGrant { path: path?, visibility, max_hold })
}
