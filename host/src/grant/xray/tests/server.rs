//! STS, X-Ray and Step Functions as the tests play them: one server, one function that answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use serde_json::Value;

/// A server that ends with its runtime.
pub(super) struct Server {
    pub(super) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The operation.
    pub(super) api: String,
    /// As the credentials say.
    pub(super) account: String,
    pub(super) region: String,
    pub(super) body: Value,
}

/// A status and a body; of an error `{"__type", "message"}`.
pub(super) type Reply = (u16, Value);

impl Server {
    pub(super) async fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (calls.clone(), Arc::new(answer));
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                let call = Call::read(&uri, &headers, &body);
                seen.lock().unwrap().push(call.clone());
                if call.text("RoleArn").ends_with("/slow") {
                    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                }
                let (status, body) = match sts(&call) {
                    Some(answered) => answered,
                    None => {
                        let (status, body) = answer(&call);
                        if let Some(wait) = body.get("wait_ms").and_then(Value::as_u64) {
                            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
                        }
                        (status, body.to_string())
                    }
                };
                (axum::http::StatusCode::from_u16(status).unwrap(), body)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { url, calls }
    }

    /// The calls of one operation, in their order.
    pub(super) fn calls(&self, api: &str) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|call| call.api == api).cloned().collect()
    }
}

impl Call {
    fn read(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Call {
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let credential = header("authorization").split("Credential=").nth(1).unwrap_or_default();
        let mut scope = credential.split('/');
        let account = scope.next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        let region = scope.nth(1).unwrap_or_default().to_owned();
        let (api, body) = match uri.path() {
            "/" if header("x-amz-target").is_empty() => {
                let form: serde_json::Map<String, Value> = str::from_utf8(body)
                    .unwrap()
                    .split('&')
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(key, value)| (key.to_owned(), value.replace("%3A", ":").replace("%2F", "/").into()))
                    .collect();
                (form["Action"].as_str().unwrap().to_owned(), form.into())
            }
            path => {
                let api = match path {
                    "/Traces" => "BatchGetTraces",
                    "/TraceSummaries" => "GetTraceSummaries",
                    path => path.trim_start_matches('/'),
                };
                let target = header("x-amz-target").rsplit('.').next().unwrap();
                let api = if target.is_empty() { api } else { target };
                (api.to_owned(), serde_json::from_slice(body).unwrap_or_default())
            }
        };
        Call { api, account, region, body }
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }

    pub(super) fn texts(&self, key: &str) -> Vec<&str> {
        self.body[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// Roles called `closed` cannot be assumed, those called `slow` not before a minute, and those called `other` are of
/// 999999999999 in truth.
fn sts(call: &Call) -> Option<(u16, String)> {
    let role = call.text("RoleArn");
    let account = role.split(':').nth(4).unwrap_or_default();
    match call.api.as_str() {
        "GetCallerIdentity" => {
            let account = &call.account;
            let body = format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::{account}:assumed-role/x/y</Arn>\
                 <UserId>A:b</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
            Some((200, body))
        }
        "AssumeRole" if role.ends_with("/closed") => {
            let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                        <Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
            Some((403, body.to_owned()))
        }
        "AssumeRole" => {
            let account = if role.ends_with("/other") { "999999999999" } else { account };
            let body = format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA{account}</AccessKeyId>\
                 <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            );
            Some((200, body))
        }
        _ => None,
    }
}
