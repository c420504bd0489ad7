//! Runs the real host, in a folder of its own for each test.
//!
//! - `host`: a process, what it printed, how it ended; signals; its `/health` and `/metrics`.
//! - `files`: what a run left: documents, archive, dead letters.
//! - `message`: many raw messages, made of the samples.
//! - `guest`: components that the tests build.

mod files;
mod guest;
mod host;
mod message;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs};

use tempfile::TempDir;

pub use files::{Archived, Documents, Letter, archive_line, files, letters, lines, sha256};
pub use guest::{build, guest, target_is_installed, wasip2_guest};
pub use host::{Ended, Host, Invocation, PATIENCE, get, metric};
pub use message::{generated, malformed, numbered, packed};

/// A folder with pipelines, queues, archives. Gone when dropped.
pub struct World {
    folder: TempDir,
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        // One compile cache for all: each component is compiled once in a test run.
        let cache = target().join("test-cache");
        fs::create_dir_all(&cache).expect("a folder");
        std::os::unix::fs::symlink(cache, folder.path().join("data/cache")).expect("a link");
        World { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// The host with these arguments, in this folder.
    pub fn rayline(&self, args: &[&str]) -> Invocation {
        Invocation::new(self.folder.path(), args)
    }

    /// Writes the pipeline and runs it to its end, which must be good.
    pub fn run(&self, pipeline: &str) -> Ended {
        self.write("pipeline.toml", pipeline);
        self.rayline(&["run", "pipeline.toml"]).succeeds()
    }

    /// Writes the pipeline and starts it.
    pub fn start(&self, pipeline: &str) -> Host {
        self.write("pipeline.toml", pipeline);
        self.rayline(&["run", "pipeline.toml"]).start()
    }

    /// Puts messages into a queue, exactly as they are.
    pub fn send<M: AsRef<[u8]>>(&self, queue: &str, messages: &[M]) {
        let folder = format!("sent-{queue}");
        let lines: Vec<u8> = messages.iter().flat_map(|message| files::archive_line(message.as_ref())).collect();
        self.write(&format!("{folder}/messages.ndjson"), lines);
        self.write(
            &format!("send-{queue}.toml"),
            format!(
                r#"
                data_dir = "data/send-{queue}"
                [sources.files]
                plugin = "archive-source"
                grants.objects = "file:{folder}"
                [sinks.queue]
                plugin = "queue-sink"
                inputs = ["files"]
                grants.queue = "file:{queue}"
                "#
            ),
        );
        self.share_cache(&format!("data/send-{queue}"));
        self.rayline(&["run", &format!("send-{queue}.toml")]).succeeds();
    }

    /// Takes every message out of a queue, as events: waits for those that a dead process holds.
    pub fn take(&self, queue: &str) -> Vec<serde_json::Value> {
        self.write(
            &format!("take-{queue}.toml"),
            format!(
                r#"
                data_dir = "data/take-{queue}"
                [sources.queue]
                plugin = "queue-source"
                grants.queue = "file:{queue}"
                options.stop_when_empty = true
                [sinks.out]
                plugin = "print-sink"
                inputs = ["queue"]
                grants.output = "stdout"
                options.format = "event"
                "#
            ),
        );
        self.share_cache(&format!("data/take-{queue}"));
        let ended = self.rayline(&["run", &format!("take-{queue}.toml")]).succeeds();
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    /// Everything in an archive: the payloads.
    pub fn archived(&self, folder: &str) -> Vec<files::Archived> {
        files::archived(&self.path(folder))
    }

    /// The documents that a `file-sink` with `format = "event"` wrote.
    pub fn documents(&self, folder: &str) -> Documents {
        files::documents(&self.path(folder))
    }

    /// The dead letters of `pipeline.toml`.
    pub fn letters(&self) -> Vec<Letter> {
        files::letters(&self.path("data/dead-letter"))
    }

    /// Gives another `data_dir` the compile cache of all tests.
    pub fn share_cache(&self, data_dir: &str) {
        let folder = self.path(data_dir);
        fs::create_dir_all(&folder).expect("a folder");
        let link = folder.join("cache");
        if !link.exists() {
            std::os::unix::fs::symlink(target().join("test-cache"), link).expect("a link");
        }
    }
}

/// Says that a test, or a part of one, is left out here: `make test` shows it at its end.
pub fn skip(reason: &str) {
    let mut skipped = fs::File::options().create(true).append(true).open(target().join("skipped.txt")).expect("a file");
    writeln!(skipped, "skipped: {reason}").expect("a line");
}

/// A file of the workspace.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The host under test. `cargo test --workspace --features rayline/failpoints` builds it; `RAYLINE_BIN` names another.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let binary = env::var_os("RAYLINE_BIN").map_or_else(|| target().join("rayline"), PathBuf::from);
        assert!(
            binary.is_file(),
            "there is no {}: run `cargo test --release --workspace --features rayline/failpoints`",
            binary.display()
        );
        binary
    })
}

/// `target/release`: the folder above that of the test binary.
pub fn target() -> PathBuf {
    let tests = env::current_exe().expect("the path of the tests");
    tests.ancestors().nth(2).expect("a target folder").to_owned()
}
