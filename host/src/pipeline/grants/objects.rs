//! The grant of a store of objects.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;

use super::{Aws, aws, file, no_address, table, url};
use crate::pipeline::Capability;
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report};
use crate::pipeline::fields::{Fields, Key, Word};

/// Where objects are: `"file:FOLDER"`, `"s3://BUCKET/PREFIX"`, or a table with one of them as `url`.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectsGrant {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of Amazon S3, or of what speaks like it.
    S3(S3Grant),
}

/// `"s3://BUCKET/PREFIX"` or `{ url, region, endpoint_url, path_style, kms_key_id, role_arn, external_id }`.
#[derive(Clone, Debug, PartialEq)]
pub struct S3Grant {
    /// The bucket's name, or the alias of an access point.
    pub bucket: String,
    /// What every key begins with, before a `/`. Empty: the whole bucket.
    pub prefix: String,
    /// Another server than Amazon's own, such as `https://s3.example.com`.
    pub endpoint_url: Option<String>,
    /// Whether the bucket is part of the path whatever the server is called. Default: only where it cannot be part of the
    /// host's name.
    pub path_style: bool,
    /// The key that objects are encrypted with when they are written (SSE-KMS). Default: what the bucket says.
    pub kms_key_id: Option<String>,
    /// Region and role.
    pub aws: Aws,
}

/// As the pipeline file has it.
impl fmt::Display for ObjectsGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectsGrant::Folder(path) => path.display().fmt(f),
            ObjectsGrant::S3(S3Grant { bucket, prefix, .. }) if prefix.is_empty() => write!(f, "s3://{bucket}"),
            ObjectsGrant::S3(S3Grant { bucket, prefix, .. }) => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

const KEYS: &[Key] = &[
    Key { name: "url", example: "\"s3://my-bucket/raw\"" },
    Key { name: "region", example: "\"eu-west-1\"" },
    Key { name: "endpoint_url", example: "\"https://s3.example.com\"" },
    Key { name: "path_style", example: "true" },
    Key { name: "kms_key_id", example: "\"alias/my-key\"" },
    Key { name: "role_arn", example: "\"arn:aws:iam::111122223333:role/rayline\"" },
    Key { name: "external_id", example: "\"my-external-id\"" },
];

/// Reads an `objects` grant.
pub(in crate::pipeline) fn read(
    field: &str,
    node: &Node,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<ObjectsGrant> {
    let table = table(Capability::Objects, field, node, KEYS, report)?;
    let url = url(Capability::Objects, field, node, table.as_ref(), report)?;
    if let Some(place) = url.word.text.strip_prefix("s3://") {
        // All of it is read, to report all that is wrong.
        let place = bucket(&url.field, &url.word, place, report);
        let s3 = options(table.as_ref(), report);
        let (bucket, prefix) = place?;
        return Some(ObjectsGrant::S3(S3Grant { bucket, prefix, ..s3 }));
    }
    let Some(path) = file(&url.word, folder) else {
        no_address(Capability::Objects, &url, report);
        return None;
    };
    if let Some(table) = &table {
        only_s3(table, report);
    }
    Some(ObjectsGrant::Folder(path))
}

/// Bucket and prefix of what follows `s3://`.
fn bucket(field: &str, word: &Word<'_>, place: &str, report: &mut Report<'_>) -> Option<(String, String)> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_bucket = |bucket: &str| {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        !bucket.is_empty() && bucket.chars().all(is_good) && !matches!(bucket, "." | "..")
    };
    let is_prefix = |prefix: &str| {
        let is_good = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
        prefix.is_empty() || prefix.split('/').all(is_good)
    };
    let problem = if !is_bucket(bucket) {
        "has no bucket's name"
    } else if !is_prefix(prefix) {
        "has a prefix with an empty part, `.` or `..`"
    } else {
        return Some((bucket.to_owned(), prefix.to_owned()));
    };
    let message = format!("{} {problem}", report.quote(word.span));
    let written = Diagnostic::new(field, word.span.clone(), message).write(word.span.clone(), "\"s3://my-bucket/raw\"");
    report.add(written);
    None
}

/// The keys beside `url`, without bucket and prefix.
fn options(table: Option<&Fields<'_>>, report: &mut Report<'_>) -> S3Grant {
    let mut grant = S3Grant {
        bucket: String::new(),
        prefix: String::new(),
        endpoint_url: None,
        path_style: false,
        kms_key_id: None,
        aws: Aws::default(),
    };
    let Some(table) = table else { return grant };
    grant.endpoint_url = table.string("endpoint_url", report).and_then(|word| endpoint(table, &word, report));
    grant.path_style = table.boolean("path_style", report).unwrap_or_default();
    grant.kms_key_id = table.string("kms_key_id", report).map(|word| word.text.to_owned());
    grant.aws = aws::read(table, report);
    grant
}

/// The address of a server, without a path.
fn endpoint(table: &Fields<'_>, word: &Word<'_>, report: &mut Report<'_>) -> Option<String> {
    let address = word.text.trim_end_matches('/');
    let is_server = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.path() == "/"
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    if address.parse::<Uri>().is_ok_and(|uri| is_server(&uri)) {
        return Some(address.to_owned());
    }
    let message = format!("{} is no server's address", report.quote(word.span));
    let diagnostic = Diagnostic::new(table.field("endpoint_url"), word.span.clone(), message);
    report.add(diagnostic.write(word.span.clone(), "\"https://s3.example.com\""));
    None
}

/// Reports the keys that a folder cannot have.
fn only_s3(table: &Fields<'_>, report: &mut Report<'_>) {
    let keys = KEYS.iter().filter(|key| key.name != "url");
    for entry in keys.filter_map(|key| table.table.entry(key.name)) {
        let message = "a folder has no such key; it is for `s3://`";
        let diagnostic = Diagnostic::new(table.field(&entry.key), entry.key_span.clone(), message);
        report.add(diagnostic.remove_key(report.text, table.table, entry, ""));
    }
}
