//! HTTP to the servers of a grant: what the guest calls.
//!
//! A guest sees what a server answers, in full. It sees no address and no credential that the host adds: not in headers,
//! not in errors. What a server itself writes into a body is not looked into.

mod auth;
mod client;
mod error;
mod gzip;
mod headers;
mod servers;
mod sigv4;
#[cfg(test)]
mod tests;

use futures::StreamExt;
use futures::stream;

pub use self::client::{Client, Request, Response};
pub use self::error::{HttpError, Reason};
use super::{State, not_granted};
use crate::stage::bindings::capability::{Error, Temporary};
use crate::stage::bindings::http;

/// How many requests of one call are under way at once.
const AT_ONCE: usize = 8;

impl http::Host for State {
    async fn send(
        &mut self,
        binding: String,
        requests: Vec<http::Request>,
    ) -> wasmtime::Result<Result<Vec<Result<http::Response, Error>>, Error>> {
        let Some(client) = self.grants.0.clients.get(&binding) else { return Ok(Err(not_granted(&binding))) };
        let answers = requests.into_iter().map(|request| answer(client, request));
        Ok(Ok(stream::iter(answers).buffered(AT_ONCE).collect().await))
    }
}

async fn answer(client: &Client, request: http::Request) -> Result<http::Response, Error> {
    let http::Request { method, path, headers, body, gzip } = request;
    let method = match method {
        http::Method::Get => ::http::Method::GET,
        http::Method::Head => ::http::Method::HEAD,
        http::Method::Post => ::http::Method::POST,
        http::Method::Put => ::http::Method::PUT,
        http::Method::Delete => ::http::Method::DELETE,
    };
    let response = client.send(Request { method, path, headers, body: body.into(), gzip }).await?;
    Ok(http::Response {
        status: response.status,
        headers: headers::seen(&response.headers, client.servers()),
        body: response.body.into(),
    })
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Error {
        // The address is in the log, not here.
        tracing::warn!("{error}");
        let reason = error.what().to_owned();
        match error {
            HttpError::Temporary(_) => Error::Temporary(Temporary { reason, after_ms: None }),
            HttpError::Permanent(_) => Error::Permanent(reason),
        }
    }
}
