//! Builds the stages we ship and writes `shipped.rs`, which embeds them in the binary.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rayline_builder::Progress;

/// The stages we ship: one package in `plugins/` each.
const SHIPPED: [&str; 9] = [
    "archive-sink",
    "archive-source",
    "elasticsearch-sink",
    "file-sink",
    "flatten",
    "print-sink",
    "queue-sink",
    "queue-source",
    "xray-source",
];

fn main() -> Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(variable("OUT_DIR")?);
    // TARGET_DIR/release/build/rayline-HASH/out: beside the profiles the guests are kept from one build to the next,
    // whatever changes in the hash.
    let target_dir = out.ancestors().nth(4).unwrap_or(&out).join("guests");

    for path in ["Cargo.toml", "Cargo.lock", "wit"].iter().map(Path::new) {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    for package in SHIPPED.iter().chain(&["sdk", "message"]) {
        println!("cargo::rerun-if-changed={}", root.join("plugins").join(package).display());
    }

    let mut components = rayline_builder::build(&root, &SHIPPED, &target_dir, Progress::OnFailure)
        .context("cannot build the stages that are shipped with the host")?;

    components.sort_by(|a, b| a.package.cmp(&b.package));
    let mut source = String::from(
        "/// The stages shipped with the host: name and component.\npub static SHIPPED: &[(&str, &[u8])] = &[\n",
    );
    for component in components {
        writeln!(source, "    ({:?}, include_bytes!({:?})),", component.package, component.path)?;
    }
    source.push_str("];\n");
    let file = out.join("shipped.rs");
    fs::write(&file, source).with_context(|| format!("cannot write {}", file.display()))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: build scripts are run by cargo"))
}
