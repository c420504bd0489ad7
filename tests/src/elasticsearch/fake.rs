//! An index that answers as a healthy cluster never does: for everything else there are real ones.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::harness::Documents;

/// A server on a free port. Its threads end with the test process.
pub struct Fake {
    pub url: String,
    shared: Arc<Shared>,
}

/// What one request asks for.
pub struct Bulk {
    /// How many requests came before.
    pub number: usize,
    pub ids: Vec<String>,
}

/// How it is answered. Documents that are [`bad`] are refused whenever others are written.
#[derive(Clone, Copy)]
pub enum Reply {
    Written,
    /// Every other document is not written for now.
    Busy,
    /// Nothing is written, and this is the whole answer.
    Refused(u16, &'static str),
    /// All is written, and half of the answer sent.
    Cut,
    /// All is written, and the answer says nothing of the last document.
    Short,
}

/// Which documents the server never takes.
pub fn bad(id: &str) -> bool {
    id.ends_with('7')
}

struct Shared {
    rule: Box<dyn Fn(&Bulk) -> Reply + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: usize,
    documents: Documents,
}

impl Fake {
    pub fn start(rule: impl Fn(&Bulk) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { rule: Box::new(rule), state: Mutex::default() });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serve(&stream, &serving));
            }
        });
        Fake { url, shared }
    }

    /// What was written.
    pub fn documents(&self) -> Documents {
        self.shared.state.lock().expect("no server fails here").documents.clone()
    }

    pub fn requests(&self) -> usize {
        self.shared.state.lock().expect("no server fails here").requests
    }
}

/// Answers the requests of one connection, until either side closes it.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (path, body) = read(&mut reader)?;
        assert!(path.starts_with("/_bulk?"), "{path}");
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let documents: Vec<(String, u64, &Value)> =
            lines.chunks(2).map(|pair| (text(&pair[0], "_id"), version(&pair[0]), &pair[1])).collect();
        let number = {
            let mut state = shared.state.lock().expect("no server fails here");
            state.requests += 1;
            state.requests - 1
        };
        let bulk = Bulk { number, ids: documents.iter().map(|(id, _, _)| id.clone()).collect() };
        let reply = (shared.rule)(&bulk);
        if let Reply::Refused(status, body) = reply {
            write!(&*stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()?;
            continue;
        }
        let mut items: Vec<Value> = Vec::new();
        for (place, (id, version, body)) in documents.into_iter().enumerate() {
            let status = match reply {
                _ if bad(&id) => 400,
                Reply::Busy if place % 2 == 1 => 429,
                _ => take(shared, id, version, body.clone()),
            };
            let error = json!({ "type": "some_exception", "reason": "said the test" });
            let item =
                if status < 300 { json!({ "status": status }) } else { json!({ "status": status, "error": error }) };
            items.push(json!({ "index": item }));
        }
        if matches!(reply, Reply::Short) {
            items.pop();
        }
        let answer = json!({ "items": items }).to_string();
        write!(&*stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len()).ok()?;
        if matches!(reply, Reply::Cut) {
            (&*stream).write_all(&answer.as_bytes()[..answer.len() / 2]).ok()?;
            return None;
        }
        (&*stream).write_all(answer.as_bytes()).ok()?;
    }
}

/// Takes a document unless a later version of it is there.
fn take(shared: &Shared, id: String, version: u64, body: Value) -> u16 {
    let documents = &mut shared.state.lock().expect("no server fails here").documents;
    match documents.get(&id) {
        Some((other, _)) if *other > version => 409,
        Some(_) => {
            documents.insert(id, (version, body));
            200
        }
        None => {
            documents.insert(id, (version, body));
            201
        }
    }
}

/// Path and unpacked body of the next request.
fn read(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["content-encoding"], "gzip");
    let mut packed = vec![0; headers["content-length"].parse().expect("a length")];
    reader.read_exact(&mut packed).ok()?;
    let mut body = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut body).expect("gzip of UTF-8");
    Some((path, body))
}

fn text(action: &Value, name: &str) -> String {
    action["index"][name].as_str().unwrap_or_else(|| panic!("no {name} in {action}")).to_owned()
}

fn version(action: &Value) -> u64 {
    assert_eq!(action["index"]["version_type"], "external_gte");
    action["index"]["version"].as_u64().unwrap_or_else(|| panic!("no version in {action}"))
}
