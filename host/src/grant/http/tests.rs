//! The client against servers that the tests play.

mod answers;
mod credentials;
mod failover;
mod requests;
mod server;
mod tls;

use reqwest::Url;

use self::server::{Answer, Server};
use super::{Client, HttpError, Request, Response};
use crate::pipeline::{Auth, HttpGrant, Secret};

/// A client of these servers.
async fn client(urls: &[&Url]) -> Client {
    open(grant(urls)).await
}

async fn open(grant: HttpGrant) -> Client {
    Client::open(&grant).await.unwrap()
}

fn grant(urls: &[&Url]) -> HttpGrant {
    let urls = urls.iter().map(|url| (*url).clone()).collect();
    HttpGrant { urls, ..HttpGrant::new(Url::parse("http://localhost").unwrap()) }
}

fn get(path: &str) -> Request {
    Request { method: http::Method::GET, path: path.to_owned(), headers: Vec::new(), body: "".into(), gzip: false }
}

fn post(path: &str, body: &str) -> Request {
    Request { method: http::Method::POST, body: body.to_owned().into(), ..get(path) }
}

/// Status and text.
fn text(response: &Response) -> (u16, &str) {
    (response.status, str::from_utf8(&response.body).unwrap())
}

/// Whether it is temporary, and what a stage is told.
fn told(error: &HttpError) -> (bool, &str) {
    (matches!(error, HttpError::Temporary(_)), error.what())
}
