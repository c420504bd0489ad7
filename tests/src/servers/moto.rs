//! moto server: S3, SQS, STS and Organizations for any number of accounts. It checks no signature and no policy.

use std::process::Command;

use serde_json::Value;

use super::download;
use super::process::{self, Process};
use super::request::{Answer, request};
use super::sqs::{REGION, Sqs, authorization};

/// A running moto. It keeps everything in memory.
pub struct Moto {
    /// Its address, without a slash at the end: the endpoint of every service.
    pub url: String,
    pub sqs: Sqs,
    pub(super) process: Process,
}

/// Without this, two deletes at once bring back each other's messages (`moto/sqs/models.py`: a list is copied without what is
/// deleted, and put in place of the one that was).
const ONE_DELETE_AT_A_TIME: &str = "
from moto.server import main
from moto.sqs.models import Queue
delete = Queue.delete_message
def one_at_a_time(queue, receipt_handle):
    with queue._messages_lock:
        return delete(queue, receipt_handle)
Queue.delete_message = one_at_a_time
main()
";

impl Moto {
    pub(super) fn start() -> Moto {
        let environment = download::python("moto-5.2.5", &["moto[server]==5.2.5"]);
        let folder = process::folder("moto");
        let port = process::free_port();
        let mut command = Command::new(environment.join("bin/python"));
        command.args(["-c", ONE_DELETE_AT_A_TIME, "--host", "127.0.0.1", "--port", &port.to_string()]);
        let process = Process::start("moto", &folder, &command);
        process.wait_until(|| !process::is_free(port));
        let url = format!("http://127.0.0.1:{port}");
        Moto { sqs: Sqs { endpoint: url.clone() }, url, process }
    }

    /// SQS of another account than that of the tests.
    pub fn sqs_of(&self, account: &str, action: &str, input: &Value) -> Value {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &format!("AmazonSQS.{action}")),
            ("x-moto-account-id", account),
            ("authorization", &authorization("sqs")),
        ];
        request("POST", &self.url, &headers, input.to_string()).json()
    }

    /// Access key, secret and session token of a role.
    pub fn assume(&self, role: &str) -> [String; 3] {
        let role = role.replace(':', "%3A").replace('/', "%2F");
        let form = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=tests&RoleArn={role}");
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let answer = request("POST", &self.url, &[kind, ("authorization", &authorization("sts"))], form).ok();
        ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| {
            let (_, rest) = answer.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {answer}"));
            rest.split_once("</").expect("an end").0.to_owned()
        })
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, name: &str) {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.s3("PUT", &format!("/{name}"), place).ok();
    }

    /// A request to S3, path style: `GET` and `/BUCKET/KEY`.
    pub fn s3(&self, method: &str, path: &str, body: impl Into<String>) -> Answer {
        request(method, &format!("{}{path}", self.url), &[("authorization", &authorization("s3"))], body)
    }
}
