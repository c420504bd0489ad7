//! Transforms in wasm against the same code native.
//!
//! The wasm side is what a worker calls: the copy into the guest, the guest's own work, the copy back and the check of
//! what came. The native side (`tests/guests/native`) is the transform's own code alone, built with the same optimisation
//! as the guests: a process of its own, since this one is built with that of the workspace.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rayline::event::Event;
use serde_json::json;

use crate::Place;
use crate::clock::{cpu, least};
use crate::component::{Components, Stage};
use crate::corpus::{Corpus, TRANSFORM_BATCH, batches};
use crate::report::{Aim, Report};

const ROUNDS: usize = 7;
const BYTES: usize = 16 << 20;

/// One round over all messages.
#[derive(Debug, PartialEq)]
struct Round {
    seconds: f64,
    documents: usize,
    bytes: usize,
}

/// Measures `flatten` and the lean transform.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let program = Native::build(place)?;
    let folder = place.folder("transforms")?;
    let samples = Corpus::samples(&place.root, BYTES)?;
    let real = Corpus::real_traces(&place.root, BYTES)?;
    for corpus in [Some(samples), real].into_iter().flatten() {
        let file = folder.join("messages.ndjson");
        fs::write(&file, corpus.messages.join(&b'\n'))?;
        let mut native = Native::start(&program, &file)?;
        let batches = batches(corpus.events(), TRANSFORM_BATCH.0, TRANSFORM_BATCH.1);
        for (name, mut stage, mbs) in [
            ("flatten", components.shipped("flatten", json!({}), Default::default())?, 120.0),
            ("lean", components.guest("guest-lean", json!({}))?, 200.0),
        ] {
            // The first round warms both up and is not counted.
            let (mut wasm, mut twin) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let (here, there) = (in_wasm(&mut stage, &batches)?, native.round(name)?);
                ensure!(
                    (here.documents, here.bytes) == (there.documents, there.bytes),
                    "{name} is not the same in wasm and native: {here:?} {there:?}"
                );
                if round > 0 {
                    wasm.push(here);
                    twin.push(there);
                }
            }
            let documents = wasm.first().map_or(0, |round| round.documents) as f64;
            let best = least(wasm.iter().map(|round| round.seconds));
            let best_native = least(twin.iter().map(|round| round.seconds));
            let title = |what: &str| format!("{name}, {}: {what}", corpus.name);
            let megabytes = corpus.bytes() as f64 / 1e6;
            report.aim(title("wasm against native"), best_native / best, "", Aim::AtLeast(0.75));
            report.aim(title("messages a CPU second in wasm"), megabytes / best, "MB/s", Aim::AtLeast(mbs));
            report.tell(title("messages a CPU second native"), megabytes / best_native, "MB/s");
            report.tell(title("documents a CPU second in wasm"), documents / best, "/s");
        }
    }
    Ok(())
}

fn in_wasm(stage: &mut Stage<'_>, batches: &[Vec<Event>]) -> Result<Round> {
    let (mut documents, mut bytes) = (0, 0);
    let (seconds, ()) = cpu(|| {
        for batch in batches {
            let outputs = stage.process(batch)?.outputs;
            documents += outputs.len();
            bytes += outputs.iter().map(|output| output.event.body.len()).sum::<usize>();
        }
        Ok(())
    })?;
    Ok(Round { seconds, documents, bytes })
}

/// The program that holds the native twins.
struct Native {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Native {
    fn build(place: &Place) -> Result<std::path::PathBuf> {
        let target = place.target.join("guests");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--package", "guest-native", "--target-dir"])
            .arg(&target)
            .current_dir(place.root.join("tests/guests"))
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "cannot build guest-native: {status}");
        Ok(target.join("release/guest-native"))
    }

    fn start(program: &Path, messages: &Path) -> Result<Native> {
        let mut command = Command::new(program);
        let mut child = command.arg(messages).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{} has no pipes", program.display());
        };
        Ok(Native { child, commands, answers: BufReader::new(answers) })
    }

    fn round(&mut self, transform: &str) -> Result<Round> {
        writeln!(self.commands, "{transform}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let numbers: Vec<u64> = answer.split_whitespace().map_while(|number| number.parse().ok()).collect();
        let [nanos, documents, bytes] = *numbers else { bail!("guest-native answered {answer:?}") };
        Ok(Round { seconds: nanos as f64 / 1e9, documents: documents.try_into()?, bytes: bytes.try_into()? })
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // It ends by itself as well, when its standard input does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
