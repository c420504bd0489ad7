//! Queue, bucket and index that do nothing but answer, on the bench's own runtime.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Read;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::corpus::Corpus;

/// Messages as SQS puts them into an answer.
#[derive(Clone)]
pub struct Messages {
    written: Arc<Vec<String>>,
    count: usize,
}

impl Messages {
    pub fn new(corpus: Corpus) -> Messages {
        let written: Vec<String> = corpus.messages.iter().enumerate().map(|(n, body)| message(n, body)).collect();
        Messages { count: written.len(), written: Arc::new(written) }
    }

    /// Only so many of them.
    pub fn first(&self, count: usize) -> Messages {
        Messages { written: self.written.clone(), count: count.min(self.count) }
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

/// Sent after everything in the samples was collected, with the account and region that a collector sets.
fn message(number: usize, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        account_id: &'a str,
        region: &'a str,
    }
    let own = serde_json::from_slice(body).map_or(Value::Null, |Envelope { account_id, region }| {
        let text = |text| json!({ "DataType": "String", "StringValue": text });
        json!({ "account": text(account_id), "region": text(region) })
    });
    let message = json!({
        "MessageId": format!("5f0c1c1e-0000-4000-8000-{number:012}"),
        "ReceiptHandle": number.to_string(),
        "Body": String::from_utf8_lossy(body),
        "Attributes": {
            "SenderId": "AROAEXAMPLEEXAMPLE123:collector",
            "SentTimestamp": "1798718400123",
            "ApproximateReceiveCount": "1",
            "ApproximateFirstReceiveTimestamp": "1798718401234",
        },
        "MessageAttributes": own,
    });
    message.to_string()
}

/// A queue of SQS. What is received stays invisible for good, unless it is given back.
pub struct Queue {
    /// For `url` of a grant.
    pub url: String,
    shared: Arc<Queued>,
}

struct Queued {
    messages: Messages,
    waiting: Mutex<VecDeque<usize>>,
    deleted: AtomicUsize,
}

impl Queue {
    /// A queue with these messages.
    pub fn serve(runtime: &Runtime, messages: &Messages) -> Result<Queue> {
        let waiting = Mutex::new((0..messages.len()).collect());
        let shared = Arc::new(Queued { messages: messages.clone(), waiting, deleted: AtomicUsize::new(0) });
        let address = serve(runtime, Router::new().fallback(answer_of_sqs).with_state(shared.clone()))?;
        Ok(Queue { url: format!("{address}/111122223333/xray-inbox"), shared })
    }

