//! A server that answers as Kibana and OpenSearch Dashboards do, and keeps what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// One answer: status, headers, body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

/// The running server. Stopped when dropped.
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn start(answer: impl Fn(&Seen) -> Answer + Clone + Send + Sync + 'static) -> Recorder {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let handle = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let text = |value: &axum::http::HeaderValue| value.to_str().expect("text").to_owned();
            let request = Seen {
                method: method.to_string(),
                path: uri.to_string(),
                headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
                body: String::from_utf8(body.to_vec()).expect("UTF-8"),
            };
            let answer = answer(&request);
            kept.lock().expect("no panic").push(request);
            async { respond(answer) }
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                let server = axum::serve(listener, Router::new().fallback(handle));
                tokio::select! { _ = server => {}, _ = stopped => {} }
            });
        });
        Recorder { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn respond((status, headers, body): Answer) -> Response {
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    response
}

/// Answers with JSON.
pub fn says(status: u16, body: Value) -> Answer {
    (status, vec![("content-type", "application/json; charset=utf-8".to_owned())], body.to_string())
}

/// Kibana of this version, for the user `elastic` with the password `secret`, with the space `xray`.
pub fn kibana(version: &'static str) -> impl Fn(&Seen) -> Answer + Clone {
    move |request| dashboards(request, version, "kbn-xsrf")
}

/// OpenSearch Dashboards of this version, for the same user.
pub fn opensearch(version: &'static str) -> impl Fn(&Seen) -> Answer + Clone {
    move |request| dashboards(request, version, "osd-xsrf")
}

fn dashboards(request: &Seen, version: &str, xsrf: &str) -> Answer {
    // elastic:secret
    if request.headers.get("authorization").map(String::as_str) != Some("Basic ZWxhc3RpYzpzZWNyZXQ=") {
        return says(401, json!({"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}));
    }
    if request.method == "POST" && !request.headers.contains_key(xsrf) {
        let message = format!("Request must contain a {xsrf} header.");
        return says(400, json!({"statusCode": 400, "error": "Bad Request", "message": message}));
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/status") => says(
            200,
            json!({"name": "dashboards", "uuid": "5b2de169", "version": {"number": version, "build_number": 1},
                   "status": {"overall": {"level": "available", "state": "green"}}}),
        ),
        ("GET", "/api/spaces/space/xray") => says(200, json!({"id": "xray", "name": "X-Ray", "disabledFeatures": []})),
        ("POST", "/api/saved_objects/_import?overwrite=true" | "/s/xray/api/saved_objects/_import?overwrite=true") => {
            says(200, imported(&file(request)))
        }
        _ => says(404, json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"})),
    }
}

/// What both programs answer to an import into an empty server.
fn imported(file: &str) -> Value {
    let objects: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let place = |object: &Value| (object["type"].to_string(), object["id"].to_string());
    let there: BTreeSet<_> = objects.iter().map(place).collect();
    let mut errors = Vec::new();
    for object in &objects {
        let references = object["references"].as_array().expect("references");
        let missing: Vec<&Value> = references.iter().filter(|reference| !there.contains(&place(reference))).collect();
        if !missing.is_empty() {
            errors.push(json!({"type": object["type"], "id": object["id"],
                               "error": {"type": "missing_references", "references": missing}}));
        }
    }
    json!({"success": errors.is_empty(), "successCount": objects.len() - errors.len(), "errors": errors})
}

/// The one part of a multipart body, read as RFC 7578 says.
pub fn file(request: &Seen) -> String {
    let (kind, boundary) = request.headers["content-type"].split_once("; boundary=").expect("a boundary");
    assert_eq!(kind, "multipart/form-data");
    let inside = request.body.strip_prefix(&format!("--{boundary}\r\n")).expect("a first boundary");
    let inside = inside.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("a last boundary");
    assert!(!inside.contains(boundary), "one part");
    let (head, file) = inside.split_once("\r\n\r\n").expect("a head");
    let disposition = "Content-Disposition: form-data; name=\"file\"; filename=\"rayline.ndjson\"";
    assert!(head.lines().any(|line| line == disposition), "{head}");
    file.to_owned()
}
