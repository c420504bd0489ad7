//! What a binding can be bound to: one type for each capability, read from `grants.NAME`.
//!
//! A new capability is one more variant here and one more file beside this one.

mod aws;
mod http;
mod objects;
mod queue;
mod secret;
mod sqs;
mod xray;

use std::path::{Path, PathBuf};

pub use self::aws::Aws;
pub use self::http::{Auth, HttpGrant};
pub use self::objects::{ObjectsGrant, S3Grant};
pub use self::queue::{FileQueueGrant, QueueGrant};
pub use self::secret::Secret;
pub use self::sqs::SqsGrant;
pub use self::xray::{Account, AccountsGrant, Endpoints, XrayGrant};
use super::Capability;
use super::diagnostic::Diagnostic;
use super::document::{Node, Report, Value};
use super::fields::{Fields, Key, Word, string, wrong_type};
use super::parse::resolve;

/// What one binding of one stage is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// For the capability `queue`.
    Queue(QueueGrant),
    /// For the capability `objects`.
    Objects(ObjectsGrant),
    /// For the capability `http`.
    Http(HttpGrant),
    /// For the capability `xray`.
    Xray(XrayGrant),
    /// For the capability `console`.
    Console,
}

impl Grant {
    /// What it is for.
    pub fn capability(&self) -> Capability {
        match self {
            Grant::Queue(_) => Capability::Queue,
            Grant::Objects(_) => Capability::Objects,
            Grant::Http(_) => Capability::Http,
            Grant::Xray(_) => Capability::Xray,
            Grant::Console => Capability::Console,
        }
    }

    /// Whether it is on this machine only.
    pub fn is_local(&self) -> bool {
        match self {
            Grant::Queue(queue) => matches!(queue, QueueGrant::File(_)),
            Grant::Objects(objects) => matches!(objects, ObjectsGrant::Folder(_)),
            Grant::Http(_) => false,
            Grant::Xray(xray) => matches!(xray, XrayGrant::Folder(_)),
            Grant::Console => true,
        }
    }
}

/// The shortest right value of a grant, as one writes it.
pub(super) fn example(capability: Capability) -> &'static str {
    match capability {
        Capability::Queue => "\"file:inbox.queue\"",
        Capability::Objects => "\"file:archive\"",
        Capability::Http => "\"https://search.example.com\"",
        Capability::Xray => "{ accounts = [{ id = \"111122223333\", regions = [\"eu-west-1\"] }] }",
        Capability::Console => "\"stdout\"",
    }
}

/// Reads `dead_letter.location`.
pub(super) use self::objects::read as read_objects;

/// Reads `grants.NAME` for a binding of this capability.
pub(super) fn read(
    capability: Capability,
    field: &str,
    node: &Node,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<Grant> {
    match capability {
        Capability::Queue => queue::read(field, node, folder, report).map(Grant::Queue),
        Capability::Objects => objects::read(field, node, folder, report).map(Grant::Objects),
        Capability::Http => http::read(field, node, folder, report).map(Grant::Http),
        Capability::Xray => xray::read(field, node, folder, report).map(Grant::Xray),
        Capability::Console => console(field, node, report).map(|()| Grant::Console),
    }
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

/// A grant's address and the key it stands at.
struct Url<'n> {
    field: String,
    word: Word<'n>,
}

/// The address of a grant: the string itself, or the table's `url`.
fn url<'n>(
    capability: Capability,
    field: &str,
    node: &'n Node,
    table: Option<&Fields<'n>>,
    report: &mut Report<'_>,
) -> Option<Url<'n>> {
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
    Some(Url { field, word })
}

/// The path of a `file:` address.
fn file(word: &Word<'_>, folder: &Path) -> Option<PathBuf> {
    let path = word.text.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then(|| resolve(folder, path))
}

/// Reports an address of none of the forms that the capability has.
fn no_address(capability: Capability, url: &Url<'_>, report: &mut Report<'_>) {
    let span = || url.word.span.clone();
    let quoted = report.quote(url.word.span).to_owned();
    let (article, schemes) = (with_article(capability), schemes(capability));
    let message = format!("{quoted} is no address of {article}; this version supports {schemes}");
    let diagnostic = Diagnostic::new(&url.field, span(), message);
    let is_path = !url.word.text.contains(':') && quoted.len() > 2;
    report.add(match quoted.split_at_checked(1) {
        Some((quote, rest)) if is_path => diagnostic.write(span(), format!("{quote}file:{rest}")),
        _ => diagnostic.write(span(), example(capability)),
    });
}

fn schemes(capability: Capability) -> &'static str {
    match capability {
        Capability::Objects => "`s3:` and `file:`",
        Capability::Queue => "`https:` and `file:`",
        Capability::Http => "`https:` and `http:`",
        Capability::Xray => "`file:`, and a table with `accounts`",
        Capability::Console => "`stdout`",
    }
}

fn with_article(capability: Capability) -> &'static str {
    match capability {
        Capability::Queue => "a queue",
        Capability::Objects => "an object store",
        Capability::Http => "a server",
        Capability::Xray => "recorded traces",
        Capability::Console => "a console",
    }
}
