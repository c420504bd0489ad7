//! What is read of URLs.

use std::borrow::Cow;

/// The parts of `http.request.url` that become fields of their own.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Url<'a> {
    /// Without user and port, in lower case.
    pub domain: Option<Cow<'a, str>>,
    /// Without query.
    pub path: Option<&'a str>,
}

impl<'a> Url<'a> {
    pub fn parse(text: &'a str) -> Url<'a> {
        let Some(rest) = after_scheme(text) else {
            return Url { domain: None, path: text.starts_with('/').then(|| path(text)) };
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let host = without_port(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        let domain = if host.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            Cow::Owned(host.to_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let path = path(rest);
        Url { domain: (!domain.is_empty()).then_some(domain), path: path.starts_with('/').then_some(path) }
    }
}

/// The database in `sql.url`: what follows the last `/` after the authority of `…://…`, up to `?` or `;`.
pub fn database(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let rest = rest.split(['?', ';']).next()?;
    let (_, path) = rest.split_once('/')?;
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// What follows `scheme://`.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some(rest)
}

fn without_port(host: &str) -> &str {
    match host.split_once(']') {
        Some((address, _)) if host.starts_with('[') => host.get(..=address.len()).unwrap_or(host),
        _ => host.split(':').next().unwrap_or_default(),
    }
}

fn path(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, domain, path) in [
            ("https://API.example.com:8443/a/b?q=/x#f", Some("api.example.com"), Some("/a/b")),
            ("http://user:pa@ss@host/", Some("host"), Some("/")),
            ("http://host", Some("host"), None),
            ("http://host/a#f", Some("host"), Some("/a#f")),
            ("http://host#f", Some("host"), None),
            ("http://host:abc/", Some("host"), Some("/")),
            ("http://host?x=/y", Some("host"), None),
            ("http://[::1]:80/p", Some("[::1]"), Some("/p")),
            ("http://[::1]/p", Some("[::1]"), Some("/p")),
            ("https://例え.テスト/パス?q=é", Some("例え.テスト"), Some("/パス")),
            ("/users/1?x=2", None, Some("/users/1")),
            ("example.com/path", None, None),
            ("://x/y", None, None),
            ("file:///tmp/x", None, Some("/tmp/x")),
            ("/redirect?to=http://host/x", None, Some("/redirect")),
        ] {
            assert_eq!(Url::parse(text), Url { domain: domain.map(Cow::Borrowed), path }, "{text}");
        }
    }

    #[test]
    fn databases() {
        for (text, expected) in [
            ("jdbc:postgresql://host.rds.amazonaws.com:5432/ebdb?myInterceptor=foo", Some("ebdb")),
            ("mysql://host/a/b;x=/c", Some("b")),
            ("jdbc:sqlserver://host:1433;databaseName=x", None),
            ("jdbc:oracle:thin:@host:1521/svc", None),
            ("postgres://host/", None),
            ("postgres://host/db?x=/y", Some("db")),
        ] {
            assert_eq!(database(text), expected, "{text}");
        }
    }
}
