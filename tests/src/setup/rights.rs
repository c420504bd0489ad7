//! What is said where a server does not allow everything, or is not what documents need.

use serde_json::{Value, json};

use super::played::{MONTHS, Played, Product};
use crate::harness::{Ended, World};
use crate::kibana::recorder::{Recorder, says};
use crate::servers::sqs::REGION;
use crate::servers::{moto, unique};

/// Runs commands with `pipeline.toml`, whose index is there.
struct Host(World);

impl Host {
    fn new(url: &str, auth: &str) -> Host {
        let world = World::new();
        let pipeline = format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue = "file:q"
            [sinks.index]
            plugin = "elasticsearch-sink"
            inputs = ["in"]
            grants.http = {{ urls = ["{url}"]{auth} }}
            "#
        );
        world.write("pipeline.toml", pipeline);
        Host(world)
    }

    fn runs(&self, args: &[&str]) -> Ended {
        with_aws(&self.0, args)
    }
}

fn with_aws(world: &World, args: &[&str]) -> Ended {
    let services = ["SQS", "S3", "STS"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
    let invocation = world.rayline(args).with_credentials().env("AWS_REGION", REGION);
    services.iter().fold(invocation, |invocation, name| invocation.env(name, &moto().url)).ends()
}

/// A server that answers everything so.
fn refusing(status: u16, answer: Value) -> Recorder {
    Recorder::start(move |_| says(status, answer.clone()))
}

#[test]
fn whoever_may_only_write_is_told_what_was_not_checked() {
    let reason =
        "no permissions for [cluster:monitor/main] and User [name=rayline, backend_roles=[], requestedTenant=null]";
    let error = json!({"type": "security_exception", "reason": reason});
    let server = refusing(403, json!({"error": error, "status": 403}));
    let host = Host::new(&server.url(), "");
    let valid = host.runs(&["validate", "pipeline.toml"]).with_code(0);
    valid.says("reachable; not checked: what the grant's `auth` may do there").says("index templates are in place");
    let found = host.runs(&["doctor", "pipeline.toml"]).with_code(0);
    found.says("warning  sinks.index: not checked: which server this is").says("cluster:monitor/main");
    host.runs(&["setup", "elasticsearch", "pipeline.toml"]).with_code(1).says("may not GET /: 403 no permissions for");
}

#[test]
fn whoever_is_not_known_is_told_so() {
    let stranger = json!({"Message": "User: anonymous is not authorized to perform: es:ESHttpGet"});
    let nobody = json!({"error": {"type": "security_exception", "reason": "missing authentication credentials"}});
    for (status, answer) in [(403, stranger), (401, nobody)] {
        let server = refusing(status, answer);
        let host = Host::new(&server.url(), "");
        host.runs(&["validate", "pipeline.toml"])
            .with_code(1)
            .says(&format!("it answers {status}: correct the grant's"));
        host.runs(&["doctor", "pipeline.toml"]).with_code(1).says("failure  sinks.index: the index templates");
    }
}

#[test]
fn an_index_without_templates_is_a_failure_until_they_are_there() {
    let server = Played::start(Product::OpenSearch);
    let host = Host::new(&server.url(), "");
    let ended = host.runs(&["validate", "pipeline.toml"]).with_code(1);
    ended
        .says("OpenSearch 2.19.1 has no component template xray, index template xray-executions")
        .says("run `rayline setup elasticsearch pipeline.toml`");
    host.runs(&["setup", "elasticsearch", "pipeline.toml"]).with_code(0);
    host.runs(&["validate", "pipeline.toml"]).with_code(0).says("OpenSearch 2.19.1, index templates in place");
}

#[test]
fn a_collection_must_be_one_for_searches() {
    let auth = r#", auth = { aws = "aoss" }"#;
    let server = Played::start(Product::TimeSeries);
    let host = Host::new(&server.url(), auth);
    for command in [&["validate"][..], &["doctor"], &["setup", "elasticsearch"]] {
        host.runs(&[command, &["pipeline.toml"]].concat()).with_code(1).says("make a collection of the type search");
    }

    let server = Played::start(Product::Serverless);
    let host = Host::new(&server.url(), auth);
    host.runs(&["setup", "elasticsearch", "pipeline.toml"]).with_code(0).says("OpenSearch Serverless");
    host.runs(&["validate", "pipeline.toml"]).with_code(0).says("index templates in place");
    let pruned = host.runs(&["prune", "pipeline.toml", "--older-than-days", "1"]).with_code(0);
    pruned.says("OpenSearch Serverless").says("deleted  xray-traces-2025.01");
    let deleted = server.seen().into_iter().filter(|seen| seen.method == "DELETE").map(|seen| seen.path);
    let (probes, months): (Vec<_>, Vec<_>) = deleted.partition(|path| path.ends_with("-probe"));
    assert_eq!(probes, ["/xray-probe"; 2]);
    assert!(months.contains(&format!("/{}", MONTHS[2])), "{months:?}");
}

#[test]
fn a_role_signs_the_requests() {
    let server = Played::start(Product::OpenSearch);
    let role = "arn:aws:iam::123456789012:role/search";
    let auth = format!(r#", auth = {{ aws = "es", region = "{REGION}", role_arn = "{role}", external_id = "acme" }}"#);
    let host = Host::new(&server.url(), &auth);
    host.runs(&["setup", "elasticsearch", "pipeline.toml"]).with_code(0);
    assert!(server.seen().len() > 4);
    for seen in server.seen() {
        let (signature, token) = (&seen.headers["authorization"], &seen.headers["x-amz-security-token"]);
        // Of a role, as STS gives them.
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=ASIA"), "{signature}");
        assert!(signature.contains(&format!("/{REGION}/es/aws4_request")) && !token.is_empty(), "{signature}");
    }
}

#[test]
fn validate_looks_at_claim_checks_and_warns_of_a_folder_for_dead_letters() {
    let world = World::new();
    let (queue, bucket) = (moto().sqs.create_queue(&unique("claims"), &[]), unique("claims"));
    let pipeline = |bucket: &str| {
        format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue = "{queue}"
            [sinks.out]
            plugin = "queue-sink"
            inputs = ["in"]
            grants.queue = {{ url = "{queue}", claim_check = "s3://{bucket}/claims" }}
            "#
        )
    };
    moto().create_bucket(&bucket);
    world.write("there.toml", pipeline(&bucket));
    world.write("gone.toml", pipeline(&format!("{bucket}-gone")));
    let there = with_aws(&world, &["validate", "there.toml"]).with_code(0);
    there.says("sinks.out.grants.queue.claim_check: ").says("claims: writable");
    with_aws(&world, &["validate", "gone.toml"]).with_code(1).says("sinks.out.grants.queue.claim_check: ");

    let warning =
        "warning: there.toml: messages are deleted from their queue, and what cannot be delivered is then only in";
    with_aws(&world, &["validate", "--no-connect", "there.toml"]).with_code(0).says(warning);
    world.write("safe.toml", format!("dead_letter.location = \"s3://{bucket}/dead\"\n{}", pipeline(&bucket)));
    let safe = with_aws(&world, &["validate", "safe.toml"]).with_code(0);
    assert!(!safe.stderr.contains("warning"), "{}", safe.stderr);
}
