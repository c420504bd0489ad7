//! Which program answers: Kibana or OpenSearch Dashboards, and of which version.

use std::fmt;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::object::Form;
use crate::grant::http::{Client, Request, Response};

/// A server that takes saved objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which program.
    pub product: Product,
    /// As it says itself: `8.19.2`.
    pub version: String,
}

/// A program with saved objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Elastic's.
    Kibana,
    /// What OpenSearch made of Kibana 7.10.
    OpenSearchDashboards,
}

#[derive(Deserialize)]
struct Status {
    version: Option<Version>,
    #[serde(rename = "status")]
    _status: IgnoredAny,
}

#[derive(Deserialize)]
struct Version {
    number: String,
}

impl Server {
    /// Asks the server.
    ///
    /// # Errors
    /// When it cannot be reached, or is no such server, with what to do.
    pub async fn find(client: &Client) -> anyhow::Result<Server> {
        let response = get(client, "/api/status").await?;
        let status: Status = match response.status {
            200 => serde_json::from_slice(&response.body).ok().context(NO_KIBANA)?,
            503 => {
                bail!("the server is starting, or cannot reach its cluster (503): try again when it shows its pages")
            }
            300..=399 | 401 | 403 => return Err(refusal(&response, "/api/status")),
            _ => return Err(refusal(&response, "/api/status").context(NO_KIBANA)),
        };
        let Some(version) = status.version else {
            bail!("the server tells its version to users only: check the `auth` of `grants.http` in the pipeline");
        };
        // OpenSearch Dashboards counts from 1, and Kibana was at 7 when it began to.
        let product = match major_minor(&version.number) {
            Some(version) if version < (6, 0) => Product::OpenSearchDashboards,
            _ => Product::Kibana,
        };
        Ok(Server { product, version: version.number })
    }

    /// The form of the saved objects that this server takes.
    ///
    /// # Errors
    /// When it is too old for any.
    pub fn form(&self) -> anyhow::Result<Form> {
        match (self.product, major_minor(&self.version)) {
            (Product::OpenSearchDashboards, _) => Ok(Form::V7_10),
            (Product::Kibana, Some(version)) if version >= (8, 8) => Ok(Form::V8_8),
            (Product::Kibana, Some(version)) if version >= (7, 9) => Ok(Form::V7_10),
            _ => bail!("{self} is not supported: the dashboards need Kibana 7.9 or newer, or OpenSearch Dashboards"),
        }
    }

    /// The header without which the server takes no request that changes something.
    pub(super) fn xsrf(&self) -> &'static str {
        match self.product {
            Product::Kibana => "kbn-xsrf",
            Product::OpenSearchDashboards => "osd-xsrf",
        }
    }

    /// Kibana would put objects into a space that is not there, where nobody finds them.
    pub(super) async fn check_space(&self, client: &Client, space: &str) -> anyhow::Result<()> {
        let path = format!("/api/spaces/space/{space}");
        let response = get(client, &path).await?;
        match response.status {
            200 => Ok(()),
            404 => bail!("{self} has no space {space}: create it under Stack Management > Spaces, or name another"),
            _ => Err(refusal(&response, &path)),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.product {
            Product::Kibana => "Kibana",
            Product::OpenSearchDashboards => "OpenSearch Dashboards",
        };
        write!(f, "{name} {}", self.version)
    }
}

const NO_KIBANA: &str = "this is neither Kibana nor OpenSearch Dashboards: --url takes the address that opens it in a \
                         browser (port 5601 where nothing else is set, with /_dashboards on Amazon), not the cluster's";

/// An answer that is neither what was asked for nor explained by itself.
pub(super) fn refusal(response: &Response, path: &str) -> anyhow::Error {
    let status = response.status;
    match status {
        300..=399 => {
            let to = response.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            anyhow::anyhow!(
                "{path} is answered with a redirect to {to}: a page to sign in, or a base path that is missing in --url"
            )
        }
        401 => anyhow::anyhow!(
            "the server does not accept the credentials (401): check the `auth` of `grants.http` in the pipeline"
        ),
        403 => anyhow::anyhow!(
            "the user may not do this (403): it needs all privileges on Dashboard, Visualize, Discover, Data Views \
             (Index Patterns) and Saved Objects Management in Kibana, write access to the tenant in OpenSearch \
             Dashboards{}",
            said(response)
        ),
        _ => anyhow::anyhow!("{path} is answered with {status}{}", said(response)),
    }
}

async fn get(client: &Client, path: &str) -> anyhow::Result<Response> {
    let request =
        Request { method: Method::GET, path: path.to_owned(), headers: Vec::new(), body: Bytes::new(), gzip: false };
    client.send(request).await.context("cannot reach the server of --url")
}

/// The `message` of an error, or the beginning of its body.
fn said(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let text = match serde_json::from_slice::<Error>(&response.body) {
        Ok(error) => error.message,
        Err(_) => String::from_utf8_lossy(&response.body).chars().take(200).collect(),
    };
    if text.trim().is_empty() { String::new() } else { format!("; it says: {}", text.trim()) }
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
