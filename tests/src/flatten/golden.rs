//! The documents of every sample, in `tests/golden/NAME.ndjson`: a document a line, then a rejection a line.
//!
//! `RAYLINE_BLESS=1 cargo test --release -p rayline-tests golden` writes them anew from the reference.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{ALL, Input, Outcome, files, message, samples, slow, workspace};

#[test]
fn samples_give_their_golden_documents() {
    let bless = std::env::var_os("RAYLINE_BLESS").is_some();
    for (name, payload) in samples() {
        let path = workspace("tests/golden").join(format!("{name}.ndjson"));
        // As it comes from a collector in an account that the operator knows.
        let said: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let sender_account = ["account_id", "account", "accountId"].iter().find_map(|key| said[*key].as_str());
        let input = Input { sender_account, ..message(&payload) };
        if bless {
            fs::write(&path, lines(&slow(&input))).expect("a golden file");
        }
        let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (implementation, flatten) in ALL {
            let found = lines(&flatten(&input));
            assert!(same_lines(&golden, &found), "{name}: {implementation} gives\n{found}\ninstead of\n{golden}");
        }
    }
}

#[test]
fn every_golden_file_has_its_sample() {
    let samples: BTreeSet<String> = samples().into_iter().map(|(name, _)| name).collect();
    let stem = |path: std::path::PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let golden: BTreeSet<String> = files(&workspace("tests/golden")).into_iter().map(stem).collect();
    assert_eq!(golden, samples);
}

#[test]
fn readme_lists_every_sample() {
    let readme = fs::read_to_string(workspace("docs/samples.md")).expect("the samples' README");
    for (name, _) in samples() {
        let listed =
            name.rsplit_once("-redrive").or(name.rsplit_once("-late")).map_or(name.as_str(), |(first, _)| first);
        assert!(readme.contains(listed), "docs/samples.md does not list {name}");
    }
}

fn lines(outcome: &Outcome) -> String {
    let documents = outcome.documents.iter().map(|document| {
        json!({"kind": document.kind.name(), "id": document.id, "time": document.time_ns, "version": document.version, "body": document.body})
    });
    let rejections = outcome.rejections.iter().map(|rejection| json!({"rejected": rejection.reason}));
    documents.chain(rejections).map(|line| format!("{line}\n")).collect()
}

fn same_lines(a: &str, b: &str) -> bool {
    let values = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    };
    values(a) == values(b)
}
