//! Collection: X-Ray and Step Functions of several accounts to the queue of the log account.
//!
//! - `whole`: an organisation of three accounts, to archive and documents, and a replay.
//! - `verdicts`: one account, whatever happens: rude services, killed hosts, Transaction Search, a hundred children.
//! - `real`: recorded traces. `by_hand`: `rayline collect`. `shipped`: the pipelines as they are shipped.
//! - `collector`: the endpoint, the hosts and what they leave behind, for one test.
//! - `organisation`, `segments`: executions as they happen, and what the index must say of each.
//! - `fake`: an endpoint that stands for X-Ray and Step Functions. `protocol`: AWS's own SDK asks it.

mod by_hand;
pub mod collector;
pub mod fake;
mod organisation;
mod protocol;
mod real;
mod segments;
mod shipped;
mod verdicts;
mod whole;
