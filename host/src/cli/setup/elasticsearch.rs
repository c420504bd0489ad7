//! `rayline setup elasticsearch`.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cli::Exit;
use crate::cli::load::Loader;
use crate::setup::elasticsearch::{install, print};
use crate::setup::indices::Indices;

/// Where to, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline file whose `elasticsearch-sink` has the address and the credentials.
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    /// Let the server delete indices by itself, so that it keeps every document for so many days at least.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    retention_days: Option<u32>,
    /// Print what would be sent to each kind of server, for its development console or to keep, and connect to nothing.
    #[arg(long)]
    print: bool,
}

/// Sets up the servers of the pipeline.
///
/// # Errors
/// When one does not answer or refuses.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let Some(indices) = indices(&args.pipeline)? else { return Ok(Exit::Invalid) };
    for index in indices {
        if args.print {
            print!("{}", print(&index.prefix, args.retention_days));
            continue;
        }
        let report = install(&index.grant, &index.prefix, args.retention_days).await?;
        println!("{}: {}", index.stage, report.server);
        for step in report.steps {
            println!("  {:9}  {}", step.outcome.word(), step.title);
        }
        for note in report.notes {
            println!("  note: {note}");
        }
    }
    Ok(Exit::Done)
}

/// Where the stages of a pipeline with `elasticsearch-sink` write, each place once. `None` when the file has errors, which
/// are then on standard error.
///
/// # Errors
/// When the file cannot be read, or has no such stage.
pub fn indices(file: &Path) -> anyhow::Result<Option<Vec<Indices>>> {
    let files = [file.to_owned()];
    let Some(pipelines) = Loader::for_pipelines(&files, false)?.pipelines(&files)? else { return Ok(None) };
    let mut indices: Vec<Indices> = Vec::new();
    for stage in pipelines.iter().flat_map(|pipeline| &pipeline.stages) {
        let Some(own) = Indices::of(stage) else { continue };
        if !indices.iter().any(|other| other.grant == own.grant && other.prefix == own.prefix) {
            indices.push(own);
        }
    }
    if indices.is_empty() {
        bail!("{} has no stage with `plugin = \"elasticsearch-sink\"`, whose `grants.http` is used", file.display());
    }
    Ok(Some(indices))
}
