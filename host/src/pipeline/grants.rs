//! What a binding can be bound to: one type for each capability, read from `grants.NAME`.
//!
//! A new capability is one more variant and one more reader here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Capability;
use super::diagnostic::Diagnostic;
use super::document::{Node, Report, Value};
use super::fields::{Fields, Key, string, wrong_type};
use super::parse::resolve;

/// What one binding of one stage is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// For the capability `queue`.
    Queue(QueueGrant),
    /// For the capability `objects`.
    Objects(ObjectsGrant),
    /// For the capability `console`.
    Console,
}

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

/// `"file:FOLDER"` or `{ url }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectsGrant {
    /// A folder.
    pub path: PathBuf,
}

const QUEUE_KEYS: &[Key] = &[
    Key { name: "url", example: "\"file:inbox.queue\"" },
    Key { name: "visibility_secs", example: "30" },
    Key { name: "max_hold_secs", example: "43_200" },
];
const OBJECTS_KEYS: &[Key] = &[Key { name: "url", example: "\"file:archive\"" }];

/// The shortest right value of a grant, as one writes it.
pub(super) fn example(capability: Capability) -> &'static str {
    match capability {
        Capability::Queue => "\"file:inbox.queue\"",
        Capability::Objects => "\"file:archive\"",
        Capability::Console => "\"stdout\"",
    }
}

/// Reads `grants.NAME` for a binding of this capability.
pub(super) fn read(
    capability: Capability,
    field: &str,
    node: &Node,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<Grant> {
    match capability {
        Capability::Queue => queue(field, node, folder, report).map(Grant::Queue),
        Capability::Objects => objects(field, node, folder, report).map(Grant::Objects),
        Capability::Console => console(field, node, report).map(|()| Grant::Console),
    }
}

/// Reads an `objects` grant.
pub(super) fn objects(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<ObjectsGrant> {
    let table = table(Capability::Objects, field, node, OBJECTS_KEYS, report)?;
    let path = file(Capability::Objects, field, node, table.as_ref(), folder, report)?;
    Some(ObjectsGrant { path })
}

fn queue(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<QueueGrant> {
    let table = table(Capability::Queue, field, node, QUEUE_KEYS, report)?;
    let path = file(Capability::Queue, field, node, table.as_ref(), folder, report);
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

fn console(field: &str, node: &Node, report: &mut Report<'_>) -> Option<()> {
    let example = example(Capability::Console);
    let word = string(field, node, example, report)?;
    if word.text != "stdout" {
        let message = format!("{} is no console grant; there is only \"stdout\"", report.quote(&node.span));
        report.add(Diagnostic::new(field, node.span.clone(), message).write(node.span.clone(), example));
        return None;
    }
    Some(())
}

/// The grant's fields, if it is a table; `Some(None)` if it is a string.
fn table<'n>(
    capability: Capability,
    field: &str,
    node: &'n Node,
    keys: &'static [Key],
    report: &mut Report<'_>,
) -> Option<Option<Fields<'n>>> {
    match &node.value {
        Value::String(_) => Some(None),
        Value::Table(_) => Fields::open(field.to_owned(), node, keys, report).map(Some),
        _ => {
            wrong_type(field, node, "a string or a table with `url`", example(capability), report);
            None
        }
    }
}

/// The path of the grant's `file:` URL.
fn file(
    capability: Capability,
    field: &str,
    node: &Node,
    table: Option<&Fields<'_>>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let (field, url) = match table {
        None => (field.to_owned(), node),
        Some(table) => match table.node("url") {
            Some(url) => (table.field("url"), url),
            None => {
                if table.is_missing("url") {
                    let diagnostic = Diagnostic::new(field, node.span.clone(), "`url` is missing");
                    report.add(diagnostic.add_key(report.text, node, "url", "url", example(capability)));
                }
                return None;
            }
        },
    };
    let word = string(&field, url, example(capability), report)?;
    match word.text.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        Some(path) if !path.is_empty() => return Some(resolve(folder, path)),
        _ => {}
    }
    let quoted = report.quote(&url.span).to_owned();
    let message = format!("{quoted} is no address of {}; this version supports `file:`", with_article(capability));
    let diagnostic = Diagnostic::new(field, url.span.clone(), message);
    let is_path = !word.text.contains(':') && quoted.len() > 2;
    report.add(match quoted.split_at_checked(1) {
        Some((quote, rest)) if is_path => diagnostic.write(url.span.clone(), format!("{quote}file:{rest}")),
        _ => diagnostic.write(url.span.clone(), example(capability)),
    });
    None
}

fn with_article(capability: Capability) -> &'static str {
    match capability {
        Capability::Queue => "a queue",
        Capability::Objects => "an object store",
        Capability::Console => "a console",
    }
}
