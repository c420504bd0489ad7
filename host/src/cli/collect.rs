//! `rayline collect`.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};

use super::Exit;
use super::finite::{Ended, run_to_end};
use super::load::Loader;
use super::run::summarize;
use crate::pipeline::{FileQueueGrant, Grant, Pipeline, PluginRef, QueueGrant};

/// Which executions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An execution of a STANDARD state machine. May be given several times.
    #[arg(long = "execution", required = true, value_name = "ARN")]
    executions: Vec<String>,
    /// A pipeline whose source is an `xray-source`.
    #[arg(long, value_name = "PIPELINE")]
    pipeline: PathBuf,
}

/// Where in the `data_dir` it works: a name that no pipeline's own folder has.
const FOLDER: &str = ".collect-by-hand";

/// Collects the executions and ends when each has its last verdict. What waits to be fetched again is in a queue of its own
/// in the `data_dir`, so that a host that runs is not disturbed, and what is interrupted goes on with the next call. What is
/// collected can be collected once more: the queue is empty then, and the source has no checkpoint.
///
/// # Errors
/// When the file cannot be read, has no `xray-source`, or the pipeline cannot be started.
pub async fn collect(args: Args) -> anyhow::Result<Exit> {
    let loader = Loader::for_pipelines(std::slice::from_ref(&args.pipeline), true)?;
    let mut pipeline = match loader.pipeline(&args.pipeline)? {
        Ok(pipeline) => pipeline,
        Err(report) => {
            eprint!("{report}");
            return Ok(Exit::Invalid);
        }
    };
    pipeline.data_dir.extend([FOLDER, &pipeline.name]);
    narrow(&mut pipeline, &args)?;
    let Ended { status, exit, is_stopped } = run_to_end(&pipeline, &loader).await?;
    summarize(&pipeline, &status);
    if is_stopped && exit == Exit::Done {
        eprintln!("stopped before all is collected: the same command goes on where it was");
        return Ok(Exit::Released);
    }
    Ok(exit)
}

/// Leaves nothing to collect but these executions.
fn narrow(pipeline: &mut Pipeline, args: &Args) -> anyhow::Result<()> {
    let shipped = PluginRef::Shipped("xray-source".to_owned());
    let pending = FileQueueGrant::at(pipeline.data_dir.join("pending.queue"));
    let mut sources = pipeline.stages.iter_mut().filter(|stage| stage.plugin == shipped);
    let (Some(stage), None) = (sources.next(), sources.next()) else {
        bail!("{} has not one source with `plugin = \"xray-source\"`", args.pipeline.display());
    };
    stage.grants.insert("events".to_owned(), Grant::Queue(QueueGrant::File(pending)));
    let Value::Object(options) = &mut stage.options else { return Ok(()) };
    options.remove("sweep");
    options.insert("arns".to_owned(), json!(args.executions));
    options.insert("stop_when_empty".to_owned(), json!(true));
    Ok(())
}
