//! What stands in the way of a pipeline, or will one day: found out before anybody waits for data.
//!
//! Each file is one check. It looks, and judges what it sees: the judgement is a pure function, so that each can be tested
//! with what AWS may say. **What may not be asked is a warning, never a failure**: a run does not need these rights.
//!
//! - [`reach`]: whether everything that the grants name can be reached and used. Also what `rayline validate` says.
//! - [`index`]: which server the index is, and whether it has the templates. Also what `rayline validate` says.
//! - [`credentials`], `clock`: whose they are, and whether AWS has the same time.
//! - [`queue`], `senders`: what a queue does with its messages, and who may send.
//! - `tracing`, `sampling`, `search`: whether executions have traces, and where these are.
//! - [`calls`]: how many calls to AWS there will be. [`load`]: what that depends on.

pub mod calls;
pub mod credentials;
pub mod index;
pub mod load;
pub mod queue;
pub mod reach;

mod clock;
mod sampling;
mod search;
mod senders;
mod tracing;

use std::fmt;

use futures::future::join_all;

use self::load::Load;
use crate::grant::xray::Xray;
use crate::pipeline::{Grant, Pipeline, PluginRef, Stage};

/// What one check found: a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The field of the pipeline file that it is about, or another thing.
    pub subject: String,
    /// What is so.
    pub words: String,
    /// What to change, and where.
    pub fix: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is lost, late or dear one day; or nobody knows.
    Warning,
    /// It does not work.
    Failure,
}

impl Level {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
    }
}

impl Finding {
    /// All is well.
    pub fn ok(subject: &str, words: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, subject: subject.to_owned(), words: words.into(), fix: None }
    }

    /// Something that works.
    pub fn warning(subject: &str, words: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, subject: subject.to_owned(), words: words.into(), fix: Some(fix.into()) }
    }

    /// Something that does not.
    pub fn failure(subject: &str, words: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { level: Level::Failure, ..Finding::warning(subject, words, fix) }
    }

    /// Something that nobody could look at: what, and AWS's words.
    pub fn not_checked(subject: &str, what: &str, reason: &str, right: &str) -> Finding {
        Finding::warning(
            subject,
            format!("not checked: {what}: {reason}"),
            format!("allow the role {right} to have it checked"),
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { level, subject, words, fix } = self;
        // What others say may have lines.
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{:<7}  {subject}: {}", level.word(), line(words))?;
        match fix {
            Some(fix) => write!(f, "; fix: {}", line(fix)),
            None => Ok(()),
        }
    }
}

/// Everything that the checks find, in the order in which one mends it.
pub async fn examine(pipeline: &Pipeline) -> Vec<Finding> {
    let collecting = pipeline.stages.iter().flat_map(|stage| {
        stage.grants.iter().filter_map(move |(name, grant)| match grant {
            Grant::Xray(grant) => Some((stage, field(stage, name), grant)),
            _ => None,
        })
    });
    let accounts = collecting.map(|(stage, field, grant)| async move {
        match Xray::open(grant).await {
            Ok(Xray::Accounts(accounts)) => load::examine(stage, &field, &accounts).await,
            // Nobody is asked, or `reach` says why nobody can be.
            Ok(Xray::Folder(_)) | Err(_) => (Vec::new(), None),
        }
    });
    let (credentials, reach, payloads, queues, indices, accounts) = tokio::join!(
        credentials::examine(pipeline),
        reach::examine(pipeline),
        reach::payloads(pipeline),
        queue::examine(pipeline),
        index::examine(pipeline),
        join_all(accounts),
    );
    let (accounts, loads): (Vec<Vec<Finding>>, Vec<Option<Load>>) = accounts.into_iter().unzip();
    let loads: Vec<Load> = loads.into_iter().flatten().collect();
    let mut findings = [vec![reach::data_dir(pipeline)], credentials, reach, payloads, queues, indices].concat();
    findings.extend(accounts.into_iter().flatten());
    findings.extend(reach::dead_letters(pipeline));
    findings.extend(calls::examine(pipeline, &loads));
    findings
}

/// Where a grant stands in the pipeline file.
pub(crate) fn field(stage: &Stage, grant: &str) -> String {
    format!("{}s.{}.grants.{grant}", stage.kind.name(), stage.name)
}

/// Whether a stage has the shipped plugin of this name, of which the checks know what it does.
pub(crate) fn is_shipped(stage: &Stage, plugin: &str) -> bool {
    matches!(&stage.plugin, PluginRef::Shipped(name) if name == plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line() {
        let finding = Finding::failure("sources.a.grants.queue", "it is\n  wrong", "mend it");
        assert_eq!(finding.to_string(), "failure  sources.a.grants.queue: it is wrong; fix: mend it");
        assert_eq!(Finding::ok("clock", "fine").to_string(), "ok       clock: fine");
    }
}
