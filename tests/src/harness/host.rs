//! A process of the host.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::binary;

/// How long a test waits for anything before it gives up. Long: a busy machine takes a minute to compile
/// a component.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// A command line that is not started yet.
pub struct Invocation {
    command: Command,
    folder: PathBuf,
    shown: String,
    unread: bool,
}

impl Invocation {
    pub fn new(folder: &Path, args: &[&str]) -> Invocation {
        let mut command = Command::new(binary());
        command.args(args).current_dir(folder).stdin(Stdio::null());
        for name in ["FAILPOINTS", "RAYLINE_LOG", "RAYLINE_LOG_FORMAT"] {
            command.env_remove(name);
        }
        let shown = format!("rayline {}", args.join(" "));
        Invocation { command, folder: folder.to_owned(), shown, unread: false }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Invocation {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Invocation {
        self.command.env_remove(name);
        self
    }

    /// With credentials of AWS that reach nothing by themselves, and no others.
    pub fn with_credentials(self) -> Invocation {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        variables.iter().fold(self, |invocation, (name, value)| invocation.env(name, value))
    }

    /// Starts it with a standard output that nobody reads.
    pub fn start_unread(mut self) -> Host {
        self.unread = true;
        self.command.stdout(Stdio::piped());
        self.start()
    }

    pub fn start(mut self) -> Host {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let stdout = self.folder.join(format!("{number}.stdout"));
        let stderr = self.folder.join(format!("{number}.stderr"));
        if !self.unread {
            self.command.stdout(File::create(&stdout).expect("a file"));
        }
        self.command.stderr(File::create(&stderr).expect("a file"));
        let child = self.command.spawn().expect("the host starts");
        Host { child, stdout, stderr, shown: self.shown }
    }

    /// Runs it to its end.
    pub fn ends(self) -> Ended {
        self.start().ends()
    }

    /// Runs it to its end, which must be good.
    pub fn succeeds(self) -> Ended {
        self.ends().with_code(0)
    }
}

/// A running host. Killed when dropped.
pub struct Host {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    shown: String,
}

impl Host {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).expect("its output")).into_owned()
    }

    /// The end of what it says: what a failed test shows.
    fn last_words(&self) -> String {
        let stderr = self.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Waits until something can be seen.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Host) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let ended = self.child.try_wait().expect("a child");
            if let Some(seen) = look(self) {
                return seen;
            }
            if let Some(status) = ended {
                panic!("{} ended ({status}) before {what}\n{}", self.shown, self.last_words());
            }
            assert!(started.elapsed() < PATIENCE, "{}: waited in vain for {what}\n{}", self.shown, self.last_words());
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a text on standard error.
    pub fn until_it_says(&mut self, text: &str) {
        self.until(text, |host| host.stderr().contains(text).then_some(()));
    }

    /// The address of its api, which the pipeline declares as `127.0.0.1:0`.
    pub fn address(&mut self) -> String {
        self.until("the address of the api", |host| {
            let stderr = host.stderr();
            let (_, rest) = stderr.split_once("\"address\":\"")?;
            Some(rest.split_once('"')?.0.to_owned())
        })
    }

    /// The most memory that it had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("a child");
        self.ends()
    }

    /// Ends it in good order: what it holds goes where it belongs.
    pub fn stops(self) -> Ended {
        self.signal("TERM");
        self.ends().with_code(0)
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Waits for the end.
    pub fn ends(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => {
                    panic!("{} does not end\n{}", self.shown, self.last_words());
                }
                None => sleep(Duration::from_millis(5)),
            }
        };
        Ended { status, stdout: self.stdout(), stderr: self.stderr(), shown: self.shown.clone() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Ended {
    pub fn with_code(self, code: i32) -> Ended {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{} ended with {:?}, signal {:?}\n{}\n{}",
            self.shown,
            self.status.code(),
            self.status.signal(),
            self.stdout,
            self.stderr
        );
        self
    }

    pub fn says(self, text: &str) -> Ended {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "{} does not say `{text}`\n{}\n{}",
            self.shown,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Status and body of a page.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// A metric's value: the first whose name and labels hold all of these texts.
pub fn metric(page: &str, texts: &[&str]) -> Option<f64> {
    let line = page.lines().find(|line| !line.starts_with('#') && texts.iter().all(|text| line.contains(text)))?;
    line.rsplit(' ').next()?.parse().ok()
}
