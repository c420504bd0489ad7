//! Accounts in memory: executions, state machines and traces as the services answer them. A binding is granted once a test
//! has called [`place`] for it. Every answer's `Date` is the test's clock, in whole seconds.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::http::error;
use crate::CapabilityError;
use crate::bindings::capability::Error;
use crate::bindings::xray::{Answer, ExecutionQuery, Page, Place, SummaryQuery, TraceQuery};

thread_local! {
    static BINDINGS: RefCell<BTreeMap<String, Accounts>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many items the double puts on one page.
const PAGE: usize = 10;

#[derive(Default)]
struct Accounts {
    places: Vec<Result<Place, CapabilityError>>,
    /// By ARN.
    executions: BTreeMap<String, Value>,
    /// By ARN.
    machines: BTreeMap<String, Value>,
    traces: BTreeMap<(Place, String), Value>,
    /// What is answered instead, by a text that the item holds: an ARN, a trace id, an account.
    failing: Vec<(String, VecDeque<CapabilityError>)>,
    /// What was asked for, one entry for each item.
    asked: Vec<String>,
}

/// Grants the binding an account and region.
pub fn place(binding: &str, account: &str, region: &str) {
    with(binding, |accounts| accounts.places.push(Ok(Place { account: account.into(), region: region.into() })));
}

/// Grants the binding an account whose credentials do not work.
pub fn broken_place(binding: &str, error: CapabilityError) {
    with(binding, |accounts| accounts.places.push(Err(error)));
}

/// Makes an execution known, or another state of it: what `DescribeExecution` answers. Its state machine is known too.
///
/// # Panics
/// Without a text `executionArn`.
#[allow(clippy::expect_used, reason = "a test's own mistake")]
pub fn put_execution(binding: &str, execution: Value) {
    let arn = execution["executionArn"].as_str().expect("an executionArn").to_owned();
    if let Some(machine) = execution["stateMachineArn"].as_str() {
        put_state_machine(binding, machine, "STANDARD");
    }
    with(binding, |accounts| accounts.executions.insert(arn, execution));
}

/// Makes a state machine known: `STANDARD` or `EXPRESS`.
pub fn put_state_machine(binding: &str, arn: &str, kind: &str) {
    let name = arn.rsplit(':').next().unwrap_or_default();
    let machine = json!({ "stateMachineArn": arn, "name": name, "type": kind, "creationDate": 1.5e9 });
    with(binding, |accounts| _ = accounts.machines.entry(arn.to_owned()).or_insert(machine));
}

/// Makes a trace known in an account and region, or another state of it: one of what `BatchGetTraces` answers.
///
/// # Panics
/// Without a text `Id`.
#[allow(clippy::expect_used, reason = "a test's own mistake")]
pub fn put_trace(binding: &str, account: &str, region: &str, trace: Value) {
    let id = trace["Id"].as_str().expect("an Id").to_owned();
    let place = Place { account: account.into(), region: region.into() };
    with(binding, |accounts| accounts.traces.insert((place, id), trace));
}

/// Answers the next question about what holds this text (an ARN, a trace id, an account) with an error; once for each call.
pub fn fail(binding: &str, about: &str, error: CapabilityError) {
    with(binding, |accounts| match accounts.failing.iter_mut().find(|(text, _)| text == about) {
        Some((_, errors)) => errors.push_back(error),
        None => accounts.failing.push((about.to_owned(), [error].into())),
    });
}

/// What was asked since the last time, one entry for each item: `describe ARN`, `trace ID`, `machines ACCOUNT/REGION`,
/// `list STATUS ARN`, `summaries ACCOUNT/REGION FILTER`.
pub fn asked(binding: &str) -> Vec<String> {
    with(binding, |accounts| std::mem::take(&mut accounts.asked))
}

pub(crate) fn places(binding: &str) -> Result<Vec<Result<Place, Error>>, Error> {
    granted(binding, |accounts| {
        let places = accounts.places.iter();
        places.map(|place| place.clone().map_err(error)).collect()
    })
}

pub(crate) fn describe_executions(
    binding: &str,
    executions: &[String],
    _max_wait_ms: u32,
) -> Result<Vec<Result<Answer, Error>>, Error> {
    granted(binding, |accounts| {
        let describe = |arn: &String| {
            accounts.ask(format!("describe {arn}"))?;
            let mut parts = arn.split(':').skip(3);
            let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            accounts.at(account, region)?;
            if parts.next() == Some("express") {
                return Err(Error::Permanent("executions of EXPRESS state machines have no description".into()));
            }
            accounts.executions.get(arn).map(answer).ok_or_else(|| Error::NotFound(arn.clone()))
        };
        executions.iter().map(describe).collect()
    })
}

pub(crate) fn state_machines(
    binding: &str,
    places: &[Place],
    _max_wait_ms: u32,
) -> Result<Vec<Result<Answer, Error>>, Error> {
    granted(binding, |accounts| {
        let list = |place: &Place| {
            accounts.ask(format!("machines {}/{}", place.account, place.region))?;
            accounts.at(&place.account, &place.region)?;
            let middle = format!(":{}:{}:", place.region, place.account);
            let here = accounts.machines.iter().filter(|(arn, _)| arn.contains(&middle));
            Ok(answer(&here.map(|(_, machine)| machine.clone()).collect()))
        };
        places.iter().map(list).collect()
    })
}

pub(crate) fn executions(
    binding: &str,
    queries: &[ExecutionQuery],
    _max_wait_ms: u32,
) -> Result<Vec<Result<Page, Error>>, Error> {
    granted(binding, |accounts| {
        let list = |query: &ExecutionQuery| {
            accounts.ask(format!("list {} {}", query.status, query.state_machine))?;
            let text = |execution: &Value, key: &str| execution[key].as_str().unwrap_or_default().to_owned();
            let mut found: Vec<&Value> = accounts
                .executions
                .values()
                .filter(|it| text(it, "stateMachineArn") == query.state_machine && text(it, "status") == query.status)
                .collect();
            let date = |it: &Value| it["stopDate"].as_f64().or(it["startDate"].as_f64()).unwrap_or_default();
            found.sort_by(|a, b| date(b).total_cmp(&date(a)));
            let shown = ["executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "redriveCount"];
            let item = |it: &Value| -> Value {
                shown.into_iter().filter_map(|key| Some((key.to_owned(), it.get(key)?.clone()))).collect()
            };
            Ok(page(found.into_iter().map(item).collect(), query.next.as_deref()))
        };
        queries.iter().map(list).collect()
    })
}

/// Of a filter only `name: "…"` is looked at: the name of one of the trace's segments.
pub(crate) fn trace_summaries(
    binding: &str,
    queries: &[SummaryQuery],
    _max_wait_ms: u32,
) -> Result<Vec<Result<Page, Error>>, Error> {
    granted(binding, |accounts| {
        let list = |query: &SummaryQuery| {
            let SummaryQuery { place, after, before, filter, next } = query;
            accounts.ask(format!(
                "summaries {}/{} {}",
                place.account,
                place.region,
                filter.as_deref().unwrap_or_default()
            ))?;
            accounts.at(&place.account, &place.region)?;
            let name = filter.as_deref().and_then(|text| text.split("name: \"").nth(1)?.split('"').next());
            let here = accounts.traces.iter().filter(|((at, id), trace)| {
                let began = u64::from_str_radix(id.get(2..10).unwrap_or_default(), 16).unwrap_or_default();
                at == place
                    && (*after..*before).contains(&(began * 1_000_000_000))
                    && name.is_none_or(|name| names(trace).iter().any(|known| known == name))
            });
            let summary = |((_, id), trace): (&(Place, String), &Value)| json!({ "Id": id, "Duration": trace["Duration"], "Revision": 1 });
            Ok(page(here.map(summary).collect(), next.as_deref()))
        };
        queries.iter().map(list).collect()
    })
}

pub(crate) fn traces(
    binding: &str,
    traces: &[TraceQuery],
    _max_wait_ms: u32,
) -> Result<Vec<Result<Answer, Error>>, Error> {
    granted(binding, |accounts| {
        let fetch = |TraceQuery { place, id }: &TraceQuery| {
            accounts.ask(format!("trace {id}"))?;
            accounts.at(&place.account, &place.region)?;
            let found = accounts.traces.get(&(place.clone(), id.clone()));
            found.map(answer).ok_or_else(|| Error::NotFound(id.clone()))
        };
        traces.iter().map(fetch).collect()
    })
}

impl Accounts {
    fn ask(&mut self, item: String) -> Result<(), Error> {
        let failing = self.failing.iter_mut().find(|(about, errors)| item.contains(about) && !errors.is_empty());
        let failed = failing.and_then(|(_, errors)| errors.pop_front());
        self.asked.push(item);
        failed.map_or(Ok(()), |failed| Err(error(failed)))
    }

    fn at(&self, account: &str, region: &str) -> Result<(), Error> {
        let mut known = self.places.iter().flatten();
        match known.any(|place| place.account == account && place.region == region) {
            true => Ok(()),
            false => Err(Error::Permanent(format!("{account} in {region} is not of this binding"))),
        }
    }
}

fn names(trace: &Value) -> Vec<String> {
    let segments = trace["Segments"].as_array().into_iter().flatten();
    let document = |segment: &Value| match &segment["Document"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    segments.filter_map(|segment| Some(document(segment)["name"].as_str()?.to_owned())).collect()
}

fn date() -> u64 {
    super::clock::now() / 1_000_000_000 * 1_000_000_000
}

fn answer(value: &Value) -> Answer {
    Answer { json: value.to_string(), date: date() }
}

fn page(items: Vec<Value>, next: Option<&str>) -> Page {
    let from = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    let next = (items.len() > from + PAGE).then(|| (from + PAGE).to_string());
    let items: Vec<Value> = items.into_iter().skip(from).take(PAGE).collect();
    Page { json: Value::from(items).to_string(), date: date(), next }
}

fn with<R>(binding: &str, call: impl FnOnce(&mut Accounts) -> R) -> R {
    BINDINGS.with_borrow_mut(|bindings| call(bindings.entry(binding.to_owned()).or_default()))
}

fn granted<R>(binding: &str, call: impl FnOnce(&mut Accounts) -> R) -> Result<R, Error> {
    BINDINGS.with_borrow_mut(|bindings| match bindings.get_mut(binding) {
        Some(accounts) => Ok(call(accounts)),
        None => Err(Error::NotGranted(format!("`grants.{binding}` is not there"))),
    })
}
