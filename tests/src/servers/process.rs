//! A server's processes.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{download, java};

/// How long a test waits for a server to start. Long: with many at once on two cores a minute is usual.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts the server in a group of its own, and kills that group when standard input ends: the other end is the tests'
/// alone, so it also ends when they panic or are killed. The server is the shell's own child, so its number is nobody
/// else's until then. A line on standard input asks that the folder be kept.
const WATCHDOG: &str = r#"
folder=$1; shift
setsid sh -c '"$@"; echo "ended with $?"' server "$@" </dev/null >>"$folder/log" 2>&1 &
echo $!
read -r keep
kill -s KILL -- "-$!" "$!"
wait
[ -n "$keep" ] || rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }
"#;

/// A running server. It ends when dropped, and its folder goes.
pub struct Process {
    name: String,
    folder: PathBuf,
    /// The number of its process group.
    group: String,
    watchdog: Child,
    /// What keeps the watchdog waiting.
    leash: ChildStdin,
}

impl Process {
    /// Starts a command; what it says goes into the file `log` of the folder.
    pub fn start(name: &str, folder: &Path, command: &Command) -> Process {
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "watchdog"]).arg(folder).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            watchdog.env(name, value.unwrap_or(OsStr::new("")));
        }
        // Not in the tests' group: ctrl-c must not take the watchdog before the server.
        watchdog.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watchdog = watchdog.spawn().expect("sh starts");
        let leash = watchdog.stdin.take().expect("a pipe");
        let mut group = String::new();
        BufReader::new(watchdog.stdout.take().expect("a pipe")).read_line(&mut group).expect("its number");
        Process { name: name.to_owned(), folder: folder.to_owned(), group: group.trim().to_owned(), watchdog, leash }
    }

    /// Waits until the server is up.
    pub fn wait_until(&self, mut is_up: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is_up() {
            let log = self.log();
            let ended = log.lines().next_back().is_some_and(|line| line.starts_with("ended with"));
            assert!(!ended, "{} ended before it was up:\n{}", self.name, tail(&log));
            assert!(started.elapsed() < PATIENCE, "{} does not come up:\n{}", self.name, tail(&log));
            sleep(Duration::from_millis(100));
        }
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends a signal, by name, to all of its processes.
    pub fn signal(&self, name: &str) {
        download::run(Command::new("kill").args(["-s", name, "--", &format!("-{}", self.group)]));
    }

    /// Kills it and keeps its folder.
    pub fn kill(mut self) {
        self.leash.write_all(b"keep\n").expect("a watchdog");
        self.watchdog.wait().expect("a watchdog");
    }
}

/// An empty folder for one server, which goes with it.
pub fn folder(name: &str) -> PathBuf {
    let folder = download::root().join("running").join(super::unique(name));
    if folder.is_dir() {
        fs::remove_dir_all(&folder).expect("the folder of an earlier process of this number");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A free port of 127.0.0.1, below those from which the system takes the near ends of connections: between the choice
/// and the server's use of it lie seconds.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16;
    loop {
        let port = 12_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if is_free(port) {
            return port;
        }
    }
}

pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A command that, when the tests run as root, is not root: Elasticsearch and OpenSearch refuse that. It is `nobody`, but
/// may read and write wherever the tests may, so a checkout in root's home works too. (`no_setuid_fixup`: else
/// `access` answers as if that right were not there.)
pub fn unprivileged(program: &Path) -> Command {
    if !java::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"])
        .args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
        .arg(program);
    command
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
