//! Components that the tests build, each once in a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use super::{binary, target, workspace};
use crate::servers::run;

/// A guest of `tests/guests`, by the name of its package.
pub fn guest(name: &str) -> PathBuf {
    build("tests/guests").join(format!("{name}.wasm"))
}

/// Builds a crate or workspace with `rayline plugin build`; returns the folder of its components.
pub fn build(folder: &str) -> PathBuf {
    type Built = BTreeMap<String, Arc<OnceLock<PathBuf>>>;
    static BUILT: Mutex<Built> = Mutex::new(Built::new());
    let once = BUILT.lock().expect("no test fails here").entry(folder.to_owned()).or_default().clone();
    once.get_or_init(|| {
        let out = target().join("test-guests").join(folder);
        std::fs::create_dir_all(&out).expect("a folder");
        let crate_folder = workspace(folder).canonicalize().expect("a crate");
        // Without a limit: cargo waits for others of its kind, and may have much to compile.
        run(Command::new(binary()).args(["plugin", "build"]).arg(crate_folder).current_dir(&out));
        out
    })
    .clone()
}

/// Builds a guest of `tests/guests` for `wasm32-wasip2`, as cargo does by itself: no recipe of ours.
pub fn wasip2_guest(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let out = target().join("test-guests/wasip2");
    run(Command::new("cargo")
        .args(["build", "--release", "--target", "wasm32-wasip2", "-p", name, "--target-dir"])
        .arg(&out)
        .current_dir(workspace("tests/guests"))
        .env_remove("CARGO_TARGET_DIR"));
    out.join("wasm32-wasip2/release").join(name.replace('-', "_")).with_extension("wasm")
}

/// Whether Rust can build for a target here.
pub fn target_is_installed(target: &str) -> bool {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    rustc.is_ok_and(|rustc| Path::new(String::from_utf8_lossy(&rustc.stdout).trim()).is_dir())
}
