//! What is found where a grant points: for `rayline validate` and `rayline doctor`. Nothing is made there but an object that
//! is deleted again, and passed over by who reads where it may not be deleted.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Url;

use super::http::{Client, Request};
use super::objects::Store;
use super::queue::Queue;
use super::xray::Xray;
use crate::pipeline::{Grant, HttpGrant, Kind, ObjectsGrant, QueueGrant, S3Grant, XrayGrant};

/// Longer no check takes.
const LONGEST: Duration = Duration::from_secs(45);

/// How the names of objects begin that only show whether something can be written. `archive-source` knows it too.
const PROBE: &str = "rayline-validate-";

/// Whether an object was written by a check, which could not delete it again.
pub(crate) fn is_probe(key: &str) -> bool {
    key.rsplit('/').next().unwrap_or(key).starts_with(PROBE)
}

/// What works, and perhaps not as it should.
#[derive(Debug)]
pub struct Found {
    /// What is there.
    pub words: String,
    /// What is to be mended about it.
    pub fix: Option<String>,
}

impl From<String> for Found {
    fn from(words: String) -> Found {
        Found { words, fix: None }
    }
}

/// What a stage of this kind finds there, each part by itself; or what is wrong with it, and what to do about that.
pub async fn check(grant: &Grant, kind: Kind) -> Vec<Result<Found, String>> {
    let used = if kind == Kind::Source { Use::Read } else { Use::Write };
    let found = match grant {
        Grant::Objects(objects) => return vec![in_time(check_objects(objects, used)).await],
        Grant::Queue(queue) => vec![in_time(check_queue(queue)).await],
        Grant::Http(http) => vec![in_time(check_http(http)).await],
        Grant::Xray(xray) => check_xray(xray).await,
        Grant::Console => vec![Ok("standard output".to_owned())],
    };
    found.into_iter().map(|found| found.map(Found::from)).collect()
}

/// What dead letters find there.
///
/// # Errors
/// What is wrong, and what to do about it.
pub async fn check_dead_letter(location: &ObjectsGrant) -> Result<Found, String> {
    in_time(check_objects(location, Use::Write)).await
}

/// What one who reads or sends to a queue finds where its large messages are.
///
/// # Errors
/// What is wrong, and what to do about it.
pub async fn check_payloads(payloads: S3Grant, kind: Kind) -> Result<Found, String> {
    let used = if kind == Kind::Source { Use::Read } else { Use::Write };
    in_time(check_objects(&ObjectsGrant::S3(payloads), used)).await
}

/// What is done with a store of objects.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Read,
    Write,
}

async fn check_queue(queue: &QueueGrant) -> Result<String, String> {
    if let QueueGrant::File(file) = queue {
        return embedded(&file.path, Path::is_file, "a queue", "a queue's file");
    }
    let Queue::Sqs(sqs) = Queue::open(queue).await.map_err(|error| error.to_string())? else {
        return Ok(queue.to_string());
    };
    let limits = sqs.limits();
    Ok(format!(
        "{queue}: reachable, messages up to {} bytes, invisible for {} seconds",
        limits.max_bytes,
        limits.visibility.as_secs()
    ))
}

async fn check_objects(objects: &ObjectsGrant, used: Use) -> Result<Found, String> {
    if let ObjectsGrant::Folder(path) = objects {
        return embedded(path, Path::is_dir, "a folder", "a folder").map(Found::from);
    }
    let store = Store::open(objects).await.map_err(|error| error.to_string())?;
    match used {
        Use::Read => {
            let first = store.list("", None, 1).await.map_err(|error| error.to_string())?;
            let found = if first.is_empty() { "readable, but nothing is there yet" } else { "readable" };
            Ok(format!("{objects}: {found}").into())
        }
        Use::Write => {
            let key = format!("{PROBE}{:016x}", rand::random::<u64>());
            store
                .put(&key, b"a check whether this can be written".to_vec())
                .await
                .map_err(|error| error.to_string())?;
            // Whoever only writes need not be allowed to delete.
            Ok(match store.delete(&key).await {
                Ok(()) => format!("{objects}: writable").into(),
                Err(error) => Found {
                    words: format!("{objects}: writable, but the object {key} cannot be deleted again: {error}"),
                    fix: Some(format!("delete it, and allow s3:DeleteObject on `{PROBE}*` there")),
                },
            })
        }
    }
}

/// Each server by itself: in a run, one that cannot be reached is hidden by the others.
async fn check_http(grant: &HttpGrant) -> Result<String, String> {
    let mut found = Vec::with_capacity(grant.urls.len());
    for url in &grant.urls {
        found.push(check_server(url, &HttpGrant { urls: vec![url.clone()], ..grant.clone() }).await?);
    }
    Ok(found.join("; "))
}

async fn check_server(url: &Url, grant: &HttpGrant) -> Result<String, String> {
    let client = Client::open(grant).await.map_err(|error| error.to_string())?;
    let request = Request {
        method: ::http::Method::GET,
        path: "/".to_owned(),
        headers: vec![],
        body: vec![].into(),
        gzip: false,
    };
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    match response.status {
        // Whoever only writes documents need not be allowed to ask what the server is.
        403 if response.is_denied_by_rules() => {
            Ok(format!("{url}: reachable; not checked: what the grant's `auth` may do there"))
        }
        status @ (401 | 403) => {
            Err(format!("{url}: it answers {status}: correct the grant's `auth`, or what it may do there"))
        }
        status @ 500.. => Err(format!("{url}: it answers {status}: see its own log")),
        // A server need not have anything at `/`.
        _ => Ok(format!("{url}: reachable")),
    }
}

/// Each account and region by itself.
async fn check_xray(grant: &XrayGrant) -> Vec<Result<String, String>> {
    match Xray::open(grant).await {
        Ok(Xray::Folder(folder)) => {
            vec![Ok(format!("{grant}: recorded traces of {} accounts and regions", folder.places().len()))]
        }
        Ok(Xray::Accounts(accounts)) => join_all(accounts.places().iter().map(|place| in_time(place.check()))).await,
        Err(error) => vec![Err(error.to_string())],
    }
}

/// A file or folder, which a run makes if it is not there.
fn embedded(path: &Path, is_right: fn(&Path) -> bool, what: &str, wanted: &str) -> Result<String, String> {
    if is_right(path) {
        return Ok(format!("{}: {what}", path.display()));
    }
    match path.symlink_metadata() {
        Ok(_) => Err(format!("{} is something else than {wanted}: move it away, or correct the grant", path.display())),
        Err(_) => Ok(format!("{}: {what}, made by the first run", path.display())),
    }
}

/// Asks no longer than a check may take.
pub(crate) async fn in_time<T>(check: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("no answer within {} seconds: is it reachable from here?", LONGEST.as_secs()));
    tokio::time::timeout(LONGEST, check).await.unwrap_or_else(late)
}
