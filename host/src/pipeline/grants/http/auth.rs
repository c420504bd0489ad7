//! The `auth` of an HTTP grant.

use super::super::{Aws, Secret, aws};
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report, Value};
use crate::pipeline::fields::{Fields, Key, list, string, wrong_type};

/// What proves to a server who the host is.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// `"none"`.
    None,
    /// `{ basic = { user, password } }`.
    Basic {
        /// Without `:`.
        user: String,
        /// Anything.
        password: Secret,
    },
    /// `{ api_key = ".." }`: `Authorization: ApiKey ..`, in the encoded form that Elasticsearch gives out.
    ApiKey(Secret),
    /// `{ bearer = ".." }`: `Authorization: Bearer ..`.
    Bearer(Secret),
    /// `{ aws = "SERVICE", region, role_arn, external_id }`: every request is signed (SigV4).
    Aws {
        /// As signatures name it: `es`, `aoss`, `execute-api`.
        service: String,
        /// Region and credentials. Without a region, the one in the name of the server, or the environment's.
        aws: Aws,
    },
}

/// The form that most servers want.
pub(super) const EXAMPLE: &str = r#"{ basic = { user = "rayline", password = "${file:/run/secrets/password}" } }"#;

const USER: &str = r#"{ user = "rayline", password = "${file:/run/secrets/password}" }"#;

const METHODS: [&str; 4] = ["basic", "api_key", "bearer", "aws"];

/// What stands beside `aws` only.
const AWS: [&str; 3] = ["region", "role_arn", "external_id"];

const KEYS: &[Key] = &[
    Key { name: "basic", example: USER },
    Key { name: "api_key", example: r#""${file:/run/secrets/api_key}""# },
    Key { name: "bearer", example: r#""${file:/run/secrets/token}""# },
    Key { name: "aws", example: r#""es""# },
    Key { name: "region", example: r#""eu-west-1""# },
    Key { name: "role_arn", example: r#""arn:aws:iam::111122223333:role/rayline""# },
    Key { name: "external_id", example: r#""rayline""# },
];

const BASIC: &[Key] = &[
    Key { name: "user", example: r#""rayline""# },
    Key { name: "password", example: r#""${file:/run/secrets/password}""# },
];

/// Reads the value of `auth`.
pub(super) fn read(field: &str, node: &Node, report: &mut Report<'_>) -> Option<Auth> {
    match &node.value {
        Value::String(_) => {
            let word = string(field, node, "\"none\"", report)?;
            if word.text == "none" {
                return Some(Auth::None);
            }
            let message = format!(
                "{} is no auth; it is \"none\", or a table with one of {}",
                report.quote(&node.span),
                list(METHODS.into_iter())
            );
            report.add(Diagnostic::new(field, node.span.clone(), message).write(node.span.clone(), EXAMPLE));
            None
        }
        Value::Table(_) => table(field, node, report),
        _ => {
            wrong_type(field, node, "\"none\" or a table", EXAMPLE, report);
            None
        }
    }
}

fn table(field: &str, node: &Node, report: &mut Report<'_>) -> Option<Auth> {
    let table = Fields::open(field.to_owned(), node, KEYS, report)?;
    let mut given = METHODS.into_iter().filter(|method| table.node(method).is_some());
    let Some(method) = given.next() else {
        if AWS.iter().any(|key| table.node(key).is_some()) {
            let diagnostic =
                Diagnostic::new(field, node.span.clone(), "`aws` is missing: the service, as AWS names it");
            report.add(diagnostic.add_key(report.text, node, "region", "aws", "\"es\""));
        } else if table.meant.is_empty() {
            let message = format!("it has none of {}", list(METHODS.into_iter()));
            report.add(Diagnostic::new(field, node.span.clone(), message).write(node.span.clone(), EXAMPLE));
        }
        return None;
    };
    if let Some(entry) = given.next().and_then(|other| node.entry(other)) {
        let message = format!("there is `{method}` already, and only one can be used");
        let diagnostic = Diagnostic::new(table.field(&entry.key), entry.key_span.clone(), message);
        report.add(diagnostic.remove_key(report.text, node, entry, &format!(", or remove `{method}`")));
        return None;
    }
    if method != "aws" {
        for entry in AWS.iter().filter_map(|key| node.entry(key)) {
            let message = format!("`{method}` has no use for it");
            let diagnostic = Diagnostic::new(table.field(&entry.key), entry.key_span.clone(), message);
            report.add(diagnostic.remove_key(report.text, node, entry, "; it belongs beside `aws`"));
        }
    }
    let mut secret = |name: &str| table.string(name, report).map(|word| Secret::new(word.text));
    match method {
        "api_key" => secret("api_key").map(Auth::ApiKey),
        "bearer" => secret("bearer").map(Auth::Bearer),
        "aws" => {
            let service = table.string("aws", report).map(|word| word.text.to_owned());
            let aws = aws::read(&table, report);
            Some(Auth::Aws { service: service?, aws })
        }
        _ => basic(&table.field("basic"), table.node("basic")?, report),
    }
}

fn basic(field: &str, node: &Node, report: &mut Report<'_>) -> Option<Auth> {
    if !matches!(node.value, Value::Table(_)) {
        wrong_type(field, node, "a table", USER, report);
        return None;
    }
    let table = Fields::open(field.to_owned(), node, BASIC, report)?;
    for key in BASIC.iter().filter(|key| table.is_missing(key.name)) {
        let diagnostic = Diagnostic::new(field, node.span.clone(), format!("`{}` is missing", key.name));
        report.add(diagnostic.add_key(report.text, node, "user", key.name, key.example));
    }
    let user = table.string("user", report);
    let password = table.string("password", report).map(|word| Secret::new(word.text));
    let user = user?;
    if user.text.contains(':') {
        let message = "a user name cannot have a `:`; what follows it would be read as the password";
        let diagnostic = Diagnostic::new(table.field("user"), user.span.clone(), message);
        report.add(diagnostic.write(user.span.clone(), "\"rayline\""));
        return None;
    }
    Some(Auth::Basic { user: user.text.to_owned(), password: password? })
}
