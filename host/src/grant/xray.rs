//! Traces and executions of AWS accounts: what the guest calls.
//!
//! A guest asks for lists and gets a verdict for each item; how calls are grouped, paced, tried again and paged is decided
//! here. What to ask for, when, and whether an answer is complete is the guest's to decide.
//!
//! - `bound`: what a grant names, of either kind. `folder`: recorded traces.
//! - `accounts`, `places`: the accounts of AWS, whose credentials these are, and each account's regions.
//! - `call`, `failure`, `pace`: one call to AWS, why it failed, and how many there may be.
//! - `executions`, `summaries`, `traces`, `retrieval`: the calls of each kind. `look`: those of `rayline doctor`.
//! - `flight`: work that outlives the call that asked for it. `answers`: what a call was answered until now.

mod accounts;
mod answers;
mod bound;
mod call;
mod executions;
mod failure;
mod flight;
mod folder;
pub(crate) mod look;
mod pace;
mod places;
mod retrieval;
mod summaries;
#[cfg(test)]
mod tests;
mod traces;

use std::time::Duration;

use self::answers::Until;
pub use self::bound::{Xray, XrayError};
pub(in crate::grant) use self::failure::{Failure, FailureKind};
pub use self::pace::{Level, OUTCOMES};
use super::{State, not_granted};
use crate::stage::bindings::capability::{Error, Temporary};
use crate::stage::bindings::xray::{self, ExecutionQuery, SummaryQuery, TraceQuery};
pub use crate::stage::bindings::xray::{Answer, Page, Place};

/// How long it may take to learn whose the credentials are.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// The list that a function of the interface returns, or why there is none.
type Listed<T> = wasmtime::Result<Result<Vec<Result<T, Error>>, Error>>;

impl State {
    fn xray(&self, binding: &str) -> Result<Xray, Error> {
        self.grants.0.xrays.get(binding).cloned().ok_or_else(|| not_granted(binding))
    }

    fn until(&self, max_wait_ms: u32) -> Until {
        let wait = (max_wait_ms > 0).then(|| Duration::from_millis(max_wait_ms.into()));
        Until::new(wait, self.wake.clone())
    }
}

impl xray::Host for State {
    async fn places(&mut self, binding: String) -> Listed<Place> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.places(Until::new(Some(LONGEST_LOOK), self.wake.clone())).await)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn describe_executions(
        &mut self,
        binding: String,
        executions: Vec<String>,
        max_wait_ms: u32,
    ) -> Listed<Answer> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.describe_executions(executions, self.until(max_wait_ms)).await)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn state_machines(&mut self, binding: String, places: Vec<Place>, max_wait_ms: u32) -> Listed<Answer> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.state_machines(places, self.until(max_wait_ms)).await)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn executions(&mut self, binding: String, queries: Vec<ExecutionQuery>, max_wait_ms: u32) -> Listed<Page> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.executions(queries, self.until(max_wait_ms)).await)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn trace_summaries(&mut self, binding: String, queries: Vec<SummaryQuery>, max_wait_ms: u32) -> Listed<Page> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.trace_summaries(queries, self.until(max_wait_ms)).await)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn traces(&mut self, binding: String, traces: Vec<TraceQuery>, max_wait_ms: u32) -> Listed<Answer> {
        match self.xray(&binding) {
            Ok(xray) => Ok(Ok(xray.traces(traces, self.until(max_wait_ms)).await)),
            Err(error) => Ok(Err(error)),
        }
    }
}
