//! Requests: who asks for what, the faults of a bad day, and answers as AWS writes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::manners::{Counts, Manners};
use super::store::{Place, Store};
use super::sts::{self, Roles};
use super::xray::Retrievals;
use super::{Clock, shapes, states, xray};
use crate::servers::request::request;

/// Everything that the endpoint knows.
pub struct Shared {
    pub clock: Clock,
    pub manners: Manners,
    pub store: Mutex<Store>,
    pub violations: Mutex<Vec<String>>,
    /// Access keys and their accounts.
    pub accounts: Mutex<BTreeMap<String, String>>,
    /// By account, region and API.
    pub calls: Mutex<BTreeMap<(String, String, String), Calls>>,
    pub roles: Mutex<Roles>,
    sts: Option<String>,
    counts: Mutex<Counts>,
    retrievals: Mutex<Retrievals>,
    /// Until when the calls that the rate allows are used up.
    spent: Mutex<BTreeMap<(Place, String), Duration>>,
}

/// How often an API was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub asked: u64,
    /// Refused because there were too many.
    pub throttled: u64,
    /// Answered with an error of the service.
    pub failed: u64,
    /// Answered with an error of whoever asked.
    pub refused: u64,
    /// Trace ids in all of them.
    pub ids: u64,
    /// How many were in flight, and the most that ever were.
    now: u64,
    pub at_once: u64,
}

/// A call, and the circumstances in which it is answered.
pub struct Asked {
    pub place: Place,
    pub api: String,
    pub manners: Manners,
    pub now: Duration,
    /// How often exactly this was asked before.
    pub nth: u64,
    /// How often each of its trace ids was asked for before.
    ids: BTreeMap<String, u64>,
}

impl Asked {
    pub fn nth_id(&self, id: &str) -> u64 {
        self.ids.get(id).copied().unwrap_or_default()
    }
}

/// An error as a service answers it.
#[derive(Debug)]
pub struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub fn of(code: &'static str, message: String) -> Refusal {
        let status = match code {
            "ResourceNotFoundException" => 404,
            "ThrottledException" => 429,
            "InternalFailure" => 500,
            "ServiceUnavailable" => 503,
            _ => 400,
        };
        Refusal { status, code, message }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    XRay,
    States,
    Sts,
}

impl Service {
    /// As it is named in signatures.
    fn signed(self) -> &'static str {
        match self {
            Service::XRay => "xray",
            Service::States => "states",
            Service::Sts => "sts",
        }
    }
}

impl Shared {
    pub fn new(manners: Manners, sts: Option<&str>) -> Shared {
        Shared {
            clock: Clock::start(),
            manners,
            store: Mutex::default(),
            violations: Mutex::default(),
            accounts: Mutex::default(),
            calls: Mutex::default(),
            roles: Mutex::default(),
            sts: sts.map(str::to_owned),
            counts: Mutex::default(),
            retrievals: Mutex::default(),
            spent: Mutex::default(),
        }
    }

    /// Notes something that no test may see.
    fn violated(&self, what: String) {
        self.violations.lock().expect("no server fails here").push(what);
    }

