//! X-Ray, as far as it tells of traces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::filter::Filter;
use super::server::{Asked, Refusal};
use super::store::{Place, Store, span};

/// Ids in one call of `BatchGetTraces`. [boto3 #3924]
const BATCH: usize = 5;

/// Traces in one page of `ListRetrievedTraces`. [model]
const RETRIEVED: usize = 5;

/// What it answers. A retrieval that it starts is kept in `retrievals`.
pub fn answer(store: &Store, retrievals: &mut Retrievals, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    match asked.api.as_str() {
        "BatchGetTraces" => batch(store, asked, input),
        "GetTraceSummaries" => summaries(store, asked, input),
        "GetTraceSegmentDestination" => Ok(destination(store, &asked.place)),
        "StartTraceRetrieval" => retrievals.start(asked, input),
        "ListRetrievedTraces" => retrievals.list(store, asked, input),
        "GetSamplingRules" => Ok(sampling_rules(&asked.place)),
        "GetGroups" => Ok(json!({ "Groups": [] })),
        other => panic!("the endpoint has no {other}"),
    }
}

/// The API behind a path.
pub fn api(path: &str) -> Option<&'static str> {
    Some(match path {
        "/Traces" => "BatchGetTraces",
        "/TraceSummaries" => "GetTraceSummaries",
        "/GetTraceSegmentDestination" => "GetTraceSegmentDestination",
        "/StartTraceRetrieval" => "StartTraceRetrieval",
        "/ListRetrievedTraces" => "ListRetrievedTraces",
        "/GetSamplingRules" => "GetSamplingRules",
        "/Groups" => "GetGroups",
        _ => return None,
    })
}

/// Retrievals of traces that were started, by their tokens.
#[derive(Default)]
pub struct Retrievals(BTreeMap<String, Retrieval>);

struct Retrieval {
    place: Place,
    started: Duration,
    /// Seconds since 1970.
    window: (f64, f64),
    ids: Vec<String>,
}

impl Retrievals {
    fn start(&mut self, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
        let ids = ids(input)?;
        let (start, end) = (time(input, "StartTime"), time(input, "EndTime"));
        if ids.is_empty() || start >= end {
            return Err(invalid("a retrieval wants trace ids, and a start before its end"));
        }
        let token = format!("retrieval-{}", self.0.len());
        let retrieval = Retrieval { place: asked.place.clone(), started: asked.now, window: (start, end), ids };
        self.0.insert(token.clone(), retrieval);
        Ok(json!({ "RetrievalToken": token }))
    }

    /// Nothing until it is complete; then a page at a time.
    fn list(&self, store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
        let token = input["RetrievalToken"].as_str().unwrap_or_default();
        let Some(retrieval) = self.0.get(token).filter(|it| it.place == asked.place) else {
            return Err(Refusal::of("ResourceNotFoundException", format!("no retrieval {token}")));
        };
        if input["TraceFormat"].as_str().is_some_and(|format| format != "XRAY") {
            return Err(invalid("the endpoint has only the format XRAY"));
        }
        let ran = asked.now.saturating_sub(retrieval.started);
        if ran < asked.manners.retrieval {
            let status = if ran < asked.manners.retrieval / 2 { "SCHEDULED" } else { "RUNNING" };
            return Ok(json!({ "RetrievalStatus": status, "TraceFormat": "XRAY", "Traces": [] }));
        }
        let (start, end) = retrieval.window;
        let in_window = retrieval.ids.iter().filter(|id| (start..=end).contains(&epoch(id)));
        let mut traces: Vec<Value> = in_window
            .filter_map(|id| store.trace(&asked.place, id, asked.now))
            .map(|mut trace| {
                json!({ "Id": trace["Id"], "Duration": trace["Duration"], "Spans": trace["Segments"].take() })
            })
            .collect();
        let first: usize = input["NextToken"].as_str().map_or(Ok(0), str::parse).map_err(|_| invalid("NextToken"))?;
        let mut answer = json!({ "RetrievalStatus": "COMPLETE", "TraceFormat": "XRAY" });
        let page = asked.manners.page.min(RETRIEVED);
        if traces.len() > first + page {
            traces.truncate(first + page);
            answer["NextToken"] = json!(traces.len().to_string());
        }
        answer["Traces"] = json!(traces[first.min(traces.len())..]);
        Ok(answer)
    }
}

