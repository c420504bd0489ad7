//! Makes components of Rust crates: the one place that holds the recipe.
//!
//! A guest is built for `wasm32-unknown-unknown`, with no WASI adapter, so that it imports nothing that it did not ask
//! for. The recipe goes to cargo by environment variables, so that it holds for any crate, whatever its own profiles say.
//!
//! - [`build`]: one nested cargo for all packages, then one component for each.
//! - `toolchain`: which cargo, and what to install where there is none.
//! - `component`: from a core module to a component, and whether it is a stage at all.

mod component;
mod toolchain;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use toolchain::Toolchain;

/// The target of every guest.
const TARGET: &str = "wasm32-unknown-unknown";

/// SIMD is what makes JSON fast in a guest, and every host has it.
const RUSTFLAGS: &str = "-Ctarget-feature=+simd128";

/// What the release profile becomes. The names of functions stay: they are what a trap is reported with.
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name of the package that it was made of.
    pub package: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What becomes of cargo's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes to standard error as it comes.
    Shown,
    /// It is part of the error if the build fails.
    OnFailure,
}

/// Builds packages of the crate or workspace in `dir` and writes `target_dir/components/PACKAGE.wasm` for each. With no
/// `packages` named it builds the package in `dir`, or all default members of the workspace there.
///
/// May be called from a build script. `target_dir` must be none that a running cargo uses: it would wait for itself.
///
/// # Errors
///
/// There is no toolchain (the error says what to install), cargo fails, or a package does not make a stage of this
/// version of the contract.
pub fn build(dir: &Path, packages: &[&str], target_dir: &Path, progress: Progress) -> Result<Vec<Component>> {
    if !dir.join("Cargo.toml").is_file() {
        bail!("there is no Cargo.toml in {}: give the folder of a Rust crate", dir.display());
    }
    let mut modules = compile(dir, packages, target_dir, progress)?;
    // A stage may use another one as a library, and cargo makes a module of that too.
    modules.retain(|module| packages.is_empty() || packages.contains(&module.package.as_str()));
    let built: BTreeSet<&str> = modules.iter().map(|module| module.package.as_str()).collect();
    if let Some(missing) = packages.iter().find(|package| !built.contains(*package)) {
        bail!("package {missing} makes no component: it needs crate-type = [\"cdylib\"] under [lib] in its Cargo.toml");
    }
    if modules.is_empty() {
        let dir = dir.display();
        bail!("{dir} makes no component: it needs crate-type = [\"cdylib\"] under [lib] in its Cargo.toml");
    }

    let folder = target_dir.join("components");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    modules.into_iter().map(|module| finish(module, &folder)).collect()
}

fn finish(module: Component, folder: &Path) -> Result<Component> {
    let Component { package, path: module } = module;
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = component::encode(&bytes).with_context(|| format!("package {package} is not a stage"))?;
    let path = folder.join(&package).with_extension("wasm");
    // A file that is the same keeps its time, so that nothing is built again that includes it.
    if !fs::read(&path).is_ok_and(|old| old == component) {
        fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Component { package, path })
}

/// Runs cargo and returns the core modules that it made.
fn compile(dir: &Path, packages: &[&str], target_dir: &Path, progress: Progress) -> Result<Vec<Component>> {
    let toolchain = Toolchain::find(dir)?;
    let mut cargo = nested(toolchain.cargo());
    toolchain.configure(&mut cargo);
    cargo.current_dir(dir).env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS).envs(PROFILE);
    cargo.args(["build", "--lib", "--release", "--message-format=json-render-diagnostics", "--target", TARGET]);
    cargo.arg("--target-dir").arg(target_dir);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());

    let (modules, success, stderr) = match progress {
        Progress::Shown => {
            let mut child = cargo.spawn().context("cannot start cargo")?;
            let modules = child.stdout.take().map(|out| artifacts(BufReader::new(out))).unwrap_or_default();
            (modules, child.wait().context("cannot wait for cargo")?.success(), String::new())
        }
        Progress::OnFailure => {
            let output = cargo.output().context("cannot start cargo")?;
            let stderr = format!(":\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
            (artifacts(output.stdout.as_slice()), output.status.success(), stderr)
        }
    };
    if !success {
        bail!("cargo build for {TARGET} failed in {}{stderr}", dir.display());
    }
    Ok(modules)
}

/// A cargo that knows nothing of the cargo that runs this program, but shares its job slots.
fn nested(program: &Path) -> Command {
    const KEEP: [&str; 7] =
        ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
    const BUILD_SCRIPT: [&str; 8] =
        ["TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS", "OUT_DIR", "RUSTFLAGS"];
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let cargo = text.starts_with("CARGO") && !KEEP.iter().any(|keep| text.starts_with(keep));
        if cargo || text.starts_with("RUSTC") || text.starts_with("RUSTDOC") || BUILD_SCRIPT.contains(&text.as_ref()) {
            command.env_remove(name);
        }
    }
    command
}

/// What cargo's messages say of the modules that libraries were made into.
fn artifacts(messages: impl BufRead) -> Vec<Component> {
    #[derive(Deserialize)]
    struct Message {
        package_id: String,
        target: Target,
        filenames: Vec<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        kind: Vec<String>,
    }
    let module = |line: String| {
        let message: Message = serde_json::from_str(&line).ok()?;
        let library = message.target.kind.iter().any(|kind| kind == "cdylib");
        let path = message.filenames.into_iter().find(|path| path.extension().is_some_and(|it| it == "wasm"))?;
        library.then(|| Component { package: package_name(&message.package_id).to_owned(), path })
    };
    messages.lines().map_while(Result::ok).filter_map(module).collect()
}

/// The name in `path+file:///home/me/redact#0.1.0` or, where the folder has another, `…/folder#redact@0.1.0`.
fn package_name(id: &str) -> &str {
    let (url, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let folder = url.rsplit('/').next().unwrap_or(url);
    fragment.split_once('@').map_or(folder, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names() {
        assert_eq!(package_name("path+file:///home/me/redact#0.1.0"), "redact");
        assert_eq!(package_name("path+file:///home/me/stages#redact@0.1.0"), "redact");
    }

    #[test]
    fn artifacts_are_libraries_in_wasm() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"path+file:///x/a#0.1.0","target":{"kind":["cdylib","rlib"]},"filenames":["/t/a.wasm","/t/liba.rlib"]}
{"reason":"compiler-artifact","package_id":"path+file:///x/b#0.1.0","target":{"kind":["lib"]},"filenames":["/t/libb.rlib"]}
{"reason":"build-finished","success":true}"#;
        let module = Component { package: "a".into(), path: "/t/a.wasm".into() };
        assert_eq!(artifacts(messages.as_bytes()), [module]);
    }
}
