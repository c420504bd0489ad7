//! The grant of a store of objects.

use std::path::{Path, PathBuf};

use super::{file, table};
use crate::pipeline::Capability;
use crate::pipeline::document::{Node, Report};
use crate::pipeline::fields::Key;

/// `"file:FOLDER"` or `{ url }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectsGrant {
    /// A folder.
    pub path: PathBuf,
}

const KEYS: &[Key] = &[Key { name: "url", example: "\"file:archive\"" }];

/// Reads an `objects` grant.
pub(in crate::pipeline) fn read(
    field: &str,
    node: &Node,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<ObjectsGrant> {
    let table = table(Capability::Objects, field, node, KEYS, report)?;
    let path = file(Capability::Objects, field, node, table.as_ref(), folder, report)?;
    Some(ObjectsGrant { path })
}
