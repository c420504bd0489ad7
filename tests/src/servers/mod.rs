//! Real servers: Elasticsearch, OpenSearch, and what stands for SQS, S3 and STS. Linux only.
//!
//! A test asks for one ([`search`], [`moto`], [`elasticmq`]) and gets it running. Each is installed once into
//! `target/servers` and started at most once in a test process, when the first test asks, on a free port of 127.0.0.1.
//! All tests of the process share it, so they name their queues, buckets and indices with [`unique`]. It ends with
//! the process, however that ends. A test that stops a server, or wants its security on, starts one of its own with
//! [`search_with`].
//!
//! - `download`: from package registries into `target/servers`.
//! - `java`: which Java runs what.
//! - `process`: a server's processes, and that none outlives the tests.
//! - `search`, `moto`, `elasticmq`: the servers. `sqs`: what the last two speak.
//! - `request`: requests to them, as the tests themselves make them.

mod download;
mod elasticmq;
mod java;
mod moto;
mod process;
pub mod request;
pub mod search;
mod smoke;
pub mod sqs;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use download::run;
pub use elasticmq::ElasticMq;
pub use moto::Moto;
pub use search::{Engine, Search, Settings};

/// S3, SQS, STS and Organizations, shared by all tests.
pub fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

/// A second SQS, stricter and faster than [`moto`]'s, shared by all tests.
pub fn elasticmq() -> &'static ElasticMq {
    static ELASTICMQ: OnceLock<ElasticMq> = OnceLock::new();
    ELASTICMQ.get_or_init(ElasticMq::start)
}

/// cfn-lint, in a Python that has PyYAML and botocore as well: the folder of both.
pub fn cfn_lint() -> PathBuf {
    download::python("cfn-lint-1.58.0", &["cfn-lint==1.58.0", "botocore==1.44.5"])
}

/// An Elasticsearch or OpenSearch without security, shared by all tests.
pub fn search(engine: Engine) -> &'static Search {
    static SERVERS: [OnceLock<Search>; Engine::ALL.len()] = [const { OnceLock::new() }; Engine::ALL.len()];
    SERVERS[engine as usize].get_or_init(|| search_with(engine, Settings::default()))
}

/// An Elasticsearch or OpenSearch of one's own. It ends when dropped.
pub fn search_with(engine: Engine, settings: Settings) -> Search {
    Search::start(engine, settings)
}

/// A name that no other test has, also not one of an earlier run on the same server.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
