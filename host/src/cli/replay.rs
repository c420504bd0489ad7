//! `rayline replay`.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};

use super::Exit;
use super::finite::{Ended, run_to_end};
use super::load::Loader;
use super::run::summarize;
use crate::pipeline::{Kind, Pipeline, PluginRef};

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
    narrow(&mut pipeline, &args)?;
    if args.dry_run {
        pipeline.name.push_str("-dry-run");
        pipeline.stages.retain(|stage| stage.kind == Kind::Source);
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

fn narrow(pipeline: &mut Pipeline, args: &Args) -> anyhow::Result<()> {
    let options = [
        ("from", args.from.as_ref().map(|text| json!(text))),
        ("to", args.to.as_ref().map(|text| json!(text))),
        ("account", args.account.as_ref().map(|text| json!(text))),
        ("execution_arn", args.execution.as_ref().map(|text| json!(text))),
        ("sha256", args.sha256.as_ref().map(|text| json!(text))),
        ("rate_per_sec", args.rate.map(|rate| json!(rate))),
    ];
    let archive = PluginRef::Shipped("archive-source".to_owned());
    let mut sources = pipeline.stages.iter_mut().filter(|stage| stage.plugin == archive).peekable();
    if sources.peek().is_none() {
        bail!(
            "{} has no source with `plugin = \"archive-source\"`: there is nothing to replay",
            args.pipeline.display()
        );
    }
    for stage in sources {
        let Value::Object(declared) = &mut stage.options else { continue };
        for (name, value) in options.iter().filter_map(|(name, value)| Some((*name, value.clone()?))) {
            declared.insert(name.to_owned(), value);
        }
    }
    Ok(())
}
