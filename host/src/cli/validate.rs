//! `rayline validate`.

use std::path::PathBuf;

use super::Exit;
use super::load::Loader;
use crate::doctor::{Finding, Level, index, reach};
use crate::pipeline::Pipeline;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pipeline files.
    #[arg(required = true, value_name = "PIPELINE")]
    pipelines: Vec<PathBuf>,
    /// Check only the files, not whether queues, buckets and servers can be reached and used.
    #[arg(long)]
    no_connect: bool,
}

/// Prints `ok` for each file without errors with what its grants reach, and every error of the others.
///
/// # Errors
/// When a file cannot be read.
pub async fn validate(args: &Args) -> anyhow::Result<Exit> {
    let loader = Loader::for_pipelines(&args.pipelines, false)?;
    let mut exit = Exit::Done;
    for file in &args.pipelines {
        match loader.pipeline(file)? {
            Ok(pipeline) => {
                println!("{}: ok, {} stages", file.display(), pipeline.stages.len());
                if !args.no_connect && !connects(&pipeline).await && exit == Exit::Done {
                    exit = Exit::Failed;
                }
                if let Some(Finding { words, fix, .. }) = reach::dead_letters(&pipeline) {
                    eprintln!("warning: {}: {words}; {}", file.display(), fix.unwrap_or_default());
                }
            }
            Err(report) => {
                eprint!("{report}");
                exit = Exit::Invalid;
            }
        }
    }
    Ok(exit)
}

/// Prints what each grant reaches, or on standard error why it does not; whether all do.
async fn connects(pipeline: &Pipeline) -> bool {
    let (grants, payloads, indices) =
        tokio::join!(reach::examine(pipeline), reach::payloads(pipeline), index::examine(pipeline));
    let found = [grants, payloads, indices].concat();
    for Finding { level, subject, words, fix } in &found {
        let words = match fix {
            Some(fix) => format!("{words}: {fix}"),
            None => words.clone(),
        };
        match level {
            Level::Ok | Level::Warning => println!("  {subject}: {words}"),
            Level::Failure => eprintln!("error: {}: {subject}: {words}", pipeline.path.display()),
        }
    }
    found.iter().all(|finding| finding.level != Level::Failure)
}
