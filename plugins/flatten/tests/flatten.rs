//! Whole messages in, documents and rejections out.

use std::fs;
use std::path::{Path, PathBuf};

use flatten::{Flattener, Head, Input, Options, Output, Payloads};
use serde_json::{Value, json};

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    begin: usize,
    documents: Vec<Document>,
    rejected: Vec<(String, Option<String>)>,
}

struct Document {
    kind: &'static str,
    id: String,
    time: i64,
    version: u64,
    body: Value,
}

impl Output for Collected {
    fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn finish(&mut self, head: &Head<'_>) {
        let body = &self.bytes[self.begin..];
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)));
        let keys = value.as_object().unwrap().len();
        let written = body.len() - serde_json::to_vec(&value).unwrap().len();
        assert!(written == 0 || keys > 0, "no key is written twice");
        self.begin = self.bytes.len();
        let Head { kind, id, time, version, .. } = *head;
        self.documents.push(Document { kind, id: id.into(), time, version, body: value });
    }

    fn reject(&mut self, reason: &str, part: Option<&[u8]>) {
        self.rejected.push((reason.into(), part.map(|part| String::from_utf8(part.into()).unwrap())));
    }
}

fn flatten(payload: &[u8]) -> Collected {
    flatten_with(&Input { payload, sha256: SHA, ..Input::default() }, Options::default())
}

fn flatten_with(input: &Input<'_>, options: Options) -> Collected {
    let mut out = Collected::default();
    Flattener::new(options).flatten(input, &mut out);
    out
}

fn message(payload: Value) -> Collected {
    flatten(payload.to_string().as_bytes())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/xray-data").join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn real_files_have_no_rejections() {
    for file in files("traces").into_iter().chain(files("segments")) {
        let out = flatten(&fs::read(&file).unwrap());
        assert_eq!(out.rejected, [], "{}", file.display());
        assert!(!out.documents.is_empty(), "{}", file.display());
    }
}
