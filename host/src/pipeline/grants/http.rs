//! The grant of an HTTP server, or of several equal ones.

mod auth;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

pub use self::auth::Auth;
use super::example;
use crate::pipeline::Capability;
use crate::pipeline::diagnostic::{Diagnostic, Remedy};
use crate::pipeline::document::{Node, Report, Value};
use crate::pipeline::fields::{Fields, Key, Word, string, wrong_type};
use crate::pipeline::parse::resolve;

/// `"https://HOST"` or `{ urls, auth, ca_file, timeout_secs, connect_timeout_secs }`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpGrant {
    /// Servers that are equal to each other: at least one, each `http:` or `https:`, without credentials, query and
    /// fragment. A path in it stands before the path of every request.
    pub urls: Vec<Url>,
    /// What proves who the host is.
    pub auth: Auth,
    /// Certificates (PEM) trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one attempt at a request may take, its answer read. Default 60 s.
    pub timeout: Duration,
    /// How long it may take to connect, TLS included. Default 5 s.
    pub connect_timeout: Duration,
}

impl HttpGrant {
    /// One server, no credentials, defaults.
    pub fn new(url: Url) -> HttpGrant {
        HttpGrant {
            urls: vec![url],
            auth: Auth::None,
            ca_file: None,
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

const KEYS: &[Key] = &[
    Key { name: "urls", example: "[\"https://search.example.com\"]" },
    Key { name: "auth", example: auth::EXAMPLE },
    Key { name: "ca_file", example: "\"ca.pem\"" },
    Key { name: "timeout_secs", example: "60" },
    Key { name: "connect_timeout_secs", example: "5" },
];

/// Reads an `http` grant.
pub(super) fn read(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<HttpGrant> {
    match &node.value {
        Value::String(_) => {
            let word = string(field, node, example(Capability::Http), report)?;
            url(field, &word, report).map(HttpGrant::new)
        }
        Value::Table(_) => table(field, node, folder, report),
        _ => {
            wrong_type(field, node, "a string or a table with `urls`", example(Capability::Http), report);
            None
        }
    }
}

fn table(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<HttpGrant> {
    // `url` is what other grants have: said by itself, since a list is wanted here.
    let known = Node { span: node.span.clone(), value: without_url(node) };
    let table = Fields::open(field.to_owned(), &known, KEYS, report)?;
    let mut urls = None;
    if let Some(entry) = node.entry("url") {
        let diagnostic = Diagnostic::new(table.field("url"), entry.key_span.clone(), "the key is `urls`, with a list");
        let text = format!("urls = [{}]", report.quote(&entry.node.span));
        let span = entry.key_span.start..entry.node.end();
        report.add(diagnostic.help(format!("write `{text}`")).remedy(Remedy { span, text }));
    } else if let Some(words) = table.strings("urls", report) {
        if let (Some(node), true) = (table.node("urls"), words.is_empty()) {
            let diagnostic = Diagnostic::new(table.field("urls"), node.span.clone(), "no server is named");
            report.add(diagnostic.write(node.span.clone(), "[\"https://search.example.com\"]"));
        }
        let one = |(index, word)| url(&format!("{}[{index}]", table.field("urls")), word, report);
        let read: Vec<Option<Url>> = words.iter().enumerate().map(one).collect();
        urls = read.into_iter().collect::<Option<Vec<Url>>>().filter(|urls| !urls.is_empty());
    } else if table.is_missing("urls") {
        let diagnostic = Diagnostic::new(field, node.span.clone(), "`urls` is missing");
        report.add(diagnostic.add_key(report.text, node, "auth", "urls", "[\"https://search.example.com\"]"));
    }
    let auth = match table.node("auth") {
        Some(node) => auth::read(&table.field("auth"), node, report),
        None => Some(Auth::None),
    };
    let ca_file = table.string("ca_file", report).map(|word| resolve(folder, word.text));
    let timeout = table.secs("timeout_secs", 0.1..=3600.0, report).unwrap_or(Duration::from_secs(60));
    let connect_timeout = table.secs("connect_timeout_secs", 0.1..=300.0, report).unwrap_or(Duration::from_secs(5));
    Some(HttpGrant { urls: urls?, auth: auth?, ca_file, timeout, connect_timeout })
}

fn without_url(node: &Node) -> Value {
    Value::Table(node.entries().iter().filter(|entry| entry.key != "url").cloned().collect())
}

/// The address of a server, or what is wrong with it.
fn url(field: &str, word: &Word<'_>, report: &mut Report<'_>) -> Option<Url> {
    let quoted = report.quote(word.span).to_owned();
    let say = |message: String| Diagnostic::new(field, word.span.clone(), message);
    let write = |diagnostic: Diagnostic, text: String| diagnostic.write(word.span.clone(), text);
    let parsed = Url::parse(word.text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = parsed else {
        let diagnostic = say(format!("{quoted} is no address of a server; it begins with `https://` or `http://`"));
        // `search.example.com:9200`, which is itself a URL with the scheme `search.example.com`.
        let is_bare = !word.text.contains("://")
            && Url::parse(&format!("https://{}", word.text)).is_ok_and(|url| url.username().is_empty());
        report.add(match quoted.split_at_checked(1) {
            Some((quote, rest)) if is_bare && rest.starts_with(word.text) => {
                write(diagnostic, format!("{quote}https://{rest}"))
            }
            _ => write(diagnostic, "\"https://search.example.com\"".to_owned()),
        });
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let help =
            format!("write the address without what stands before its `@`, and beside it `auth = {}`", auth::EXAMPLE);
        report.add(say("credentials do not belong into an address: it is shown in logs".to_owned()).help(help));
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        let help = "end the address before its `?` or `#`; the stage says the rest".to_owned();
        report.add(say(format!("{quoted} is more than the address of a server")).help(help));
        return None;
    }
    Some(url)
}
