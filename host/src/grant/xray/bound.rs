//! What an `xray` grant names, of either kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::accounts::Accounts;
use super::answers::{Answers, Until};
use super::folder::Folder;
use super::pace::Level;
use super::{Answer, Error, ExecutionQuery, Page, Place, SummaryQuery, TraceQuery};
use crate::pipeline::XrayGrant;

/// Accounts and regions with what X-Ray and Step Functions know of them. Clones share everything.
#[derive(Clone)]
pub enum Xray {
    /// In a folder.
    Folder(Arc<Folder>),
    /// Of AWS.
    Accounts(Arc<Accounts>),
}

/// Why what a grant names cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum XrayError {
    /// No region is named, and none is at hand.
    #[error("no region is named: write `regions = [\"eu-west-1\"]` for the account, or set AWS_REGION")]
    NoRegion,
    /// The folder is not there or cannot be read.
    #[error("the folder {folder} of recorded traces cannot be read: {reason}")]
    NoFolder {
        /// As the grant has it.
        folder: String,
        /// The system's words.
        reason: String,
    },
}

/// A verdict for each item that was asked for, in its order.
type Verdicts<T> = Vec<Result<T, Error>>;

impl Xray {
    /// Opens it. Nobody is spoken to yet: credentials that do not work are errors of their own account only.
    ///
    /// # Errors
    ///
    /// A region is missing; there is no such folder.
    pub async fn open(grant: &XrayGrant) -> Result<Xray, XrayError> {
        match grant {
            XrayGrant::Folder(path) => Folder::open(path).map(Arc::new).map(Xray::Folder),
            XrayGrant::Accounts(grant) => Accounts::open(grant).await.map(Arc::new).map(Xray::Accounts),
        }
    }

    /// What the budgets are at the moment.
    pub fn levels(&self) -> Vec<Level> {
        match self {
            Xray::Folder(_) => Vec::new(),
            Xray::Accounts(accounts) => accounts.levels(),
        }
    }

    pub(super) async fn places(&self, until: Until) -> Verdicts<Place> {
        match self {
            Xray::Folder(folder) => folder.places(),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(accounts.places().len());
                until.work(accounts.identify(&answers)).await;
                let mut places = answers.finish();
                // What the grant did not say can turn out to be what it said before.
                let mut seen = BTreeSet::new();
                places.retain(|place| {
                    place.as_ref().map_or(true, |place| seen.insert((place.account.clone(), place.region.clone())))
                });
                places
            }
        }
    }

    pub(super) async fn describe_executions(&self, executions: Vec<String>, until: Until) -> Verdicts<Answer> {
        match self {
            Xray::Folder(folder) => folder.describe_executions(&executions),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(executions.len());
                until.work(accounts.describe_executions(executions, &answers)).await;
                answers.finish()
            }
        }
    }

    pub(super) async fn state_machines(&self, places: Vec<Place>, until: Until) -> Verdicts<Answer> {
        match self {
            Xray::Folder(folder) => folder.state_machines(&places),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(places.len());
                until.work(accounts.state_machines(places, &answers)).await;
                answers.finish()
            }
        }
    }

    pub(super) async fn executions(&self, queries: Vec<ExecutionQuery>, until: Until) -> Verdicts<Page> {
        match self {
            Xray::Folder(folder) => folder.executions(&queries),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(queries.len());
                until.work(accounts.executions(queries, &answers)).await;
                answers.finish()
            }
        }
    }

    pub(super) async fn trace_summaries(&self, queries: Vec<SummaryQuery>, until: Until) -> Verdicts<Page> {
        match self {
            Xray::Folder(folder) => folder.trace_summaries(&queries),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(queries.len());
                until.work(accounts.trace_summaries(queries, &answers)).await;
                answers.finish()
            }
        }
    }

    pub(super) async fn traces(&self, traces: Vec<TraceQuery>, until: Until) -> Verdicts<Answer> {
        match self {
            Xray::Folder(folder) => folder.traces(&traces),
            Xray::Accounts(accounts) => {
                let answers = Answers::new(traces.len());
                until.work(accounts.traces(traces, &answers)).await;
                answers.finish()
            }
        }
    }
}
