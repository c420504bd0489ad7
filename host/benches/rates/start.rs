//! From the start of the process to the first event on standard output, when the components are compiled already.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Place;
use crate::clock::median;
use crate::component::Components;
use crate::corpus::Corpus;
use crate::pipeline::fill;
use crate::report::{Aim, Report};

const ROUNDS: usize = 11;

const PIPELINE: &str = r#"
data_dir = "data"

[sources.inbox]
plugin = "queue-source"
grants.queue = "file:inbox.queue"
options.stop_when_empty = true

[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]

[sinks.out]
plugin = "print-sink"
inputs = ["flatten"]
grants.output = "stdout"
batch.timeout_secs = 0
"#;

/// Measures it on the wall clock.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let home = place.folder("start")?;
    let file = home.join("pipeline.toml");
    fs::write(&file, PIPELINE)?;
    let samples = Corpus::samples(&place.root, 1)?;
    let mut seconds = Vec::new();
    // The first one compiles and is not counted.
    for round in 0..=ROUNDS {
        fill(components, &home.join("inbox.queue"), &samples.messages)?;
        let begin = Instant::now();
        let mut child = Command::new(&place.rayline)
            .arg("run")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(home.join("log"))?)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("it has no standard output")?).lines();
        let first = lines.next().transpose()?;
        let took = begin.elapsed().as_secs_f64();
        lines.for_each(drop);
        let status = child.wait()?;
        ensure!(status.success() && first.is_some(), "{status}: {}", fs::read_to_string(home.join("log"))?);
        if round > 0 {
            seconds.push(took);
        }
    }
    report.aim(
        "start to first event, warm compile cache, wall time",
        median(seconds) * 1000.0,
        "ms",
        Aim::Under(100.0),
    );
    Ok(())
}
