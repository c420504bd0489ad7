//! Which cargo builds the guests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Result, bail};

use crate::{TARGET, nested};

/// Forces a toolchain: `path` or `debian`. For tests.
const FORCED: &str = "RAYLINE_WASM_TOOLCHAIN";

/// How often, and how many times, to look whether rustup has the target: about three minutes. A machine without a network
/// must not hang.
const LOOK: (Duration, u32) = (Duration::from_millis(100), 1800);

/// A Rust that can build for [`TARGET`].
pub enum Toolchain {
    /// The cargo and rustc on the path, with the target's standard library: rustup's, usually.
    Path,
    /// Debian's second Rust, which builds the standard library from its source.
    Debian {
        /// A linker for WebAssembly: Debian's Rust brings none.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The first that works for the crate in `dir`: rustup reads `rust-toolchain.toml` there.
    pub fn find(dir: &Path) -> Result<Toolchain> {
        let forced = env::var(FORCED).ok();
        match forced.as_deref() {
            Some("debian") => return debian(dir),
            Some("path") | None => {}
            Some(other) => bail!("{FORCED} is {other}: write path or debian"),
        }
        let Some(sysroot) = sysroot(Path::new("rustc"), dir) else {
            return debian(dir).or_else(|_| bail!("there is no Rust: install it from https://rustup.rs"));
        };
        if has_target(&sysroot) || add_target(dir) {
            return Ok(Toolchain::Path);
        }
        debian(dir).or_else(|error| {
            bail!(
                "the Rust in {} cannot build for {TARGET}: run `rustup target add {TARGET}`, or on Debian \
                 `apt install rustc-web cargo-web rust-web-src lld` ({error})",
                sysroot.display()
            )
        })
    }

    /// The cargo to run.
    pub fn cargo(&self) -> &Path {
        match self {
            Toolchain::Path => Path::new("cargo"),
            Toolchain::Debian { .. } => Path::new("/usr/bin/cargo"),
        }
    }

    /// Adds what this toolchain needs beyond the recipe.
    pub fn configure(&self, cargo: &mut Command) {
        if let Toolchain::Debian { linker } = self {
            // RUSTC_BOOTSTRAP: a stable cargo builds the standard library only when told that it may.
            cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            cargo.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
        }
    }
}

fn debian(dir: &Path) -> Result<Toolchain> {
    let Some(sysroot) = sysroot(Path::new("/usr/bin/rustc"), dir) else {
        bail!("there is no /usr/bin/rustc");
    };
    if !Path::new("/usr/bin/cargo").is_file() {
        bail!("there is no /usr/bin/cargo");
    }
    if !sysroot.join("lib/rustlib/src/rust/library/std").is_dir() {
        bail!("{} has no source of the standard library", sysroot.display());
    }
    match linker(dir) {
        Some(linker) => Ok(Toolchain::Debian { linker }),
        None => bail!("there is no linker for WebAssembly: no rust-lld, wasm-ld or lld"),
    }
}

/// Any linker that can do WebAssembly: rustup's own, or LLVM's under one of its names.
fn linker(dir: &Path) -> Option<PathBuf> {
    let rustup = sysroot(Path::new("rustc"), dir).into_iter().flat_map(|sysroot| {
        let targets = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
        targets.map(|target| target.path().join("bin/rust-lld"))
    });
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path =
        env::split_paths(&path).flat_map(|folder| ["rust-lld", "wasm-ld", "lld"].map(|name| folder.join(name)));
    rustup.chain(on_path).find(|candidate| candidate.is_file())
}

fn sysroot(rustc: &Path, dir: &Path) -> Option<PathBuf> {
    let output = nested(rustc).args(["--print", "sysroot"]).current_dir(dir).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

/// Whether rustup could fetch the target. What it says is of no use where it could not: there may be no rustup.
fn add_target(dir: &Path) -> bool {
    let mut rustup = nested(Path::new("rustup"));
    rustup.args(["target", "add", TARGET]).current_dir(dir);
    rustup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = rustup.spawn() else { return false };
    let (pause, times) = LOOK;
    for _ in 0..times {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(pause),
            Err(_) => break,
        }
    }
    // It may have ended by itself in between, which is as good.
    let _ = child.kill();
    let _ = child.wait();
    false
}
