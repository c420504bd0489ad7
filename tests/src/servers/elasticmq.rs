//! ElasticMQ: an SQS that keeps to its limits and is much faster than moto's. One account; it checks no signature.

use std::process::Command;

use super::process::{self, Process};
use super::sqs::{REGION, Sqs};
use super::{download, java};

/// A running ElasticMQ. It keeps everything in memory.
pub struct ElasticMq {
    pub sqs: Sqs,
    _process: Process,
}

impl ElasticMq {
    pub(super) fn start() -> ElasticMq {
        let jars = download::jars("org.elasticmq", "elasticmq-server_2.13", "1.7.1");
        let java = java::local().expect("the install asked for one");
        let folder = process::folder("elasticmq");
        let port = process::free_port();
        let mut command = Command::new(java.join("bin/java"));
        command
            .args(["-Xms64m", "-Xmx512m", "-Drest-sqs.sqs-limits=strict", "-Drest-stats.enabled=false"])
            .args(["-Drest-sqs.bind-hostname=127.0.0.1", "-Dnode-address.host=127.0.0.1"])
            .args([format!("-Drest-sqs.bind-port={port}"), format!("-Dnode-address.port={port}")])
            .arg(format!("-Daws.region={REGION}"))
            .args(["-cp", &format!("{}/*", jars.display()), "org.elasticmq.server.Main"]);
        let process = Process::start("ElasticMQ", &folder, &command);
        process.wait_until(|| !process::is_free(port));
        ElasticMq { sqs: Sqs { endpoint: format!("http://127.0.0.1:{port}") }, _process: process }
    }
}
