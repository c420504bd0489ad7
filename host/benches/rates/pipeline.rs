//! The whole of `pipelines/demo.toml`, as a process of its own, against the sum of its parts driven alone; and the same
//! with an archive batch that waits for 5 minutes, also where much less may be in flight.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rayline::event::Event;
use rayline::grant::queue::{Outgoing, OutgoingMessage, Queue};
use rayline::pipeline::{FileQueueGrant, Grant, QueueGrant};
use serde_json::json;

use crate::Place;
use crate::clock::{Used, cpu, follow, least};
use crate::component::{Components, folder};
use crate::corpus::{Corpus, TRANSFORM_BATCH, batches};
use crate::report::{Aim, Report};

const ROUNDS: usize = 3;
const BYTES: usize = 64 << 20;
/// What the batches of the sinks in the file take: bytes and events.
const ARCHIVE_BATCH: (usize, usize) = (33_554_432, 100_000);
const DOCUMENTS_BATCH: (usize, usize) = (8_388_608, 10_000);

/// Measures the pipeline and its parts.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let corpus = Corpus::samples(&place.root, BYTES)?;
    let home = place.folder("pipeline")?;
    let text = fs::read_to_string(place.root.join("pipelines/demo.toml"))?;
    let plain = Pipeline::new(place, &home, "plain", text.clone())?;
    let slow = replaced(
        &text,
        "max_bytes = 33_554_432, max_events = 100_000, timeout_secs = 60",
        "max_bytes = 1_073_741_824, max_events = 1_000_000, timeout_secs = 300",
    )?;
    let narrow = "limits.in_flight_bytes = 16_777_216\n".to_owned() + &slow;
    let slow = Pipeline::new(place, &home, "slow-archive", slow)?;
    let narrow = Pipeline::new(place, &home, "narrow", narrow)?;

    let (mut parts, mut whole, mut with_slow, mut with_narrow) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let part = Parts::measure(components, &corpus, &home.join("parts"))?;
        for (pipeline, runs) in [(&plain, &mut whole), (&slow, &mut with_slow), (&narrow, &mut with_narrow)] {
            let (used, documents) = pipeline.run(components, &corpus)?;
            ensure!(documents == part.documents, "{documents} documents of {}", part.documents);
            runs.push(used);
        }
        parts.push(part);
    }

    let messages = corpus.messages.len() as f64;
    let documents = parts.first().map_or(0.0, |part| part.documents as f64);
    let wall = |runs: &[Used]| least(runs.iter().map(|used| used.wall));
    let seconds = least(whole.iter().map(|used| used.cpu));
    let part = |of: fn(&Parts) -> f64| least(parts.iter().map(of));
    let sum = part(|part| part.queue) + part(|part| part.archive) + part(|part| part.flatten) + part(|part| part.files);
    let megabytes = corpus.bytes() as f64 / 1e6;
    report.tell("pipeline: messages a second, wall time", messages / wall(&whole), "/s");
    report.tell("pipeline: megabytes of messages a second, wall time", megabytes / wall(&whole), "MB/s");
    report.tell("pipeline: CPU seconds for a million messages", seconds / messages * 1e6, "s");
    report.tell("pipeline: CPU seconds for a million documents", seconds / documents * 1e6, "s");
    report.tell("pipeline: sum of its parts against the whole, CPU", sum / seconds, "");
    for (name, of) in Parts::LIST {
        report.tell(format!("part: {name}, CPU seconds for a million documents"), part(of) / documents * 1e6, "s");
    }
    let peak = |runs: &[Used]| runs.iter().map(|used| used.peak).fold(0.0, f64::max) / 1e6;
    report.aim("pipeline: peak memory", peak(&whole), "MB", Aim::Under(200.0));
    let title = "pipeline, 5-minute archive batch";
    report.aim(format!("{title}: rate against the plain one"), wall(&whole) / wall(&with_slow), "", Aim::AtLeast(0.95));
    report.tell(format!("{title}: peak memory"), peak(&with_slow), "MB");
    let title = "pipeline, 5-minute archive batch and 16 MiB in flight";
    report.tell(format!("{title}: rate against the plain one"), wall(&whole) / wall(&with_narrow), "");
    report.tell(format!("{title}: peak memory"), peak(&with_narrow), "MB");
    Ok(())
}

/// CPU seconds of each stage driven alone.
struct Parts {
    queue: f64,
    archive: f64,
    flatten: f64,
    files: f64,
    documents: usize,
}

/// The time of one part.
type Part = fn(&Parts) -> f64;

impl Parts {
    const LIST: [(&str, Part); 4] = [
        ("queue-source", |parts| parts.queue),
        ("archive-sink", |parts| parts.archive),
        ("flatten", |parts| parts.flatten),
        ("file-sink", |parts| parts.files),
    ];

