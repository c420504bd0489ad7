//! `http` of a node, section 4.

use std::net::IpAddr;

use super::body::Body;
use super::json::Reader;

pub fn request_and_response(body: &mut Body, http: &Reader) {
    let request = http.object("request");
    body.put("http.request.method", request.text("method").map(|method| method.to_uppercase()));
    if let Some(url) = request.text("url") {
        address(body, &url);
    }
    if let Some(client) = request.text("client_ip") {
        let is_ip = client.parse::<IpAddr>().is_ok();
        body.put(if is_ip { "client.ip" } else { "client.address" }, client);
    }
    body.put("user_agent.original", request.text("user_agent"));

    let response = http.object("response");
    body.put("http.response.status_code", response.integer("status"));
    body.put("http.response.body.bytes", response.long("content_length").filter(|bytes| *bytes >= 0));
}

fn address(body: &mut Body, url: &str) {
    body.put("url.full", url);
    if url.starts_with('/') {
        body.put("url.path", without_query(url));
    } else if let Some((scheme, rest)) = url.split_once("://")
        && is_scheme(scheme)
    {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        body.put("url.domain", domain(authority));
        body.put("url.path", without_query(path).strip_prefix('/').map(|path| format!("/{path}")));
    }
}

/// The host of `user:password@host:port`, an IPv6 address with its brackets.
fn domain(authority: &str) -> String {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.find(']') {
        Some(bracket) if host.starts_with('[') => &host[..=bracket],
        _ => host.split(':').next().unwrap_or_default(),
    };
    host.to_lowercase()
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}
