//! `rayline validate`.

use std::path::PathBuf;

use futures::future::join_all;

use super::Exit;
use super::load::Loader;
use crate::grant::check::{check, check_dead_letter};
use crate::pipeline::{Capability, Kind, ObjectsGrant, Pipeline};

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
                warn(&pipeline);
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
    let grants = pipeline.stages.iter().flat_map(|stage| {
        stage.grants.iter().map(move |(name, grant)| {
            (format!("{}s.{}.grants.{name}", stage.kind.name(), stage.name), grant, stage.kind)
        })
    });
    let checks = grants.map(|(field, grant, kind)| async move { (field, check(grant, kind).await) });
    let dead_letter =
        async { ("dead_letter.location".to_owned(), check_dead_letter(&pipeline.dead_letter.location).await) };
    let (mut found, dead_letter) = tokio::join!(join_all(checks), dead_letter);
    found.push(dead_letter);
    for (field, result) in &found {
        match result {
            Ok(words) => println!("  {field}: {words}"),
            Err(reason) => eprintln!("error: {}: {field}: {reason}", pipeline.path.display()),
        }
    }
    found.iter().all(|(_, result)| result.is_ok())
}

/// Warns of what works and yet loses messages one day.
fn warn(pipeline: &Pipeline) {
    let takes_from_afar =
        pipeline.stages.iter().filter(|stage| stage.kind == Kind::Source).any(|stage| {
            stage.grants.values().any(|grant| grant.capability() == Capability::Queue && !grant.is_local())
        });
    if let ObjectsGrant::Folder(folder) = &pipeline.dead_letter.location
        && takes_from_afar
    {
        eprintln!(
            "warning: {}: messages are deleted from their queue, and what cannot be delivered is then only in the folder \
             {} of this machine; write `dead_letter.location = \"s3://…\"`",
            pipeline.path.display(),
            folder.display()
        );
    }
}