    fn measure(components: &Components, corpus: &Corpus, home: &Path) -> Result<Parts> {
        let path = home.join("parts.queue");
        fill(components, &path, &corpus.messages)?;
        let grants = BTreeMap::from([("queue".to_owned(), Grant::Queue(queue_grant(&path)))]);
        let mut source = components.shipped("queue-source", json!({"stop_when_empty": true}), grants)?;
        let (queue, messages) = cpu(|| source.read_all())?;
        drop(source);
        ensure!(messages.len() == corpus.messages.len(), "{} messages of {}", messages.len(), corpus.messages.len());

        let grouped = in_batches(messages.clone(), &["account", "region"], ARCHIVE_BATCH);
        let mut sink = components.shipped("archive-sink", json!({}), folder(&home.join("archive")))?;
        let (archive, ()) = cpu(|| grouped.iter().try_for_each(|batch| sink.write(batch)))?;
        drop(grouped);

        let grouped = batches(messages, TRANSFORM_BATCH.0, TRANSFORM_BATCH.1);
        let mut transform = components.shipped("flatten", json!({}), BTreeMap::new())?;
        let (flatten, outputs) = cpu(|| {
            let processed = grouped.iter().map(|batch| transform.process(batch));
            let outputs = processed.map(|processed| Ok(processed?.outputs.into_iter().map(|output| output.event)));
            Ok(outputs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<Event>>())
        })?;
        let documents = outputs.len();

        let grouped = in_batches(outputs, &["kind"], DOCUMENTS_BATCH);
        let mut sink = components.shipped("file-sink", json!({}), folder(&home.join("documents")))?;
        let (files, ()) = cpu(|| grouped.iter().try_for_each(|batch| sink.write(batch)))?;
        drop(sink);
        fs::remove_dir_all(home)?;
        Ok(Parts { queue, archive, flatten, files, documents })
    }
}

/// A pipeline file and where it works.
struct Pipeline<'a> {
    place: &'a Place,
    home: std::path::PathBuf,
}

impl<'a> Pipeline<'a> {
    /// Runs it once on nothing, so that its components are compiled.
    fn new(place: &'a Place, home: &Path, name: &str, text: String) -> Result<Self> {
        let pipeline = Pipeline { place, home: home.join(name) };
        fs::create_dir_all(&pipeline.home)?;
        fs::write(pipeline.home.join("pipeline.toml"), text)?;
        pipeline.start()?;
        Ok(pipeline)
    }

    /// Runs it on all messages; returns how many documents there are as well.
    fn run(&self, components: &Components, corpus: &Corpus) -> Result<(Used, usize)> {
        fill(components, &self.home.join("inbox.queue"), &corpus.messages)?;
        let used = self.start()?;
        let documents = count_lines(&self.home.join("documents"))?;
        for folder in ["archive", "documents"] {
            fs::remove_dir_all(self.home.join(folder))?;
        }
        Ok((used, documents))
    }

    /// As a grant says it.
    fn place_of(&self, name: &str) -> String {
        format!("file:{}", self.home.join(name).display())
    }

    fn start(&self) -> Result<Used> {
        let begin = Instant::now();
        let child = Command::new(&self.place.rayline)
            .arg("run")
            .arg(self.home.join("pipeline.toml"))
            .env("RAYLINE_DATA_DIR", self.home.join("data"))
            .env("RAYLINE_QUEUE", self.place_of("inbox.queue"))
            .env("RAYLINE_ARCHIVE", self.place_of("archive"))
            .env("RAYLINE_DOCUMENTS", self.place_of("documents"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.home.join("log"))?)
            .spawn()
            .with_context(|| format!("cannot run {}", self.place.rayline.display()))?;
        let used = follow(child, begin)?;
        let log = fs::read_to_string(self.home.join("log"))?;
        ensure!(used.status.success(), "{}: {}\n{log}", self.home.display(), used.status);
        Ok(used)
    }
}

/// Puts all messages into the queue at this path.
pub fn fill(components: &Components, path: &Path, messages: &[Vec<u8>]) -> Result<()> {
    components.runtime().block_on(async {
        let queue = Queue::open(&queue_grant(path)).await?;
        for messages in messages.chunks(1000) {
            let mut bodies = Vec::new();
            let mut entries = Vec::new();
            for message in messages {
                bodies.extend_from_slice(message);
                entries.push(OutgoingMessage { attr_end: 0, body_end: bodies.len().try_into()? });
            }
            let failed = queue.send(Outgoing { entries, attrs: String::new(), bodies }).await?;
            ensure!(failed.is_empty(), "messages were not sent: {failed:?}");
        }
        Ok(())
    })
}

fn queue_grant(path: &Path) -> QueueGrant {
    let (visibility, max_hold) = (Duration::from_secs(30), Duration::from_secs(12 * 3600));
    QueueGrant::File(FileQueueGrant { path: path.to_owned(), visibility, max_hold })
}

/// Batches of events whose values of these labels are the same.
fn in_batches(events: Vec<Event>, group_by: &[&str], limits: (usize, usize)) -> Vec<Vec<Event>> {
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<Event>> = BTreeMap::new();
    for event in events {
        let key = group_by.iter().map(|label| event.label(label).map(str::to_owned)).collect();
        groups.entry(key).or_default().push(event);
    }
    groups.into_values().flat_map(|events| batches(events, limits.0, limits.1)).collect()
}

fn count_lines(folder: &Path) -> Result<usize> {
    let mut lines = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        lines += if path.is_dir() {
            count_lines(&path)?
        } else {
            BufReader::new(fs::File::open(path)?).split(b'\n').count()
        };
    }
    Ok(lines)
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "pipelines/demo.toml has no `{from}` any more");
    Ok(text.replace(from, to))
}
