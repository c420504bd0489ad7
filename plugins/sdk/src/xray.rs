//! Traces of X-Ray and executions of Step Functions, from the accounts and regions that a binding names.
//!
//! `binding` is always the name that the stage's bindings list. Answers are JSON with the services' own members. Calls take
//! and return lists, one answer for each item: the host paces, pages, retries and does the concurrency.
//!
//! `max_wait`: what was not heard within it is answered [`CapabilityError::Temporary`]; zero waits as long as it takes.

use std::time::Duration;

use crate::CapabilityError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::xray as host;
pub use crate::bindings::xray::{Answer, ExecutionQuery, Page, Place, SummaryQuery, TraceQuery};
use crate::failure::millis;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::xray as host;

/// One answer for each item of a call, in its order.
pub type Answers<T> = Result<Vec<Result<T, CapabilityError>>, CapabilityError>;

/// The accounts and regions of the binding; an error for each whose credentials do not work.
pub fn places(binding: &str) -> Answers<Place> {
    Ok(answers(host::places(binding)?))
}

/// Executions by their ARNs, each as `DescribeExecution` answers. Those of EXPRESS state machines have no description.
pub fn describe_executions(binding: &str, executions: &[String], max_wait: Duration) -> Answers<Answer> {
    Ok(answers(host::describe_executions(binding, executions, millis(max_wait))?))
}

/// All state machines of each place: a JSON array of `{stateMachineArn, name, type, creationDate}`.
pub fn state_machines(binding: &str, places: &[Place], max_wait: Duration) -> Answers<Answer> {
    Ok(answers(host::state_machines(binding, places, millis(max_wait))?))
}

/// Executions of state machines, latest first: for each query one page, a JSON array of what `ListExecutions` answers.
pub fn executions(binding: &str, queries: &[ExecutionQuery], max_wait: Duration) -> Answers<Page> {
    Ok(answers(host::executions(binding, queries, millis(max_wait))?))
}

/// Summaries of traces: for each query one page, a JSON array of what `GetTraceSummaries` answers.
pub fn trace_summaries(binding: &str, queries: &[SummaryQuery], max_wait: Duration) -> Answers<Page> {
    Ok(answers(host::trace_summaries(binding, queries, millis(max_wait))?))
}

/// Traces, any number, each as `BatchGetTraces` answers. [`CapabilityError::NotFound`]: there is no such trace, or not yet.
pub fn traces(binding: &str, traces: &[TraceQuery], max_wait: Duration) -> Answers<Answer> {
    Ok(answers(host::traces(binding, traces, millis(max_wait))?))
}

fn answers<T>(list: Vec<Result<T, crate::bindings::capability::Error>>) -> Vec<Result<T, CapabilityError>> {
    list.into_iter().map(|answer| answer.map_err(CapabilityError::from)).collect()
}
