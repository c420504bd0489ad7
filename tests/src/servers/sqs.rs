//! SQS's own protocol, as far as tests need it to prepare queues and to look into them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::request::request;

/// The region in which the tests' queues and buckets are.
pub const REGION: &str = "eu-west-1";

/// An endpoint that speaks SQS.
#[derive(Clone, Debug)]
pub struct Sqs {
    /// Its address, without a slash at the end.
    pub endpoint: String,
}

impl Sqs {
    /// Calls an action, such as `SendMessageBatch`; its request and its answer are JSON.
    pub fn call(&self, action: &str, input: &Value) -> Value {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &format!("AmazonSQS.{action}")),
            ("authorization", &authorization("sqs")),
        ];
        let answer = request("POST", &self.endpoint, &headers, input.to_string()).ok();
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).expect("JSON") }
    }

    /// Makes a queue and returns its URL. Attributes as SQS names them: `("VisibilityTimeout", "2")`. A FIFO queue's name
    /// ends in `.fifo` and it has the attribute `FifoQueue`.
    pub fn create_queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let attributes: BTreeMap<&str, &str> = attributes.iter().copied().collect();
        let answer = self.call("CreateQueue", &json!({"QueueName": name, "Attributes": attributes}));
        answer["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    /// Sends a message to a queue and returns its id.
    pub fn send(&self, queue: &str, body: &str) -> String {
        let answer = self.call("SendMessage", &json!({"QueueUrl": queue, "MessageBody": body}));
        answer["MessageId"].as_str().expect("an id").to_owned()
    }

    /// About how many messages wait, and how many somebody holds.
    pub fn depth(&self, queue: &str) -> (u64, u64) {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let answer = self.call("GetQueueAttributes", &json!({"QueueUrl": queue, "AttributeNames": names}));
        let count = |name: &str| answer["Attributes"][name].as_str().expect("a number").parse().expect("a number");
        (count(names[0]), count(names[1]))
    }
}

/// A signature that nobody checks: the servers read the region and the service out of it.
pub fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=00"
    )
}
