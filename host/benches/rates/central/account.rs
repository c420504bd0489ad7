//! Queue, bucket, index, and runs of the shipped pipeline on them.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::fake::{Bucket, Messages, Queue};
use crate::Place;
use crate::component::Components;
use crate::host::{Host, Metrics, rayline};

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
        let host = Host::start(self.rayline("run", &queue.url), self.home.join("log"))?;
        let mut started = Some(started);
        let mut first: Option<(Instant, f64)> = None;
        let (mut before, mut moved) = (0, Instant::now());
        let (last, documents) = loop {
            sleep(ASK);
            let now = (Instant::now(), host.cpu()?);
            let Some(progress) = host.metrics().and_then(|metrics| Progress::read(&metrics)) else { continue };
            if progress.received > 0 && first.is_none() {
                first = Some(now);
                started.take().map_or(Ok(()), |started| started(host.process()))?;
            }
            if progress.is_complete(messages.len() as u64) {
                break (now, progress.indexed);
            }
            if progress.indexed > before {
                (before, moved) = (progress.indexed, now.0);
            }
            if moved.elapsed() > STUCK {
                bail!("the host is stuck at {} documents:\n{}", progress.indexed, host.said());
            }
        };
        // It still holds the messages of the archive's last batch, and writes that now.
        let used = host.end()?;
        ensure!(queue.deleted() == messages.len(), "{} messages deleted of {}", queue.deleted(), messages.len());
        ensure!(self.bucket.dead_letters() == 0, "messages went to the dead letter");
        let (begin, cpu_before) = first.unwrap_or(last);
        let seconds = last.0.duration_since(begin).as_secs_f64();
        Ok(Run { documents, seconds, cpu_then: last.1 - cpu_before, cpu: used.cpu, peak: used.peak })
    }

    /// A command of the host on the pipeline, with everything in its environment.
    fn rayline(&self, command: &str, queue: &str) -> Command {
        let mut rayline = rayline(self.place, &self.home);
        rayline.arg(command);
        if command == "setup" {
            rayline.arg("elasticsearch");
        }
        rayline
            .arg(self.place.root.join("pipelines/central.toml"))
            .env("AWS_ENDPOINT_URL_S3", &self.bucket.url)
            .env("RAYLINE_QUEUE", queue)
            .env("RAYLINE_BUCKET", "bench")
            .env("RAYLINE_SEARCH", &self.index)
            .env("RAYLINE_DATA_DIR", self.home.join("data"))
            .env("RAYLINE_API_ADDRESS", "127.0.0.1:0");
        rayline
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
    fn read(metrics: &Metrics) -> Option<Progress> {
        let [received, sent] = ["component_received_events_total{", "component_sent_events_total{"];
        Some(Progress {
            received: metrics.count(&[received, "\"inbox\""])?,
            flattened: metrics.count(&[received, "\"flatten\""])?,
            documents: metrics.count(&[sent, "\"flatten\""])?,
            indexed: metrics.count(&[sent, "\"index\""])?,
        })
    }

    /// All messages are in, and the index has all their documents.
    fn is_complete(&self, messages: u64) -> bool {
        self.received >= messages && self.flattened >= messages && self.indexed == self.documents
    }
}
