//! Queue, bucket, index, and runs of the shipped pipeline on them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::fake::{Bucket, Messages, Queue};
use crate::Place;
use crate::clock::{cpu_of, follow};
use crate::component::Components;

/// A log account.
pub struct Account<'a> {
    place: &'a Place,
    components: &'a Components,
    home: PathBuf,
    bucket: Bucket,
    index: String,
}

/// What a run of the pipeline came to.
pub struct Run {
    /// Documents that the index has.
    pub documents: u64,
    /// Seconds on the clock from the first message to the last document.
    pub seconds: f64,
    /// CPU seconds of the host in that time.
    pub cpu_then: f64,
    /// CPU seconds of the host from its start to its end.
    pub cpu: f64,
    /// The most memory that was resident at once, in bytes.
    pub peak: f64,
}

/// How often the host is asked how far it is.
const ASK: Duration = Duration::from_millis(100);

/// A host that is no further in this time will not be.
const STUCK: Duration = Duration::from_secs(120);

impl<'a> Account<'a> {
    /// With documents in the index at this address.
    pub fn new(place: &'a Place, components: &'a Components, name: &str, index: &str) -> Result<Self> {
        let bucket = Bucket::serve(components.runtime())?;
        Ok(Account { place, components, home: place.folder(name)?, bucket, index: index.to_owned() })
    }

    /// Makes templates.
    pub fn set_up(&self) -> Result<()> {
        let output = self.rayline("setup", "http://127.0.0.1/0/none").output()?;
        ensure!(output.status.success(), "setup: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs the pipeline until the index has everything, and ends it.
    pub fn run(&self, messages: &Messages) -> Result<Run> {
        self.run_with(messages, |_| Ok(()))
    }

    /// The same; `started` gets the process once it works.
    pub fn run_with(&self, messages: &Messages, started: impl FnOnce(u32) -> Result<()>) -> Result<Run> {
        let queue = Queue::serve(self.components.runtime(), messages)?;
        let log = self.home.join("log");
        let mut command = self.rayline("run", &queue.url);
        command.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {}", self.place.rayline.display()))?;
        let process = child.id();
        let running = Running(process);
        let ended = thread::spawn(move || follow(child, begin));
        let said = || fs::read_to_string(&log).unwrap_or_default();

        let mut started = Some(started);
        let mut first: Option<(Instant, f64)> = None;
        let (mut before, mut moved) = (0, Instant::now());
        let (last, documents) = loop {
            ensure!(!ended.is_finished(), "the host ended by itself:\n{}", said());
            sleep(ASK);
            let now = (Instant::now(), cpu_of(process)?);
            let Some(progress) = address(&said()).and_then(|address| Progress::ask(&address)) else { continue };
            if progress.received > 0 && first.is_none() {
                first = Some(now);
                started.take().map_or(Ok(()), |started| started(process))?;
            }
            if progress.is_complete(messages.len() as u64) {
                break (now, progress.indexed);
            }
            if progress.indexed > before {
                (before, moved) = (progress.indexed, now.0);
            }
            if moved.elapsed() > STUCK {
                bail!("the host is stuck at {} documents:\n{}", progress.indexed, said());
            }
        };
        // It still holds the messages of the archive's last batch, and writes that now.
        running.signal("TERM");
        let Ok(used) = ended.join() else { bail!("the host was not followed to its end") };
        let used = used?;
        std::mem::forget(running);
        ensure!(used.status.success(), "{}\n{}", used.status, said());
        ensure!(queue.deleted() == messages.len(), "{} messages deleted of {}", queue.deleted(), messages.len());
        ensure!(self.bucket.dead_letters() == 0, "messages went to the dead letter:\n{}", said());
        let (begin, cpu_before) = first.unwrap_or(last);
        let seconds = last.0.duration_since(begin).as_secs_f64();
        Ok(Run { documents, seconds, cpu_then: last.1 - cpu_before, cpu: used.cpu, peak: used.peak })
    }

    /// A command of the host on the pipeline, with everything in its environment.
    fn rayline(&self, command: &str, queue: &str) -> Command {
        let mut rayline = Command::new(&self.place.rayline);
        rayline.arg(command);
        if command == "setup" {
            rayline.arg("elasticsearch");
        }
        rayline
            .arg(self.place.root.join("pipelines/central.toml"))
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .env_remove("RAYLINE_LOG")
            .env_remove("RAYLINE_LOG_FORMAT")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_ENDPOINT_URL_S3", &self.bucket.url)
            .env("RAYLINE_QUEUE", queue)
            .env("RAYLINE_BUCKET", "bench")
            .env("RAYLINE_SEARCH", &self.index)
            .env("RAYLINE_DATA_DIR", self.home.join("data"))
            .env("RAYLINE_API_ADDRESS", "127.0.0.1:0");
        rayline
    }
}

/// A host that is killed unless it is seen to its end.
struct Running(u32);

impl Running {
    fn signal(&self, name: &str) {
        // One that has ended gets none.
        let _ = Command::new("kill").args(["-s", name, &self.0.to_string()]).stderr(Stdio::null()).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

/// How far the host is.
struct Progress {
    received: u64,
    flattened: u64,
    documents: u64,
    indexed: u64,
}

impl Progress {
    fn ask(address: &str) -> Option<Progress> {
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        let count = |name: &str, stage: &str| {
            let stage = format!("component_id=\"{stage}\"");
            let line = page.lines().find(|line| line.starts_with(name) && line.contains(&stage))?;
            line.rsplit(' ').next()?.parse::<f64>().ok().map(|count| count as u64)
        };
        let [received, sent] = ["component_received_events_total{", "component_sent_events_total{"];
        Some(Progress {
            received: count(received, "inbox")?,
            flattened: count(received, "flatten")?,
            documents: count(sent, "flatten")?,
            indexed: count(sent, "index")?,
        })
    }

    /// All messages are in, and the index has all their documents.
    fn is_complete(&self, messages: u64) -> bool {
        self.received >= messages && self.flattened >= messages && self.indexed == self.documents
    }
}

/// Where the host says that its api is.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("\"address\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}
