//! `rayline validate`.

use std::path::PathBuf;

use futures::future::join_all;

use super::Exit;
use super::load::Loader;
use crate::grant::check::{check, check_dead_letter};
use crate::pipeline::{Capability, Kind, ObjectsGrant, Pipeline};
use crate::setup::elasticsearch::{State, state};
use crate::setup::indices::Indices;

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
    let indices = pipeline.stages.iter().filter_map(Indices::of).map(|indices| check_indices(pipeline, indices));
    let (mut found, dead_letter, indices) = tokio::join!(join_all(checks), dead_letter, join_all(indices));
    found.push(dead_letter);
    found.extend(indices.into_iter().flatten());
    for (field, result) in &found {
        match result {
            Ok(words) => println!("  {field}: {words}"),
            Err(reason) => eprintln!("error: {}: {field}: {reason}", pipeline.path.display()),
        }
    }
    found.iter().all(|(_, result)| result.is_ok())
}

/// What server it is and whether it has the templates, without which documents get fields of guessed types. Nothing where
/// the server does not answer: its grant's own check says so.
async fn check_indices(pipeline: &Pipeline, indices: Indices) -> Option<(String, Result<String, String>)> {
    let Indices { stage, grant, prefix } = indices;
    let setup = format!("run `rayline setup elasticsearch {}`", pipeline.path.display());
    let words = match state(&grant, &prefix).await {
        Ok(State { server, missing, different }) => match (missing.as_slice(), different.as_slice()) {
            ([], []) => Ok(format!("{server}, index templates in place")),
            ([], different) => Ok(format!(
                "{server}, but its {} is not this version's: {setup}, unless you changed it",
                different.join(", ")
            )),
            (missing, _) => Err(format!("{server} has no {}: {setup}", missing.join(", "))),
        },
        Err(error) => Err(format!("the index templates cannot be looked at: {error:#}")),
    };
    Some((format!("sinks.{stage}"), words))
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
