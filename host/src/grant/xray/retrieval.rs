//! Traces where Transaction Search is on: X-Ray does not find them by their ids, a search in CloudWatch Logs does.
//!
//! A search takes from seconds to minutes, longer than a stage waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::TraceFormatType;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Answer;
use super::call::read;
use super::failure::{Failure, FailureKind};
use super::pace::Api;
use super::places::Place;
use super::traces::{Wanted, fail, joined, time};

/// `StartTraceRetrieval` takes so many ids.
pub(super) const IDS: usize = 100;

/// How long an answer about the destination is believed.
const REFRESH: Duration = Duration::from_secs(3600);

/// Waits between looks whether a search is done; the last for all further ones.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Seconds. How long X-Ray keeps traces, how long one may last, and what a search begins early.
const KEPT: u64 = 30 * 86_400;
const LONGEST_TRACE: u64 = 7 * 86_400;
const EARLY: u64 = 300;

/// Where an account's traces go in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Destination {
    destination: Option<String>,
    status: Option<String>,
}

impl Destination {
    /// Whether Transaction Search is on.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.destination.as_deref() == Some("CloudWatchLogs")
    }

    /// Whether it is about to change.
    pub(crate) fn is_pending(&self) -> bool {
        self.status.as_deref() == Some("PENDING")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    retrieval_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retrieved {
    retrieval_status: Option<String>,
    #[serde(default)]
    traces: Option<Vec<Map<String, Value>>>,
    next_token: Option<String>,
}

impl Place {
    /// Whether Transaction Search is on.
    pub(super) async fn keeps_elsewhere(&self) -> Result<bool, Failure> {
        let mut known = self.elsewhere.lock().await;
        if let Some((at, elsewhere)) = *known
            && at.elapsed() < REFRESH
        {
            return Ok(elsewhere);
        }
        let elsewhere = match self.destination().await {
            Ok(destination) => destination.is_elsewhere(),
            // Roles and servers from before Transaction Search. Without the right to ask, the traces are looked for where
            // they always were; the log says what was refused.
            Err(failure)
                if !matches!(failure.kind, FailureKind::Temporary | FailureKind::Throttled | FailureKind::Hanging) =>
            {
                false
            }
            Err(failure) => return Err(failure),
        };
        *known = Some((Instant::now(), elsewhere));
        Ok(elsewhere)
    }

    /// Where traces go.
    pub(super) async fn destination(&self) -> Result<Destination, Failure> {
        let answer = self
            .call(Api::GetTraceSegmentDestination, |capture| {
                let call = self.xray.get_trace_segment_destination().customize().interceptor(capture);
                async move { call.send().await.map(drop).map_err(Failure::from) }
            })
            .await?;
        read(Api::GetTraceSegmentDestination, &answer)
    }

    /// Answers what a search finds; returns what it does not.
    pub(super) async fn retrieve(&self, mut wanted: Wanted) -> Wanted {
        match self.search(wanted.keys().cloned().collect()).await {
            Ok(found) => {
                for (id, answer) in found {
                    if let Some(landing) = wanted.remove(&id) {
                        landing.land(Ok(answer));
                    }
                }
                wanted
            }
            Err(failure) => {
                fail(wanted.into_values(), &self.not_theirs(failure));
                Wanted::new()
            }
        }
    }

    async fn search(&self, ids: Vec<String>) -> Result<BTreeMap<String, Answer>, Failure> {
        let token = self.start(ids).await?;
        self.found(&token).await
    }

    /// Begins a search; returns its token.
    async fn start(&self, ids: Vec<String>) -> Result<String, Failure> {
        let times: Vec<u64> = ids.iter().filter_map(|id| time(id)).collect();
        let (from, to) = span(&times, now());
        let answer = self
            .call(Api::StartTraceRetrieval, |capture| {
                let call = self
                    .xray
                    .start_trace_retrieval()
                    .set_trace_ids(Some(ids.clone()))
                    .start_time(DateTime::from_secs(from))
                    .end_time(DateTime::from_secs(to))
                    .customize()
                    .interceptor(capture);
                async move { call.send().await.map(drop).map_err(Failure::from) }
            })
            .await?;
        let started: Started = read(Api::StartTraceRetrieval, &answer)?;
        let no_token = || Failure::new(FailureKind::Temporary, "StartTraceRetrieval gave no token");
        started.retrieval_token.ok_or_else(no_token)
    }

    /// A search that is refused is not the fault of the traces it is for: they are there another time.
    fn not_theirs(&self, mut failure: Failure) -> Failure {
        if matches!(failure.kind, FailureKind::Invalid | FailureKind::NotFound) {
            failure.kind = FailureKind::Temporary;
            self.log("a search for traces", &failure);
        }
        failure
    }

    async fn found(&self, token: &str) -> Result<BTreeMap<String, Answer>, Failure> {
        let mut looks = LOOKS.into_iter();
        let mut found: BTreeMap<String, Answer> = BTreeMap::new();
        let mut next = None;
        loop {
            let answer = self.list_retrieved_traces(token, next.clone()).await?;
            let retrieved: Retrieved = read(Api::ListRetrievedTraces, &answer)?;
            match retrieved.retrieval_status.as_deref() {
                Some("COMPLETE") => {}
                None | Some("SCHEDULED" | "RUNNING") => {
                    let [.., longest] = LOOKS;
                    tokio::time::sleep(looks.next().unwrap_or(longest)).await;
                    continue;
                }
                Some(status) => {
                    let reason = format!("the search for traces in CloudWatch Logs ended as {status}");
                    return Err(Failure::new(FailureKind::Temporary, reason));
                }
            }
            for trace in retrieved.traces.into_iter().flatten() {
                let Some((id, json)) = as_x_ray_has_it(trace) else { continue };
                let json = found.get(&id).map_or_else(|| json.clone(), |before| joined(&before.json, &json));
                found.insert(id, Answer { json, date: answer.date });
            }
            if retrieved.next_token.is_none() || retrieved.next_token == next {
                return Ok(found);
            }
            next = retrieved.next_token;
        }
    }

    async fn list_retrieved_traces(&self, token: &str, next: Option<String>) -> Result<Answer, Failure> {
        self.call(Api::ListRetrievedTraces, |capture| {
            let call = self
                .xray
                .list_retrieved_traces()
                .retrieval_token(token)
                .trace_format(TraceFormatType::Xray)
                .set_next_token(next.clone())
                .customize()
                .interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
    }
}

/// `{Id, Duration, Spans: [{Id, Document}]}` in the form of `BatchGetTraces`. A trace is not cut off here.
fn as_x_ray_has_it(mut trace: Map<String, Value>) -> Option<(String, String)> {
    let id = trace.get("Id")?.as_str()?.to_owned();
    let spans = trace.remove("Spans").filter(Value::is_array).unwrap_or_else(|| Value::Array(Vec::new()));
    trace.insert("Segments".to_owned(), spans);
    trace.entry("LimitExceeded").or_insert(Value::Bool(false));
    Some((id, Value::Object(trace).to_string()))
}

/// Where to search for traces whose ids say these times: ids that came from elsewhere than X-Ray may say any time.
fn span(times: &[u64], now: u64) -> (i64, i64) {
    let oldest = now.saturating_sub(KEPT);
    let is_plausible = |time: &u64| (oldest..=now + EARLY).contains(time);
    let (from, to) = if times.iter().all(is_plausible) {
        let first = times.iter().min().copied().unwrap_or(oldest);
        let last = times.iter().max().copied().unwrap_or(now);
        (first.saturating_sub(EARLY), (last + LONGEST_TRACE).min(now))
    } else {
        (oldest, now)
    };
    let signed = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    (signed(from), signed(to.max(from + 1)))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_no_longer_than_need_be() {
        let now = 1_800_000_000;
        assert_eq!(span(&[now - 50, now - 10], now), (now as i64 - 350, now as i64));
        let old = now - 20 * 86_400;
        assert_eq!(span(&[old], now), (old as i64 - 300, (old + LONGEST_TRACE) as i64));
        assert_eq!(span(&[now - 50, 5], now), ((now - KEPT) as i64, now as i64), "an id from elsewhere");
    }

    #[test]
    fn a_retrieved_trace_in_the_form_of_the_others() {
        let trace = serde_json::json!({"Id": "1", "Duration": 0.5, "Spans": [{"Id": "a", "Document": "{}"}]});
        let (id, json) = as_x_ray_has_it(trace.as_object().unwrap().clone()).unwrap();
        let expected = r#"{"Duration":0.5,"Id":"1","LimitExceeded":false,"Segments":[{"Document":"{}","Id":"a"}]}"#;
        assert_eq!((id.as_str(), json.as_str()), ("1", expected));
    }
}
