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

/// What a server keeps: the lines of its objects, by their space, type and id.
#[derive(Clone, Default)]
pub struct Objects(Arc<Mutex<BTreeMap<[String; 3], Value>>>);

impl Objects {
    pub fn all(&self) -> BTreeMap<[String; 3], Value> {
        self.0.lock().expect("no panic").clone()
    }

    /// What somebody else does there.
    pub fn put(&self, kind: &str, id: &str, line: Value) {
        self.0.lock().expect("no panic").insert(["", kind, id].map(str::to_owned), line);
    }
}

/// Kibana of this version, for the user `elastic` with the password `secret`, with the space `xray`.
pub fn kibana(version: &'static str) -> impl Fn(&Seen) -> Answer + Clone {
    kibana_with(&Objects::default(), version)
}

/// It has these objects.
pub fn kibana_with(objects: &Objects, version: &'static str) -> impl Fn(&Seen) -> Answer + Clone + use<> {
    let objects = objects.clone();
    move |request| dashboards(request, version, "kbn-xsrf", &objects)
}

/// OpenSearch Dashboards of this version, for the same user.
pub fn opensearch(version: &'static str) -> impl Fn(&Seen) -> Answer + Clone {
    let objects = Objects::default();
    move |request| dashboards(request, version, "osd-xsrf", &objects)
}

fn dashboards(request: &Seen, version: &str, xsrf: &str, objects: &Objects) -> Answer {
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
        ("POST", path) => match path.split_once("/api/saved_objects/_import") {
            Some((space @ ("" | "/s/xray"), query)) => {
                // OpenSearch Dashboards knows what Kibana 7.10 did.
                let known = if xsrf == "osd-xsrf" { (7, 10) } else { two(version) };
                says(200, imported(&file(request), known, space, query == "?overwrite=true", objects))
            }
            _ => says(404, json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"})),
        },
        _ => says(404, json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"})),
    }
}

/// What both programs answer to an import, and keep of it.
fn imported(file: &str, known: (u32, u32), space: &str, overwrites: bool, objects: &Objects) -> Value {
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let place = |line: &Value| {
        [json!(space), line["type"].clone(), line["id"].clone()]
            .map(|text| text.as_str().unwrap_or_default().to_owned())
    };
    let mut there = objects.0.lock().expect("no panic");
    let together: BTreeSet<_> = lines.iter().map(place).chain(there.keys().cloned()).collect();
    let mut errors = Vec::new();
    for line in &lines {
        let references = line["references"].as_array().expect("references");
        let missing: Vec<&Value> = references.iter().filter(|it| !together.contains(&place(it))).collect();
        let error = match flaw(line, known) {
            Some(message) => json!({"type": "unknown", "statusCode": 422, "message": message}),
            None if !missing.is_empty() => json!({"type": "missing_references", "references": missing}),
            None if !overwrites && there.contains_key(&place(line)) => json!({"type": "conflict"}),
            None => {
                there.insert(place(line), line.clone());
                continue;
            }
        };
        errors.push(json!({"type": line["type"], "id": line["id"], "error": error}));
    }
    json!({"success": errors.is_empty(), "successCount": lines.len() - errors.len(), "errors": errors})
}

/// What a server that knows this much does not take of an object.
fn flaw(line: &Value, known: (u32, u32)) -> Option<String> {
    let kind = line["type"].as_str().unwrap_or_default();
    if !["dashboard", "index-pattern", "search", "visualization"].contains(&kind) {
        return Some(format!("Unsupported saved object type: {kind:?}"));
    }
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if !is_text(&line["id"]) || !is_text(&line["attributes"]["title"]) {
        return Some("an object has an id and a title".to_owned());
    }
    // Servers before 8.8 do not look at the stamps of later ones, and take what has no other for one of Kibana 6.
    let mut stamps = vec![&line["migrationVersion"][kind]];
    if known >= (8, 8) {
        stamps.extend([&line["typeMigrationVersion"], &line["coreMigrationVersion"]]);
    }
    let stamps: Vec<(u32, u32)> = stamps.iter().filter_map(|stamp| stamp.as_str()).map(two).collect();
    match stamps.iter().max() {
        None => Some("the object has no version, and is migrated from the first".to_owned()),
        Some(stamp) if *stamp > known => Some(format!("belongs to a more recent version of Kibana {stamp:?}")),
        Some(_) => None,
    }
}

/// Major and minor.
fn two(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().expect("a number"));
    (parts.next().expect("a major"), parts.next().expect("a minor"))
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