fn batch(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let ids = ids(input)?;
    if ids.len() > BATCH {
        return Err(invalid("Exceeding maximum query size: 5"));
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err(invalid("Duplicate trace ids"));
    }
    let first: usize = input["NextToken"].as_str().map_or(Ok(0), str::parse).map_err(|_| invalid("NextToken"))?;
    let (mut traces, mut unprocessed) = (Vec::new(), Vec::new());
    for id in ids.iter().skip(first) {
        let manners = &asked.manners;
        if manners.is(manners.unprocessed, &format!("unprocessed {id}"), asked.nth_id(id)) {
            unprocessed.push(id.clone());
            continue;
        }
        match store.trace(&asked.place, id, asked.now).filter(|_| in_xray(store, asked, id)) {
            Some(trace) => traces.push(trace),
            None if manners.is(manners.unknown_unprocessed, &format!("unknown {id}"), 0) => {
                unprocessed.push(id.clone())
            }
            None => {}
        }
        let is_cut = manners.is(manners.paging, &format!("page {ids:?}"), asked.nth);
        let next = ids.iter().position(|other| other == id).map_or(0, |place| place + 1);
        if is_cut && next < ids.len() {
            return Ok(json!({ "Traces": traces, "UnprocessedTraceIds": unprocessed, "NextToken": next.to_string() }));
        }
    }
    Ok(json!({ "Traces": traces, "UnprocessedTraceIds": unprocessed }))
}

fn summaries(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let (start, end) = (time(input, "StartTime"), time(input, "EndTime"));
    if start >= end {
        return Err(invalid("EndTime must be after StartTime"));
    }
    if end - start > asked.manners.window.as_secs_f64() {
        return Err(invalid("Time range is too large"));
    }
    let filter = input["FilterExpression"].as_str().map(Filter::parse).transpose().map_err(|it| invalid(&it))?;
    let mut found: Vec<(f64, String, Value)> = Vec::new();
    let mut processed = 0;
    for (id, documents, revision, latest) in store.traces(&asked.place, asked.now) {
        let (first, last) = span(&documents);
        let at = match input["TimeRangeType"].as_str() {
            Some("Event") => wall_clock(latest, asked.now),
            Some("Service") => last,
            _ => epoch(id),
        };
        // As X-Ray does in most places, the end is not part of the window.
        if !(start..end).contains(&at) || !in_xray(store, asked, id) {
            continue;
        }
        processed += 1;
        if filter.as_ref().is_none_or(|filter| filter.wants(&documents)) {
            found.push((at, id.clone(), summary(id, &documents, (first, last), revision)));
        }
    }
    // Newest first.
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    let query = format!("{start} {end} {}", input["FilterExpression"]);
    let after = match input["NextToken"].as_str() {
        None => 0,
        Some(token) => {
            let last = token.strip_prefix(&format!("{query}|")).ok_or_else(|| invalid("NextToken"))?;
            found.iter().position(|(_, id, _)| id == last).map_or(found.len(), |place| place + 1)
        }
    };
    let page: Vec<_> = found[after..].iter().take(asked.manners.page).collect();
    let mut answer = json!({
        "TraceSummaries": page.iter().map(|(_, _, summary)| summary).collect::<Vec<_>>(),
        "ApproximateTime": page.last().map_or(start, |(at, _, _)| *at),
        "TracesProcessedCount": processed,
    });
    if after + page.len() < found.len() {
        answer["NextToken"] = json!(format!("{query}|{}", found[after + page.len() - 1].1));
    }
    Ok(answer)
}

