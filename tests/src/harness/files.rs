//! What a run left behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// By id: version and body. Of a document that is there more than once, the highest version.
pub type Documents = BTreeMap<String, (u64, Value)>;

/// A message of an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archived {
    pub raw: Vec<u8>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub sent_at: Option<String>,
}

/// A dead letter with its source message.
#[derive(Clone, Debug)]
pub struct Letter {
    pub reason: String,
    /// The body of the source message.
    pub message: Vec<u8>,
}

/// The lines of every file below a folder, unpacked; none where it is not there.
pub fn lines(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut lines = Vec::new();
    for path in files(folder) {
        let text = String::from_utf8(read(&path)).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "{} is cut short", path.display());
        lines.extend(text.lines().map(|line| (path.clone(), line.to_owned())));
    }
    lines
}

pub fn documents(folder: &Path) -> Documents {
    let mut documents = Documents::new();
    for (path, line) in lines(folder) {
        let mut line: Value = serde_json::from_str(&line).expect("JSON");
        let version = line["version"].as_u64().unwrap_or_else(|| panic!("no version in {}", path.display()));
        let body = line["body"].take();
        let id = line["id"].as_str().expect("an id").to_owned();
        match documents.get(&id) {
            Some((other, same)) if *other == version => assert_eq!(*same, body, "{id} at version {version}"),
            Some((other, _)) if *other > version => {}
            _ => drop(documents.insert(id, (version, body))),
        }
    }
    documents
}

/// Every message of an archive, sorted.
pub fn archived(folder: &Path) -> Vec<Archived> {
    let mut archived: Vec<Archived> = lines(folder)
        .into_iter()
        .map(|(path, line)| {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            let raw = payload(&line);
            assert_eq!(line["sha256"], sha256(&raw), "{}", path.display());
            let label = |name: &str| {
                let value = path.iter().find_map(|part| part.to_str()?.strip_prefix(name)).expect("a label");
                (value != "unknown").then(|| value.to_owned())
            };
            Archived {
                raw,
                account: label("account="),
                region: label("region="),
                sent_at: line["sent_at"].as_str().map(str::to_owned),
            }
        })
        .collect();
    archived.sort();
    archived
}

/// Every letter below a folder.
pub fn letters(folder: &Path) -> Vec<Letter> {
    let mut letters = Vec::new();
    let mut messages = BTreeMap::new();
    for (path, line) in lines(folder) {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        if line["type"] == "message" {
            let body = payload(&line);
            assert_eq!(text("sha256"), Some(sha256(&body)));
            messages.insert((path, sha256(&body)), body);
            continue;
        }
        let message = (path.clone(), text("message").expect("a message"));
        letters.push(Letter {
            reason: text("reason").expect("a reason"),
            message: messages.get(&message).unwrap_or_else(|| panic!("no message before {line}")).clone(),
        });
    }
    letters
}

/// A line of `rayline.archive/1`.
pub fn archive_line(raw: &[u8]) -> Vec<u8> {
    format!("{}\n", json!({ "sha256": sha256(raw), "raw_base64": BASE64_STANDARD.encode(raw) })).into_bytes()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn payload(line: &Value) -> Vec<u8> {
    match (line["raw"].as_str(), line["raw_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(base64)) => BASE64_STANDARD.decode(base64).expect("base64"),
        _ => panic!("neither raw nor raw_base64, or both: {line}"),
    }
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a file");
    let mut plain = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).expect("gzip");
            plain
        }
        Some("zst") => zstd::decode_all(bytes.as_slice()).expect("zstd"),
        _ => bytes,
    }
}

/// Every file below a folder, sorted. What a crash left half written is named `KEY#NUMBER` and is no object.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.to_string_lossy().contains('#') => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}
