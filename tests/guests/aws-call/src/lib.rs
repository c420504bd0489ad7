//! A sink that calls an API of AWS: `SendMessage` of SQS. The host has the address and signs.

use rayline_sdk::http::{self, Method, Request};
use rayline_sdk::{Batch, Binding, Capability, CapabilityError, Context, Exceptions, Failure, Sink};

const API: &str = "api";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// The queue's URL.
    queue_url: String,
}

struct SendMessage {
    options: Options,
}

impl Sink for SendMessage {
    type Options = Options;
    const SUMMARY: &'static str = "Calls SendMessage for each event";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(API, Capability::Http, "the endpoint of SQS")]
    }

    fn open(options: Options, _: &Context) -> Result<SendMessage, Failure> {
        Ok(SendMessage { options })
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let requests: Vec<Request> = batch.iter().map(|event| self.request(event.body)).collect();
        for (event, answer) in batch.iter().zip(http::send(API, &requests)?) {
            match answer {
                Ok(response) if response.status == 200 => {}
                Ok(response) if response.status == 429 || response.status >= 500 => {
                    out.retry(&event, String::from_utf8_lossy(&response.body), None);
                }
                Ok(response) => out.reject(&event, String::from_utf8_lossy(&response.body)),
                Err(CapabilityError::Temporary { reason, after }) => out.retry(&event, reason, after),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl SendMessage {
    fn request(&self, body: &[u8]) -> Request {
        let body = String::from_utf8_lossy(body);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Request {
            method: Method::Post,
            path: "/".to_owned(),
            headers: vec![
                header("content-type", "application/x-amz-json-1.0"),
                header("x-amz-target", "AmazonSQS.SendMessage"),
            ],
            body: serde_json::json!({ "QueueUrl": self.options.queue_url, "MessageBody": body })
                .to_string()
                .into_bytes(),
            gzip: false,
        }
    }
}

rayline_sdk::export_sink!(SendMessage);
