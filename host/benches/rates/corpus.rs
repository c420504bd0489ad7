//! The messages that are measured: recorded ones, without white space as a collector sends them, each copied with ids of
//! its own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rayline::event::{Event, Labels};
use serde_json::{Value, json};

/// Messages of one kind.
pub struct Corpus {
    /// For the names of figures.
    pub name: &'static str,
    /// One JSON text each, without line feeds.
    pub messages: Vec<Vec<u8>>,
}

impl Corpus {
    /// About `bytes` of our own samples: those that have an envelope, and nothing broken in it.
    pub fn samples(root: &Path, bytes: usize) -> Result<Corpus> {
        let folder = root.join("samples/messages");
        let messages = json_files(&folder)?.into_iter().filter(|message| message.get("schema").is_some()).collect();
        Corpus::copied("samples", messages, bytes)
    }

    /// About `bytes` of real traces in an envelope; nothing where there are none.
    pub fn real_traces(root: &Path, bytes: usize) -> Result<Option<Corpus>> {
        let folder = root.join("../shared/xray-data/traces");
        if !folder.is_dir() {
            eprintln!("skipped: there is no {}", folder.display());
            return Ok(None);
        }
        let is_text = |trace: &Value| trace.pointer("/Segments/0/Document").is_some_and(Value::is_string);
        let mut messages = Vec::new();
        for file in json_files(&folder)? {
            let traces = file.get("Traces").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![file]);
            for trace in traces.into_iter().filter(is_text) {
                messages.push(json!({"schema": "rayline.raw/1", "account_id": "111122223333", "region": "eu-west-1",
                    "collected_at": "2026-11-01T12:00:00Z", "verdict": "settled", "executions": [], "trace": trace}));
            }
        }
        Corpus::copied("real traces", messages, bytes).map(Some)
    }

    fn copied(name: &'static str, messages: Vec<Value>, bytes: usize) -> Result<Corpus> {
        let originals: Vec<String> = messages.iter().map(Value::to_string).collect();
        let size: usize = originals.iter().map(String::len).sum();
        if size == 0 {
            bail!("there are no messages: {name}");
        }
        let copies = bytes.div_ceil(size);
        let messages = (0..copies).flat_map(|copy| originals.iter().map(move |text| with_other_ids(text, copy)));
        Ok(Corpus { name, messages: messages.collect() })
    }

    /// How many bytes all messages have.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Vec::len).sum()
    }

    /// The messages as `queue-source` hands them on.
    pub fn events(&self) -> Vec<Event> {
        let labels: Labels =
            [("account", "111122223333"), ("region", "eu-west-1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let attrs = r#"{"message_id":"5f0c1c1e-000000000001","sent_at":"2026-12-31T12:00:00.123Z","received_at":"2026-12-31T12:00:01.234Z","receive_count":1}"#;
        let id = Bytes::from_static(b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let event = |message: &Vec<u8>| Event {
            labels: Arc::clone(&labels),
            id: id.clone(),
            attrs: Bytes::from_static(attrs.as_bytes()),
            body: Bytes::from(message.clone()),
            time: 1_795_176_000_000_000_000,
            version: 0,
        };
        self.messages.iter().map(event).collect()
    }
}

/// Events in batches like those of the host.
pub fn batches(events: Vec<Event>, max_bytes: usize, max_events: usize) -> Vec<Vec<Event>> {
    let mut batches: Vec<Vec<Event>> = Vec::new();
    let mut bytes = usize::MAX;
    for event in events {
        let size = event.bytes();
        match batches.last_mut() {
            Some(batch) if bytes + size <= max_bytes && batch.len() < max_events => {
                bytes += size;
                batch.push(event);
            }
            _ => {
                bytes = size;
                batches.push(vec![event]);
            }
        }
    }
    batches
}

/// What a transform gets at once by default: bytes and events.
pub const TRANSFORM_BATCH: (usize, usize) = (1 << 20, 1000);

/// The JSON files of a folder, by name, but for those that are broken by intent.
fn json_files(folder: &Path) -> Result<Vec<Value>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    let is_broken = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"broken-"));
    let is_json = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    let whole = files.iter().filter(|path| is_json(path) && !is_broken(path));
    whole
        .map(|path| {
            let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))
        })
        .collect()
}

/// Trace and segment ids are runs of 16 and 24 hexadecimal digits. The same id becomes the same other id.
fn with_other_ids(text: &str, copy: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for run in bytes.chunk_by_mut(|a, b| is_hex(*a) == is_hex(*b)) {
        let is_number = run.iter().all(u8::is_ascii_digit);
        if run.first().copied().is_some_and(is_hex) && !is_number && matches!(run.len(), 16 | 24) {
            for (digit, shift) in run.iter_mut().zip((0..16).step_by(4)) {
                let value = (char::from(*digit).to_digit(16).unwrap_or_default() as usize + (copy >> shift)) & 15;
                *digit = *b"0123456789abcdef".get(value).unwrap_or(&b'0');
            }
        }
    }
    bytes
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
