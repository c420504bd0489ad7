//! The log account: the shipped pipelines on SQS, S3 and OpenSearch.
//!
//! - `whole`: the main job, and both ways back from the archive.
//! - `killed`: `kill -9` at each point where something is half done.
//! - `away`: a cluster that does not answer for a while, or is killed.
//! - `wrong`: an index template that refuses every document.
//! - `foreign`: a bucket that others filled.
//! - `seen`: what the charts show of executions.
//! - `account`: queue, bucket and indices of one test.

pub mod account;
mod away;
mod foreign;
mod killed;
mod seen;
mod whole;
mod wrong;
