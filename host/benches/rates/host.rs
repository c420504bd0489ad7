//! A host as a process of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::Place;
use crate::clock::{Used, cpu_of, follow};

/// A command of the host, with credentials of AWS that reach nothing by themselves.
pub fn rayline(place: &Place, home: &Path) -> Command {
    let mut rayline = Command::new(&place.rayline);
    rayline
        .current_dir(home)
        .stdin(Stdio::null())
        .env_remove("RAYLINE_LOG")
        .env_remove("RAYLINE_LOG_FORMAT")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    rayline
}

/// A running host. Killed unless it is seen to its end.
pub struct Host {
    process: u32,
    log: PathBuf,
    follower: Option<JoinHandle<Result<Used>>>,
}

impl Host {
    /// Starts a command that has `api.address`; what it says goes into that file.
    pub fn start(mut command: Command, log: PathBuf) -> Result<Host> {
        command.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let process = child.id();
        Ok(Host { process, log, follower: Some(thread::spawn(move || follow(child, begin))) })
    }

    pub fn process(&self) -> u32 {
        self.process
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// CPU seconds so far. Fails if it has ended.
    pub fn cpu(&self) -> Result<f64> {
        let has_ended = self.follower.as_ref().is_none_or(JoinHandle::is_finished);
        ensure!(!has_ended, "the host ended by itself:\n{}", self.said());
        cpu_of(self.process)
    }

    /// Its metrics, once it serves them.
    pub fn metrics(&self) -> Option<Metrics> {
        let said = self.said();
        let (_, rest) = said.split_once("\"address\":\"")?;
        let (address, _) = rest.split_once('"')?;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(Metrics(page))
    }

    /// Ends it in good order.
    pub fn end(mut self) -> Result<Used> {
        self.signal("TERM");
        let ended = self.follower.take().map(JoinHandle::join);
        let Some(Ok(used)) = ended else { bail!("the host was not followed to its end") };
        let used = used?;
        ensure!(used.status.success(), "{}\n{}", used.status, self.said());
        Ok(used)
    }

    fn signal(&self, name: &str) {
        // One that has ended gets none.
        let _ = Command::new("kill").args(["-s", name, &self.process.to_string()]).stderr(Stdio::null()).status();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.follower.is_some() {
            self.signal("KILL");
        }
    }
}

/// A page of metrics.
pub struct Metrics(String);

impl Metrics {
    /// The count on the first line that has all of these, which are of its name and labels.
    pub fn count(&self, parts: &[&str]) -> Option<u64> {
        self.values(parts).next().map(|count| count as u64)
    }

    /// The sum over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.values(&[name]).sum()
    }

    fn values(&self, parts: &[&str]) -> impl Iterator<Item = f64> {
        let lines =
            self.0.lines().filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
    }
}
