//! A search server: which one it is, and calls to it.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::mapping::Annotations;
use super::retention::Policies;
use super::template::Form;
use crate::grant::http::{Client, Request, Response};

/// A server and what it says it is.
pub struct Server<'c> {
    client: &'c Client,
    product: Product,
    /// Major and minor.
    version: (u32, u32),
    number: String,
    /// Elasticsearch without what its makers do not give away, as Amazon runs it.
    is_open_source: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Elasticsearch,
    OpenSearch,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Null, if it was no JSON.
    pub body: Value,
}

impl<'c> Server<'c> {
    /// Asks a server what it is.
    ///
    /// # Errors
    /// When it does not answer, refuses the credentials, or is neither Elasticsearch nor OpenSearch.
    pub async fn find(client: &'c Client) -> anyhow::Result<Server<'c>> {
        let root = call(client, Method::GET, "/", None).await?;
        let mut number = root.body.pointer("/version/number").and_then(Value::as_str).map(str::to_owned);
        let is_opensearch = root.body.pointer("/version/distribution").and_then(Value::as_str) == Some("opensearch");
        if number.is_none() {
            // Some builds of Elasticsearch have no page there.
            let nodes = call(client, Method::GET, "/_nodes/_local?filter_path=nodes.*.version", None).await?;
            let first = nodes.body.get("nodes").and_then(Value::as_object).and_then(|nodes| nodes.values().next());
            number = first.and_then(|node| node.get("version")?.as_str()).map(str::to_owned);
            if number.is_none() {
                bail!("this is neither Elasticsearch nor OpenSearch, or does not say so: {}", root.reason());
            }
        }
        let number = number.unwrap_or_default();
        let is_open_source = root.body.pointer("/version/build_flavor").and_then(Value::as_str) == Some("oss");
        let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let product = if is_opensearch { Product::OpenSearch } else { Product::Elasticsearch };
        Ok(Server { client, product, version, number, is_open_source })
    }

    /// OpenSearch Serverless, which has no page about itself.
    pub fn serverless(client: &'c Client) -> Server<'c> {
        let number = "Serverless".to_owned();
        Server { client, product: Product::OpenSearch, version: (2, 0), number, is_open_source: true }
    }

    /// `Elasticsearch 8.19.21`.
    pub fn title(&self) -> String {
        let product = match self.product {
            Product::Elasticsearch => "Elasticsearch",
            Product::OpenSearch => "OpenSearch",
        };
        format!("{product} {}", self.number)
    }

    /// Which templates it has.
    pub fn form(&self) -> Form {
        match self.product {
            Product::Elasticsearch if self.version < (7, 8) => Form::Legacy,
            _ => Form::Composable,
        }
    }

    /// Which types it may have for annotations, the best first. Whether it has one depends on its build and not on its
    /// version alone.
    pub fn annotations(&self) -> [Annotations; 2] {
        match self.product {
            Product::Elasticsearch => [Annotations::Flattened, Annotations::Stored],
            Product::OpenSearch => [Annotations::FlatObject, Annotations::Stored],
        }
    }

    /// Which policies it may have, the likeliest first. Amazon answers 401 at the path of those that it does not have, so
    /// that nothing is asked where it cannot be.
    pub fn policies(&self) -> &'static [Policies] {
        match self.product {
            Product::Elasticsearch if self.is_open_source => &[Policies::OPENDISTRO],
            Product::Elasticsearch => &[Policies::Lifecycle, Policies::OPENDISTRO],
            Product::OpenSearch => &[Policies::PLUGINS],
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When there is no whole answer, or when it refuses the credentials.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        call(self.client, method, path, body).await
    }
}

impl Answer {
    /// Whether it is a success.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server has nothing at this path: a plugin or module is not there. Elasticsearch 7 then takes the path
    /// for an index's.
    pub fn is_unknown_path(&self) -> bool {
        let reason = self.reason();
        let is_refused = ["no handler found for uri", "Invalid index name [_"].iter().any(|sign| reason.contains(sign));
        self.status == 405 || self.status == 400 && is_refused
    }

    /// Why it was refused, as the server puts it.
    pub fn reason(&self) -> String {
        let error = self.body.get("error").unwrap_or(&self.body);
        let causes = ["/caused_by/caused_by/reason", "/caused_by/reason", "/reason"];
        let reason = causes.iter().find_map(|place| error.pointer(place)?.as_str()).or(error.as_str());
        format!("{} {}", self.status, reason.unwrap_or("without a reason"))
    }
}

/// A refusal by a server that knows who asks, and whose rules do not have this for them: what else they may do is not
/// said by that. Whoever AWS does not know is answered with another 403.
#[derive(Debug, thiserror::Error)]
#[error("the credentials of `grants.http.auth` may not {0}")]
pub struct Forbidden(String);

/// Refuses a collection of OpenSearch Serverless for time series: it gives documents ids of its own, so none could be
/// replaced. Only a write tells it.
///
/// # Errors
/// When it is one, or does not answer.
pub async fn refuse_time_series(client: &Client, prefix: &str) -> anyhow::Result<()> {
    let probe = call(client, Method::PUT, &format!("/{prefix}-probe/_doc/probe"), Some(&json!({}))).await?;
    if !probe.is_ok() && probe.reason().contains("Document ID is not supported") {
        bail!(
            "this is a collection for time series, which gives documents ids of its own: later data could not replace \
             earlier; make a collection of the type search"
        );
    }
    // Whoever only writes need not be allowed to delete: it is one document, in an index that nobody searches.
    send(client, Method::DELETE, &format!("/{prefix}-probe"), None).await?;
    Ok(())
}

async fn call(client: &Client, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let response = send(client, method.clone(), path, body).await?;
    let answer =
        Answer { status: response.status, body: serde_json::from_slice(&response.body).unwrap_or(Value::Null) };
    match answer.status {
        401 => bail!("the server does not accept the credentials of `grants.http.auth`: {}", answer.reason()),
        403 if response.is_denied_by_rules() => Err(Forbidden(format!("{method} {path}: {}", answer.reason())).into()),
        403 => bail!("the credentials of `grants.http.auth` may not {method} {path}: {}", answer.reason()),
        429 | 500.. => bail!("{method} {path}: {}; try again", answer.reason()),
        _ => Ok(answer),
    }
}

async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
    let headers = body.map(|_| ("content-type".to_owned(), "application/json".to_owned())).into_iter().collect();
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = Request { method: method.clone(), path: path.to_owned(), headers, body: bytes, gzip: false };
    client.send(request).await.with_context(|| format!("{method} {path}"))
}
