//! What `make bench` measures, as ratios within one run. Nothing here is a test: it prints a table, writes
//! `target/bench.json`, and ends well whether or not the aims are met.
//!
//! - `report`: figures, aims, the table and the file. `clock`: CPU time. `host`: the host as a process. `corpus`: the
//!   messages. `component`: one stage driven alone.
//! - `transforms`: `flatten` and a lean transform in wasm against the same code native.
//! - `crossing`: what it costs to give an event to a guest and to get it back.
//! - `pipeline`: the whole pipeline against the sum of its parts, and with a slow archive batch.
//! - `central`: the log account's pipeline, against an index that only answers and against a real one.
//! - `collect`: executions of twenty accounts, and a million that wait.
//! - `start`: from the start of the process to the first event.

#![forbid(unsafe_code)]

mod central;
mod clock;
mod collect;
mod component;
mod corpus;
mod crossing;
mod host;
mod pipeline;
mod report;
mod start;
mod transforms;

/// Real servers, as the tests have them.
#[cfg(test)]
#[allow(dead_code, unused_imports)]
#[path = "../../../tests/src/servers/mod.rs"]
mod servers;

/// X-Ray and Step Functions, as the tests have them.
#[cfg(test)]
#[allow(dead_code, unused_imports)]
#[path = "../../../tests/src/collect/fake/mod.rs"]
mod fake;

/// What they ask of the tests.
mod harness {
    use std::path::{Path, PathBuf};

    /// A file of the workspace.
    pub fn workspace(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    /// Says what is left out here.
    pub fn skip(reason: &str) {
        eprintln!("skipped: {reason}");
    }

    /// `target/release`.
    pub fn target() -> PathBuf {
        Path::new(env!("CARGO_BIN_EXE_rayline")).parent().map(Path::to_owned).unwrap_or_default()
    }
}

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::component::Components;
use crate::report::Report;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the host is not in a workspace")?;
    let place = Place::new(root)?;
    let components = Components::new(&place)?;
    let mut report = Report::default();
    // `cargo bench … --bench rates -- crossing start` measures only these. Cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for (name, measure) in MEASUREMENTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            measure(&place, &components, &mut report)?;
        }
    }
    report.print();
    report.write(&place.target.join("bench.json"))
}

type Measure = fn(&Place, &Components, &mut Report) -> Result<()>;

const MEASUREMENTS: [(&str, Measure); 6] = [
    ("transforms", transforms::measure),
    ("crossing", crossing::measure),
    ("pipeline", pipeline::measure),
    ("central", central::measure),
    ("collect", collect::measure),
    ("start", start::measure),
];

/// Where things are.
pub struct Place {
    /// The workspace.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The host's binary.
    pub rayline: PathBuf,
}

impl Place {
    fn new(root: &Path) -> Result<Place> {
        let rayline = PathBuf::from(env!("CARGO_BIN_EXE_rayline"));
        let target = rayline.ancestors().nth(2).context("the binary is not in target/release")?.to_owned();
        Ok(Place { root: root.to_owned(), target, rayline })
    }

    /// A folder of our own in the target folder, empty.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("bench").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}
