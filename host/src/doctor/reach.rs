//! Whether everything that the grants name can be reached and used.

use futures::future::join_all;

use super::{Finding, Level, field};
use crate::grant::check::{Found, check, check_dead_letter, check_payloads};
use crate::pipeline::{Capability, Grant, Kind, ObjectsGrant, Pipeline, QueueGrant};

/// Each grant, and where dead letters go.
pub async fn examine(pipeline: &Pipeline) -> Vec<Finding> {
    let grants = pipeline.stages.iter().flat_map(|stage| {
        stage.grants.iter().map(move |(name, grant)| async move {
            let subject = field(stage, name);
            let found = check(grant, stage.kind).await;
            found.into_iter().map(|found| finding(&subject, found)).collect::<Vec<_>>()
        })
    });
    let dead_letter = async {
        let found = check_dead_letter(&pipeline.dead_letter.location).await;
        finding("dead_letter.location", found)
    };
    let (grants, dead_letter) = tokio::join!(join_all(grants), dead_letter);
    grants.into_iter().flatten().chain([dead_letter]).collect()
}

/// Whether a host can write its `data_dir`, or make it. Nothing is left there.
pub fn data_dir(pipeline: &Pipeline) -> Finding {
    let folder = &pipeline.data_dir;
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    match tempfile::tempfile_in(there) {
        Ok(_) => Finding::ok("data_dir", format!("{} can be written", folder.display())),
        Err(error) => Finding::failure(
            "data_dir",
            format!("{} cannot be written: {error}", there.display()),
            "let it be a folder that whoever runs the host may write; the shipped pipelines take it from RAYLINE_DATA_DIR",
        ),
    }
}

/// Where the large messages of each queue are. Who reads needs only `s3:GetObject`, so that a list that is refused says
/// nothing.
pub async fn payloads(pipeline: &Pipeline) -> Vec<Finding> {
    let checks = pipeline.stages.iter().flat_map(|stage| {
        stage.grants.iter().filter_map(move |(name, grant)| {
            let Grant::Queue(QueueGrant::Sqs(queue)) = grant else { return None };
            let payloads = queue.payloads()?;
            let subject = format!("{}.claim_check", field(stage, name));
            Some(async move {
                match check_payloads(payloads, stage.kind).await {
                    Err(reason) if stage.kind == Kind::Source => {
                        Finding::not_checked(&subject, "whether it can be read", &reason, "s3:ListBucket on the bucket")
                    }
                    found => finding(&subject, found),
                }
            })
        })
    });
    join_all(checks).await
}

/// Dead letters that only one machine has. A folder works, and yet loses messages one day.
pub fn dead_letters(pipeline: &Pipeline) -> Option<Finding> {
    let takes_from_afar =
        pipeline.stages.iter().filter(|stage| stage.kind == Kind::Source).any(|stage| {
            stage.grants.values().any(|grant| grant.capability() == Capability::Queue && !grant.is_local())
        });
    let ObjectsGrant::Folder(folder) = &pipeline.dead_letter.location else { return None };
    takes_from_afar.then(|| {
        let words = format!(
            "messages are deleted from their queue, and what cannot be delivered is then only in the folder {} of this \
             machine",
            folder.display()
        );
        Finding::warning("dead_letter.location", words, "write `dead_letter.location = \"s3://…\"`")
    })
}

/// What a check says is wrong has its remedy in it.
fn finding(subject: &str, found: Result<Found, String>) -> Finding {
    match found {
        Ok(Found { words, fix: None }) => Finding::ok(subject, words),
        Ok(Found { words, fix: Some(fix) }) => Finding::warning(subject, words, fix),
        Err(words) => Finding { level: Level::Failure, subject: subject.to_owned(), words, fix: None },
    }
}
