//! What `flatten` makes of messages.
//!
//! Whatever is said here of documents is said of both implementations: the fast one that is shipped, and the slow
//! reference.

mod arrival;
mod differential;
mod executions;
mod fast;
mod fields;
mod generated;
mod golden;
mod mutate;
mod property;
mod real;
mod recipe;
mod traces;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use serde_json::Value;

use crate::harness::files;
use crate::reference::{self, Document, Input, Payloads, Rejection};

/// What became of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Sorted by kind, id and version.
    pub documents: Vec<Document>,
    /// Sorted by reason.
    pub rejections: Vec<Rejection>,
}

/// An implementation of `docs/documents.md`.
pub type Flatten = fn(&Input) -> Outcome;

/// All implementations.
pub const ALL: [(&str, Flatten); 2] = [("reference", slow), ("flatten", fast::flatten)];

pub fn slow(input: &Input) -> Outcome {
    let (documents, rejections) = reference::reference(input);
    Outcome::new(documents, rejections)
}

impl Outcome {
    fn new(mut documents: Vec<Document>, mut rejections: Vec<Rejection>) -> Self {
        // In a list of messages an id can stand for several states of a document.
        documents.sort_by_cached_key(|document| {
            (
                document.kind.name(),
                document.id.clone(),
                document.version,
                Value::from(document.body.clone()).to_string(),
            )
        });
        rejections.sort_by(|a, b| a.reason.cmp(&b.reason));
        Outcome { documents, rejections }
    }

    pub fn reasons(&self) -> Vec<&str> {
        self.rejections.iter().map(|rejection| rejection.reason.as_str()).collect()
    }
}

/// A message of which nothing is known from outside.
pub fn message(payload: &[u8]) -> Input<'_> {
    Input {
        payload,
        account: None,
        region: None,
        sender_account: None,
        sent_at_ms: None,
        payloads: Payloads::Truncated,
    }
}

/// The file `tests/golden/…` and its like.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Our recorded messages by name, after what the transport does to them.
pub fn samples() -> Vec<(String, Vec<u8>)> {
    let mut samples: Vec<(String, Vec<u8>)> = files(&workspace("samples/messages"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension != "md"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let bytes = fs::read(&path).expect("a sample");
            (name, if path.extension().is_some_and(|extension| extension == "txt") { unpack(&bytes) } else { bytes })
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 30, "the samples are in {}", workspace("samples/messages").display());
    samples
}

pub fn sample(name: &str) -> Vec<u8> {
    let found = samples().into_iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no sample {name}")).1
}

/// Traces and documents from real accounts, by path below the folder; none where the folder is not there.
pub fn real_data() -> Vec<(String, Vec<u8>)> {
    let folder = workspace("../shared/xray-data");
    if !folder.is_dir() {
        crate::harness::skip(&format!("there is no {}", folder.display()));
        return Vec::new();
    }
    let mut data: Vec<(String, Vec<u8>)> = files(&folder)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).expect("below the folder").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a file"))
        })
        .collect();
    data.sort();
    data
}

/// gzip in base64, as messages over the queue's limit are sent.
fn unpack(text: &[u8]) -> Vec<u8> {
    let packed = BASE64_STANDARD.decode(text.trim_ascii()).expect("base64");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
    bytes
}
