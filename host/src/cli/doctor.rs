//! `rayline doctor`.

use std::path::PathBuf;

use super::Exit;
use super::load::Loader;
use crate::doctor::{Level, examine};

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pipeline file.
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
}

/// Prints a line for each thing that was looked at, and how many there are of each kind. Failed if there is a failure.
///
/// # Errors
/// When the file cannot be read.
pub async fn doctor(args: &Args) -> anyhow::Result<Exit> {
    let files = std::slice::from_ref(&args.pipeline);
    let pipeline = match Loader::for_pipelines(files, false)?.pipeline(&args.pipeline)? {
        Ok(pipeline) => pipeline,
        Err(report) => {
            eprint!("{report}");
            return Ok(Exit::Invalid);
        }
    };
    let findings = examine(&pipeline).await;
    for finding in &findings {
        println!("{finding}");
    }
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let [failures, warnings, ok] = [Level::Failure, Level::Warning, Level::Ok].map(count);
    println!("{}: {failures} failures, {warnings} warnings, {ok} ok", args.pipeline.display());
    Ok(if failures == 0 { Exit::Done } else { Exit::Failed })
}
