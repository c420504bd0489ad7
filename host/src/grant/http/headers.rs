//! Which headers a stage may send and see.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::error::HttpError;

/// Headers of requests that are the host's.
const REFUSED: [&str; 19] = [
    // The connection and the form of the body.
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
    "accept-encoding",
    // The address.
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    // Credentials, and the signature's own.
    "authorization",
    "cookie",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Headers of requests that are the host's, by how they begin. The second has the server act for another user.
const REFUSED_PREFIXES: [&str; 2] = ["proxy-", "es-security-"];

/// Headers of answers that are about the connection, or about the bytes before they were decompressed, or that are
/// credentials.
const HIDDEN: [&str; 11] = [
    "alt-svc",
    "authentication-info",
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The headers of a request, or which one cannot be sent.
pub(super) fn request(headers: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut map = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let refuse = |why: &str| {
            HttpError::permanent(format!("the header `{}` {why}", name.escape_debug()), "take it out of the stage")
        };
        let header = HeaderName::try_from(name).map_err(|_| refuse("has a name that no header can have"))?;
        let text = header.as_str();
        if REFUSED.contains(&text) || REFUSED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(refuse("is the host's, not the stage's"));
        }
        let value = HeaderValue::try_from(value).map_err(|_| refuse("has a value that no header can have"))?;
        map.append(header, value);
    }
    Ok(map)
}

/// What a stage sees of the headers of an answer: no credential, and none that names one of the servers. A `location` on
/// the same server is seen as a path.
pub(super) fn seen<'u>(headers: &HeaderMap, servers: impl Iterator<Item = &'u Url>) -> Vec<(String, String)> {
    let servers: Vec<&Url> = servers.collect();
    let hosts: Vec<String> = servers.iter().filter_map(|url| url.host_str()).map(str::to_lowercase).collect();
    let mut seen = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        let value = match name.as_str() {
            name if HIDDEN.contains(&name) || name.starts_with("proxy-") => continue,
            "location" | "content-location" => match servers.iter().find_map(|server| path(value, server)) {
                Some(path) => path,
                None => continue,
            },
            _ => value.to_owned(),
        };
        let lower = value.to_lowercase();
        if !hosts.iter().any(|host| is_named(host, &lower)) {
            seen.push((name.as_str().to_owned(), value));
        }
    }
    seen
}

/// Whether the text names this host. `elasticsearch` by itself may be a product.
fn is_named(host: &str, text: &str) -> bool {
    text.match_indices(host).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + host.len()..).unwrap_or_default());
        host.contains('.') || before.ends_with("//") || after.starts_with(':')
    })
}

/// The path and query of a place on this server, below the server's own path.
fn path(place: &str, server: &Url) -> Option<String> {
    let place = server.join(place).ok().filter(|place| place.origin() == server.origin())?;
    let path = place.path().strip_prefix(server.path().trim_end_matches('/'))?;
    Some(place.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}
