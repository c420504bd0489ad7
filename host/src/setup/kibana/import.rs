//! The upload of the saved objects, and what the server says of each.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use super::object::Form;
use super::server::{Server, refusal};
use crate::grant::http::{Client, Request};

/// What is in the server now.
pub(super) struct Imported {
    /// How many objects.
    pub objects: usize,
    renamed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    success: bool,
    #[serde(default)]
    success_count: usize,
    #[serde(default)]
    errors: Vec<ObjectError>,
    #[serde(default)]
    success_results: Vec<ObjectResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectResult {
    id: String,
    destination_id: Option<String>,
}

#[derive(Deserialize)]
struct ObjectError {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    error: Reason,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Reason {
    MissingReferences {
        #[serde(default)]
        references: Vec<Missing>,
    },
    UnsupportedType,
    Conflict,
    AmbiguousConflict,
    #[serde(untagged)]
    Other {
        message: Option<String>,
    },
}

#[derive(Deserialize)]
struct Missing {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// No line of the file begins like this: each is a JSON object.
const BOUNDARY: &str = "rayline-saved-objects";

/// Imports every object, replacing those with the same id, below `base`: nothing, or `/s/SPACE`.
pub(super) async fn import(
    client: &Client,
    server: &Server,
    base: &str,
    tenant: Option<&str>,
    form: Form,
    prefix: &str,
) -> anyhow::Result<Imported> {
    let path = format!("{base}/api/saved_objects/_import?overwrite=true");
    let mut headers = vec![
        ("content-type".to_owned(), format!("multipart/form-data; boundary={BOUNDARY}")),
        (server.xsrf().to_owned(), "true".to_owned()),
    ];
    headers.extend(tenant.map(|tenant| ("securitytenant".to_owned(), tenant.to_owned())));
    let body = multipart(&form.ndjson(prefix));
    let request = Request { method: Method::POST, path: path.clone(), headers, body, gzip: false };
    let response = client.send(request).await.context("the server stopped answering")?;
    if response.status != 200 {
        return Err(refusal(&response, &path).context(format!("{server} did not take the dashboards")));
    }
    let answer: Answer = serde_json::from_slice(&response.body)
        .with_context(|| format!("{server} answers the import with something that is no verdict on it"))?;
    let expected = form.objects(prefix).len();
    if !answer.success || !answer.errors.is_empty() || answer.success_count != expected {
        let reasons: String = answer.errors.iter().map(|error| format!("\n  {error}")).collect();
        bail!("{server} took {} of {expected} objects{reasons}", answer.success_count);
    }
    let renamed =
        answer.success_results.into_iter().filter_map(|result| Some((result.id, result.destination_id?))).collect();
    Ok(Imported { objects: expected, renamed })
}

impl Imported {
    /// The id that an object has in the server: since Kibana 8 another one where a second space has the object too.
    pub(super) fn id_of<'i>(&'i self, id: &'i str) -> &'i str {
        self.renamed.get(id).map_or(id, String::as_str)
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.kind, self.id)?;
        match &self.error {
            Reason::MissingReferences { references } => {
                let missing: Vec<String> = references.iter().map(|it| format!("{} {}", it.kind, it.id)).collect();
                write!(f, "the server does not find {}; run this again", missing.join(", "))
            }
            Reason::UnsupportedType => {
                write!(f, "the server has no objects of this kind: a feature is switched off there")
            }
            Reason::Conflict | Reason::AmbiguousConflict => {
                write!(f, "several objects of the server could be the one to replace: delete the copies there")
            }
            Reason::Other { message: Some(message) } => write!(f, "{message}"),
            Reason::Other { message: None } => write!(f, "the server gives no reason"),
        }
    }
}

fn multipart(file: &str) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"rayline.ndjson\"\r\n\
         Content-Type: application/ndjson\r\n\r\n"
    );
    Bytes::from(format!("{head}{file}\r\n--{BOUNDARY}--\r\n"))
}
