//! `rayline replay`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::Exit;
use super::finite::{Ended, run_to_end};
use super::load::Loader;
use super::run::summarize;
use crate::delivery::checkpoint::CheckpointFile;
use crate::pipeline::{Pipeline, PluginRef, Stage};

/// Which part of the archive.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pipeline whose source is an `archive-source`.
    pipeline: PathBuf,
    /// Messages collected at or after this moment (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Messages collected before this moment (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Messages of this account.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Messages that hold this execution.
    #[arg(long, value_name = "ARN")]
    execution: Option<String>,
    /// The message whose payload has this SHA-256 (`xray.raw.sha256` of its documents).
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Count objects, messages and bytes; deliver nothing.
    #[arg(long)]
    dry_run: bool,
    /// Messages a second, at most.
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
}

/// Runs the pipeline for the part of the archive that the arguments name.
///
/// # Errors
/// When the file cannot be read, has no `archive-source`, or the pipeline cannot be started.
pub async fn replay(args: Args) -> anyhow::Result<Exit> {
    let loader = Loader::for_pipelines(std::slice::from_ref(&args.pipeline), true)?;
    let mut pipeline = match loader.pipeline(&args.pipeline)? {
        Ok(pipeline) => pipeline,
        Err(report) => {
            eprint!("{report}");
            return Ok(Exit::Invalid);
        }
    };
    let schema = loader.plugin(&archive())?.facts().options_schema.clone().unwrap_or_default();
    let refused = narrow(&mut pipeline, &args, &schema)?;
    if !refused.is_empty() {
        refused.iter().for_each(|refusal| eprintln!("error: {refusal}"));
        return Ok(Exit::Invalid);
    }
    if args.dry_run {
        pipeline.name.push_str("-dry-run");
        // Other sources may never end, and what they read is not the archive's.
        pipeline.stages.retain(reads_archive);
        forget(&pipeline)?;
    }
    let Ended { status, exit, .. } = run_to_end(&pipeline, &loader).await?;
    if args.dry_run {
        for stage in &status.stages {
            let objects = stage.progress().map(|progress| progress.done).unwrap_or_default();
            let (messages, bytes) = (stage.metrics.received.get(), stage.metrics.received_bytes.get());
            println!("{}: {objects} objects read, {messages} messages, {bytes} bytes would be replayed", stage.name);
        }
    } else {
        summarize(&pipeline, &status);
    }
    Ok(exit)
}

/// Puts the arguments into the options of every `archive-source`. Returns what is wrong with them.
fn narrow(pipeline: &mut Pipeline, args: &Args, schema: &Value) -> anyhow::Result<Vec<String>> {
    let arguments = [
        ("--from", "from", args.from.as_ref().map(|text| json!(text))),
        ("--to", "to", args.to.as_ref().map(|text| json!(text))),
        ("--account", "account", args.account.as_ref().map(|text| json!(text))),
        ("--execution", "execution_arn", args.execution.as_ref().map(|text| json!(text))),
        ("--sha256", "sha256", args.sha256.as_ref().map(|text| json!(text))),
        ("--rate", "rate_per_sec", args.rate.map(|rate| json!(rate))),
    ];
    let given = || arguments.iter().filter_map(|(argument, name, value)| Some((*argument, *name, value.as_ref()?)));
    let mut sources = pipeline.stages.iter_mut().filter(|stage| reads_archive(stage)).peekable();
    if sources.peek().is_none() {
        bail!(
            "{} has no source with `plugin = \"archive-source\"`: there is nothing to replay",
            args.pipeline.display()
        );
    }
    for stage in sources {
        let Value::Object(declared) = &mut stage.options else { continue };
        declared.extend(given().map(|(_, name, value)| (name.to_owned(), value.clone())));
    }
    let validator = jsonschema::validator_for(schema).context("the options of `archive-source` have no schema")?;
    let options: Value = given().map(|(_, name, value)| (name.to_owned(), value.clone())).collect();
    let refused = validator.iter_errors(&options).map(|error| {
        let path = error.instance_path().to_string();
        let argument = given().find(|(_, name, _)| path.trim_start_matches('/') == *name);
        format!("{}: {error}", argument.map_or(path.as_str(), |(argument, ..)| argument))
    });
    Ok(refused.collect())
}

fn archive() -> PluginRef {
    PluginRef::Shipped("archive-source".to_owned())
}

fn reads_archive(stage: &Stage) -> bool {
    stage.plugin == archive()
}

/// A dry run that was interrupted is no reason to count less in the next.
fn forget(pipeline: &Pipeline) -> anyhow::Result<()> {
    for stage in &pipeline.stages {
        for number in 0..stage.instances.max {
            let checkpoint = CheckpointFile::new(&pipeline.data_dir, &pipeline.name, &stage.name, number);
            checkpoint.remove().context("cannot remove the checkpoint of an earlier dry run")?;
        }
    }
    Ok(())
}