    /// How many messages are deleted.
    pub fn deleted(&self) -> usize {
        self.shared.deleted.load(Ordering::Relaxed)
    }
}

/// What SQS takes and gives at once.
const BATCH: usize = 10;
/// An answer has at most so many bytes of messages.
const ANSWER_BYTES: usize = 1 << 20;
/// How long a poll waits for a first message. SQS would wait longer, and the end of each run with it.
const POLL: Duration = Duration::from_millis(500);

async fn answer_of_sqs(State(queue): State<Arc<Queued>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let answer = match target.trim_start_matches("AmazonSQS.") {
        "ReceiveMessage" => queue.receive().await,
        "DeleteMessageBatch" => {
            let input: Value = serde_json::from_slice(&body).unwrap_or_default();
            queue.deleted.fetch_add(entries(&input).count(), Ordering::Relaxed);
            done(&input)
        }
        "ChangeMessageVisibilityBatch" => {
            let input: Value = serde_json::from_slice(&body).unwrap_or_default();
            let released = entries(&input).filter(|entry| entry.get("VisibilityTimeout") == Some(&json!(0)));
            queue
                .waiting()
                .extend(released.filter_map(|entry| entry.get("ReceiptHandle")?.as_str()?.parse::<usize>().ok()));
            done(&input)
        }
        "GetQueueAttributes" => queue.attributes(),
        _ => return (StatusCode::BAD_REQUEST, r#"{"__type":"InvalidAction"}"#).into_response(),
    };
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer).into_response()
}

impl Queued {
    async fn receive(&self) -> String {
        let until = Instant::now() + POLL;
        loop {
            let answer = self.take();
            if answer.is_some() || Instant::now() > until {
                return answer.unwrap_or_else(|| "{}".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn take(&self) -> Option<String> {
        let mut answer = String::new();
        let mut waiting = self.waiting();
        for _ in 0..BATCH {
            let Some(message) = waiting.front().and_then(|&number| self.messages.written.get(number)) else { break };
            if !answer.is_empty() && answer.len() + message.len() > ANSWER_BYTES {
                break;
            }
            answer += if answer.is_empty() { r#"{"Messages":["# } else { "," };
            answer += message;
            waiting.pop_front();
        }
        (!answer.is_empty()).then(|| answer + "]}")
    }

    fn attributes(&self) -> String {
        let waiting = self.waiting().len();
        let held = self.messages.len() - waiting - self.deleted.load(Ordering::Relaxed);
        let attributes = json!({
            "MaximumMessageSize": "1048576",
            "VisibilityTimeout": "120",
            "ApproximateNumberOfMessages": waiting.to_string(),
            "ApproximateNumberOfMessagesNotVisible": held.to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
        });
        json!({ "Attributes": attributes }).to_string()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entries(input: &Value) -> impl Iterator<Item = &Value> {
    input.get("Entries").and_then(Value::as_array).into_iter().flatten()
}

/// All entries went well.
fn done(input: &Value) -> String {
    let done: Vec<Value> = entries(input).map(|entry| json!({ "Id": entry.get("Id") })).collect();
    json!({ "Successful": done, "Failed": [] }).to_string()
}

/// An S3 that takes everything, keeps nothing and is empty when asked.
pub struct Bucket {
    /// Its address, for a bucket of any name.
    pub url: String,
    dead_letters: Arc<AtomicUsize>,
}

impl Bucket {
    pub fn serve(runtime: &Runtime) -> Result<Bucket> {
        let dead_letters = Arc::new(AtomicUsize::new(0));
        let url = serve(runtime, Router::new().fallback(answer_of_s3).with_state(dead_letters.clone()))?;
        Ok(Bucket { url, dead_letters })
    }

    /// How many objects with dead letters were written.
    pub fn dead_letters(&self) -> usize {
        self.dead_letters.load(Ordering::Relaxed)
    }
}

async fn answer_of_s3(
    State(dead_letters): State<Arc<AtomicUsize>>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    _body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let is = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    let xml = |text: &'static str| ([(header::CONTENT_TYPE, "application/xml")], text).into_response();
    match method {
        Method::PUT => {
            dead_letters.fetch_add(usize::from(uri.path().starts_with("/bench/dead/")), Ordering::Relaxed);
            [(header::ETAG, "\"0\"")].into_response()
        }
        Method::POST if is("uploads") => xml(
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>1</UploadId></InitiateMultipartUploadResult>",
        ),
        Method::POST => xml(
            "<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>\"0\"</ETag></CompleteMultipartUploadResult>",
        ),
        Method::DELETE => StatusCode::NO_CONTENT.into_response(),
        Method::GET if is("list-type") => xml(
            "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>",
        ),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An index that says of each document that it has it.
pub struct Index {
    /// Its address.
    pub url: String,
    documents: Arc<AtomicU64>,
}

impl Index {
    pub fn serve(runtime: &Runtime) -> Result<Index> {
        let documents = Arc::new(AtomicU64::new(0));
        let url = serve(runtime, Router::new().fallback(answer_of_index).with_state(documents.clone()))?;
        Ok(Index { url, documents })
    }

    /// How many documents it has; from now on none.
    pub fn reset(&self) -> u64 {
        self.documents.swap(0, Ordering::Relaxed)
    }
}

async fn answer_of_index(State(documents): State<Arc<AtomicU64>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut lines = 0;
    let mut count = |bytes: &[u8]| lines += line_feeds(bytes);
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        let mut decoder = GzDecoder::new(&*body);
        let mut part = vec![0; 64 << 10];
        loop {
            match decoder.read(&mut part) {
                Ok(0) => break,
                Ok(bytes) => count(part.get(..bytes).unwrap_or_default()),
                Err(_) => return StatusCode::BAD_REQUEST.into_response(),
            }
        }
    } else {
        count(&body);
    }
    let items = lines / 2;
    let mut answer = String::with_capacity(30 * items + 20);
    answer += "{\"items\":[";
    for item in 0..items {
        // Writing into memory does not fail.
        let _ = write!(answer, "{}{{\"index\":{{\"status\":201}}}}", if item > 0 { "," } else { "" });
    }
    answer += "]}";
    documents.fetch_add(items as u64, Ordering::Relaxed);
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Serves on a free port of 127.0.0.1 until the runtime ends; returns the address.
fn serve(runtime: &Runtime, router: Router) -> Result<String> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = format!("http://{}", listener.local_addr()?);
    runtime.spawn(async move { axum::serve(listener, router.layer(DefaultBodyLimit::disable())).await });
    Ok(address)
}