fn summary(id: &str, documents: &BTreeMap<String, &Value>, (start, end): (f64, f64), revision: usize) -> Value {
    let root = documents.values().find(|it| it["parent_id"].is_null() && it["inferred"] != true);
    let root = root.or_else(|| documents.values().next()).expect("a segment");
    let is = |document: &Value, name: &str| document[name] == true;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of = |document: &&Value| {
        json!({
            "Name": document["name"],
            "Names": [document["name"]],
            "AccountId": text(&document["aws"]["account_id"]).unwrap_or_default(),
            "Type": text(&document["origin"]).unwrap_or_else(|| "client".to_owned()),
        })
    };
    let arns: BTreeSet<String> = documents.values().filter_map(|it| text(&it["resource_arn"])).collect();
    let http = |name: &str| text(&root["http"]["request"][name]);
    let mut seen = json!({
        "Id": id,
        "StartTime": start,
        "Duration": end - start,
        "ResponseTime": root["end_time"].as_f64().map_or(0.0, |it| it - root["start_time"].as_f64().unwrap_or(it)),
        "HasFault": is(root, "fault"),
        "HasError": is(root, "error"),
        "HasThrottle": is(root, "throttle"),
        "IsPartial": documents.values().any(|it| it["end_time"].is_null()),
        "Http": {},
        "Annotations": {},
        "Users": [],
        "ServiceIds": documents.values().map(of).collect::<Vec<_>>(),
        "ResourceARNs": arns.iter().map(|arn| json!({ "ARN": arn })).collect::<Vec<_>>(),
        "InstanceIds": [],
        "AvailabilityZones": [],
        "EntryPoint": of(root),
        "FaultRootCauses": [],
        "ErrorRootCauses": [],
        "ResponseTimeRootCauses": [],
        "Revision": revision,
    });
    for (name, from) in [("HttpURL", "url"), ("HttpMethod", "method"), ("UserAgent", "user_agent")] {
        if let Some(value) = http(from) {
            seen["Http"][name] = json!(value);
        }
    }
    seen
}

fn destination(store: &Store, place: &Place) -> Value {
    let searches = store.search.contains_key(&place.account);
    json!({ "Destination": if searches { "CloudWatchLogs" } else { "XRay" }, "Status": "ACTIVE" })
}

/// The one rule that every account has. AWS's own has the priority 10,000, more than its model allows.
fn sampling_rules(place: &Place) -> Value {
    json!({ "SamplingRuleRecords": [{
        "SamplingRule": {
            "RuleName": "Default",
            "RuleARN": format!("arn:aws:xray:{}:{}:sampling-rule/Default", place.region, place.account),
            "ResourceARN": "*",
            "Priority": 9_999,
            "FixedRate": 0.05,
            "ReservoirSize": 1,
            "ServiceName": "*",
            "ServiceType": "*",
            "Host": "*",
            "HTTPMethod": "*",
            "URLPath": "*",
            "Version": 1,
            "Attributes": {},
        },
        "CreatedAt": 0.0,
        "ModifiedAt": 0.0,
    }] })
}

/// Whether X-Ray itself has a trace: of an account with Transaction Search, only the share that is indexed.
fn in_xray(store: &Store, asked: &Asked, id: &str) -> bool {
    store.search.get(&asked.place.account).is_none_or(|share| asked.manners.is(*share, &format!("indexed {id}"), 0))
}

/// The trace ids of a request, each well formed.
fn ids(input: &Value) -> Result<Vec<String>, Refusal> {
    let ids = input["TraceIds"].as_array().map_or(&[][..], Vec::as_slice);
    let is_good = |id: &str| {
        let parts: Vec<&str> = id.split('-').collect();
        matches!(parts.as_slice(), ["1", time, rest] if time.len() == 8 && rest.len() == 24)
            && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    };
    let each = ids.iter().map(|id| id.as_str().filter(|id| is_good(id)).map(str::to_owned));
    each.collect::<Option<_>>().ok_or_else(|| invalid("Invalid trace id"))
}

fn invalid(message: &str) -> Refusal {
    Refusal::of("InvalidRequestException", message.to_owned())
}

/// Seconds since 1970.
fn time(input: &Value, name: &str) -> f64 {
    input[name].as_f64().unwrap_or_default()
}

/// The time in a trace id: seconds since 1970.
fn epoch(id: &str) -> f64 {
    u32::from_str_radix(&id[2..10], 16).map_or(0.0, f64::from)
}

/// The time of day, in seconds, at a moment of the endpoint's own time.
fn wall_clock(at: Duration, now: Duration) -> f64 {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    today.as_secs_f64() + at.as_secs_f64() - now.as_secs_f64()
}
