//! Components that the tests build, each once in a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use super::{Invocation, target, workspace};

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
        Invocation::new(&out, &["plugin", "build", crate_folder.to_str().expect("UTF-8")]).succeeds();
        out
    })
    .clone()
}

/// Whether Rust can build for a target here.
pub fn target_is_installed(target: &str) -> bool {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    rustc.is_ok_and(|rustc| Path::new(String::from_utf8_lossy(&rustc.stdout).trim()).is_dir())
}
