//! What ARCHITECTURE.md promises of the host's source text.

use std::path::Path;

use crate::harness::{files, workspace};

/// The host's files below a folder that hold one of these texts outside of comments and tests, by their paths.
fn holding(folder: &str, texts: &[&str]) -> Vec<String> {
    let root = workspace("host/src");
    let holds = |path: &Path| {
        let source = std::fs::read_to_string(path).expect("a source file");
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.any(|line| texts.iter().any(|text| line.contains(text)))
    };
    let found = files(&root.join(folder)).into_iter().filter(|path| holds(path));
    found.map(|path| path.strip_prefix(&root).expect("below it").display().to_string()).collect()
}

#[test]
fn only_the_engine_makes_a_wasmtime_config() {
    assert_eq!(holding("", &["Config::new()", "wasmtime::Config"]), ["engine.rs"]);
}

#[test]
fn a_pipeline_is_parsed_without_io() {
    let io = [
        "std::fs",
        "fs::",
        "std::env",
        "Tcp",
        "Udp",
        "std::process",
        "tokio",
        "File::",
        ".is_file(",
        ".is_dir(",
        ".exists(",
    ];
    assert_eq!(holding("pipeline", &io), [] as [&str; 0]);
}
