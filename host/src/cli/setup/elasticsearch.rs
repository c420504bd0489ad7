//! `rayline setup elasticsearch`.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cli::Exit;
use crate::cli::load::Loader;
use crate::pipeline::{Grant, HttpGrant, PluginRef};
use crate::setup::elasticsearch::{install, print};

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
    let Some(grants) = indices(&args.pipeline)? else { return Ok(Exit::Invalid) };
    if args.print {
        print!("{}", print(args.retention_days));
        return Ok(Exit::Done);
    }
    for (stage, grant) in grants {
        let report = install(&grant, args.retention_days).await?;
        println!("{stage}: {}", report.server);
        for step in report.steps {
            println!("  {:9}  {}", step.outcome.word(), step.title);
        }
        for note in report.notes {
            println!("  note: {note}");
        }
    }
    Ok(Exit::Done)
}

/// The `http` grant of each `elasticsearch-sink` of a pipeline, by the stage's name, each server once. `None` when the
/// file has errors, which are then on standard error.
///
/// # Errors
/// When the file cannot be read, or has no such stage.
pub fn indices(file: &Path) -> anyhow::Result<Option<Vec<(String, HttpGrant)>>> {
    let files = [file.to_owned()];
    let Some(pipelines) = Loader::for_pipelines(&files, false)?.pipelines(&files)? else { return Ok(None) };
    let shipped = PluginRef::Shipped("elasticsearch-sink".to_owned());
    let stages = pipelines.into_iter().flat_map(|pipeline| pipeline.stages);
    let mut grants: Vec<(String, HttpGrant)> = Vec::new();
    for stage in stages.filter(|stage| stage.plugin == shipped) {
        if let Some(Grant::Http(grant)) = stage.grants.get("http")
            && !grants.iter().any(|(_, other)| other == grant)
        {
            grants.push((stage.name, grant.clone()));
        }
    }
    if grants.is_empty() {
        bail!("{} has no stage with `plugin = \"elasticsearch-sink\"`, whose `grants.http` is used", file.display());
    }
    Ok(Some(grants))
}
