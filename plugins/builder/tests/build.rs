//! What a user is told of a crate that makes no stage. That crates make stages is shown by every stage we ship.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use rayline_builder::{Progress, build};

/// What is said of a crate without dependencies.
fn told(name: &str, manifest: &str, source: &str) -> String {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    let package = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n");
    fs::write(dir.join("Cargo.toml"), package + manifest).unwrap();
    fs::write(dir.join("src/lib.rs"), source).unwrap();
    format!("{:#}", build(&dir, &[], &target_dir(), Progress::OnFailure).unwrap_err())
}

fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}

#[test]
fn a_folder_without_a_crate() {
    let error = build(Path::new("/"), &[], &target_dir(), Progress::OnFailure).unwrap_err();
    assert_eq!(error.to_string(), "there is no Cargo.toml in /: give the folder of a Rust crate");
}

#[test]
fn a_library_for_rust_only() {
    let told = told("rust-only", "", "");
    assert!(told.ends_with("it needs crate-type = [\"cdylib\"] under [lib] in its Cargo.toml"), "{told}");
}

#[test]
fn a_module_that_is_no_stage() {
    let told = told("no-stage", "[lib]\ncrate-type = [\"cdylib\"]", "#[unsafe(no_mangle)] pub extern \"C\" fn f() {}");
    assert!(told.starts_with("package no-stage is not a stage: it exports nothing of rayline:stage"), "{told}");
}

#[test]
fn a_crate_that_does_not_compile() {
    let told = told("broken", "[lib]\ncrate-type = [\"cdylib\"]", "fn f() -> u8 { }");
    assert!(told.contains("mismatched types"), "{told}");
}