    /// Account and region of the signature of a request, which nobody checks: the account of its access key, and the region
    /// of its scope.
    fn place(&self, headers: &HeaderMap, service: Service) -> Option<Place> {
        let header = headers.get("authorization")?.to_str().ok()?;
        let scope = header.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(',').next()?;
        let [key, _date, region, name, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
        if name != service.signed() {
            self.violated(format!("a signature for {name}"));
        }
        Some(Place::new(&self.account(key, header, headers)?, region))
    }

    /// Whose an access key is: what STS says.
    fn account(&self, key: &str, authorization: &str, headers: &HeaderMap) -> Option<String> {
        if let Some(account) = self.accounts.lock().expect("no server fails here").get(key) {
            return Some(account.clone());
        }
        if let Some(account) = sts::account(key) {
            return Some(account);
        }
        let token = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        let signed = authorization.replace("/xray/", "/sts/").replace("/states/", "/sts/");
        let headers = [
            ("authorization", signed.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-amz-security-token", token),
        ];
        let answer = request("POST", self.sts.as_ref()?, &headers, "Action=GetCallerIdentity&Version=2011-06-15").ok();
        let account = answer.split_once("<Account>")?.1.split_once("</Account>")?.0.to_owned();
        self.accounts.lock().expect("no server fails here").insert(key.to_owned(), account.clone());
        Some(account)
    }

    /// Whether a call is one more than the rate allows. Up to a second's calls may come at once.
    fn is_too_much(&self, asked: &Asked) -> bool {
        let Some(rate) = asked.manners.rate else { return false };
        let mut spent = self.spent.lock().expect("no server fails here");
        let until = spent.entry((asked.place.clone(), asked.api.clone())).or_default();
        let next = (*until).max(asked.now) + Duration::from_secs_f64(1.0 / rate);
        if next > asked.now + Duration::from_secs(1) {
            return true;
        }
        *until = next;
        false
    }

    /// What the service says, or what a bad day makes of it.
    fn answer(&self, service: Service, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
        let what = format!("{} {:?} {input}", asked.api, asked.place);
        let manners = &asked.manners;
        if self.is_too_much(asked) || manners.is(manners.throttled, &format!("throttled {what}"), asked.nth) {
            let code = if service == Service::XRay { "ThrottledException" } else { "ThrottlingException" };
            return Err(Refusal::of(code, "Rate exceeded".to_owned()));
        }
        if manners.is(manners.failing, &format!("failing {what}"), asked.nth) {
            let code = if asked.nth.is_multiple_of(2) { "InternalFailure" } else { "ServiceUnavailable" };
            return Err(Refusal::of(code, "try again".to_owned()));
        }
        let store = self.store.lock().expect("no server fails here");
        match service {
            Service::XRay => {
                let mut retrievals = self.retrievals.lock().expect("no server fails here");
                xray::answer(&store, &mut retrievals, asked, input)
            }
            _ => states::answer(&store, asked, input),
        }
    }

    fn count(&self, asked: &Asked, change: impl FnOnce(&mut Calls)) {
        let key = (asked.place.account.clone(), asked.place.region.clone(), asked.api.clone());
        change(self.calls.lock().expect("no server fails here").entry(key).or_default());
    }

    /// Which services and APIs there are.
    fn route(headers: &HeaderMap, path: &str) -> Option<(Service, String)> {
        let Some(target) = headers.get("x-amz-target") else {
            if path == "/" {
                return Some((Service::Sts, "AssumeRole".to_owned()));
            }
            return Some((Service::XRay, xray::api(path)?.to_owned()));
        };
        let api = target.to_str().ok()?.strip_prefix("AWSStepFunctions.")?;
        let known = ["DescribeExecution", "ListExecutions", "ListStateMachines", "DescribeStateMachine"];
        known.contains(&api).then(|| (Service::States, api.to_owned()))
    }
}

/// Answers until the tests end.
pub async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    axum::serve(listener, Router::new().fallback(handle).with_state(shared)).await.expect("a server");
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let path = head.uri.path().to_owned();
    let Some((service, api)) = Shared::route(&head.headers, &path) else {
        shared.violated(format!("nobody knows {path} {:?}", head.headers.get("x-amz-target")));
        return refused(Service::XRay, &Refusal::of("UnknownOperationException", path));
    };
    // It may ask STS, which blocks.
    let identified = {
        let shared = shared.clone();
        tokio::task::spawn_blocking(move || shared.place(&head.headers, service))
    };
    let place = identified.await.expect("no panic");
    if service == Service::Sts {
        let form = String::from_utf8(body.into()).expect("UTF-8");
        let own = place.as_ref().map(|place| place.account.as_str());
        let (status, answer) = sts::answer(&mut shared.roles.lock().expect("no server fails here"), own, &form);
        return response(service, StatusCode::from_u16(status).expect("a status"), &[], answer);
    }
    let Some(place) = place else {
        shared.violated(format!("{api} without a signature"));
        return refused(service, &Refusal::of("AccessDeniedException", "who are you".to_owned()));
    };
    let input: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).unwrap_or_default() };
    let now = shared.clock.now();
    let manners = shared.manners.clone();
    let asked = {
        let mut counts = shared.counts.lock().expect("no server fails here");
        let nth = counts.nth(&format!("{api} {place:?} {input}"));
        let ids = input["TraceIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ids = ids.map(|id| (id.to_owned(), counts.nth(&format!("{api} {place:?} id {id}")))).collect();
        Asked { place, api, manners, now, nth, ids }
    };
    shared.count(&asked, |calls| {
        calls.asked += 1;
        calls.ids += asked.ids.len() as u64;
        calls.now += 1;
        calls.at_once = calls.at_once.max(calls.now);
    });
    tokio::time::sleep(asked.manners.latency).await;
    let answer = shared.answer(service, &asked, &input);
    shared.count(&asked, |calls| {
        calls.now -= 1;
        match &answer {
            Err(Refusal { code: "ThrottledException" | "ThrottlingException", .. }) => calls.throttled += 1,
            Err(refusal) if refusal.status >= 500 => calls.failed += 1,
            Err(_) => calls.refused += 1,
            Ok(_) => {}
        }
    });
    check(&shared, service, &asked, &input, &answer);
    match answer {
        Ok(answer) => response(service, StatusCode::OK, &[], answer.to_string()),
        Err(refusal) => refused(service, &refusal),
    }
}

/// Holds what was asked and what is answered against the API models.
fn check(shared: &Shared, service: Service, asked: &Asked, input: &Value, answer: &Result<Value, Refusal>) {
    let Some(model) = (if service == Service::XRay { shapes::xray() } else { shapes::states() }) else { return };
    let answered = match answer {
        Ok(output) => model.output(&asked.api, output),
        Err(refusal) => model.error(&asked.api, refusal.code, refusal.status),
    };
    for wrong in model.input(&asked.api, input).into_iter().chain(answered) {
        shared.violated(wrong);
    }
}

fn refused(service: Service, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).expect("a status");
    let (code, message) = (refusal.code, &refusal.message);
    match service {
        Service::XRay => {
            response(service, status, &[("x-amzn-errortype", code)], json!({ "Message": message }).to_string())
        }
        _ => {
            let kind = format!("com.amazonaws.swf.service.v2.model#{code}");
            response(service, status, &[], json!({ "__type": kind, "message": message }).to_string())
        }
    }
}

fn response(service: Service, status: StatusCode, headers: &[(&str, &str)], body: String) -> Response {
    let kind = match service {
        Service::XRay => "application/json",
        Service::States => "application/x-amz-json-1.0",
        Service::Sts => "text/xml",
    };
    let mut response = Response::builder().status(status).header("content-type", kind);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response
        .header("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")
        .body(Body::from(body))
        .expect("an answer")
}
