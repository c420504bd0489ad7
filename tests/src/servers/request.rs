//! Requests as the tests make them, apart from the host's own code.

use std::sync::OnceLock;
use std::sync::mpsc;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::Runtime;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, of a request that must have succeeded.
    pub fn ok(self) -> String {
        let bytes = self.bytes();
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The body, of a request that must have succeeded.
    pub fn bytes(self) -> Vec<u8> {
        let is_good = (200..300).contains(&self.status);
        assert!(is_good, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self.body
    }

    /// The body as JSON, of a request that must have succeeded.
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Sends a request to a server without TLS.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<String>) -> Answer {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::builder().no_proxy().build().expect("a client"));
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = client.request(method, url).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).unwrap_or_else(|error| panic!("{url}: {error:?}"))
}

/// Sends a request and waits for the whole answer, also on a thread of another runtime.
pub fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    });
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        let answer = async {
            let response = request.send().await?;
            Ok(Answer { status: response.status().as_u16(), body: response.bytes().await?.into() })
        };
        let _ = sender.send(answer.await);
    });
    receiver.recv().expect("an answer")
}
