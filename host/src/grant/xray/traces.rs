//! Traces by their ids, as X-Ray answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::accounts::Accounts;
use super::answers::Answers;
use super::call::read;
use super::failure::{Failure, FailureKind};
use super::flight::{Item, Landing};
use super::pace::{AT_ONCE, Api};
use super::places::Place;
use super::retrieval::IDS;
use super::{Answer, Error, TraceQuery};

/// How many ids `BatchGetTraces` takes; that is in no model. An id may be among them once.
const FIVE: usize = 5;

/// Waits before ids are asked for again that X-Ray did not process.
const UNPROCESSED: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// X-Ray's pages of five traces. More are an error of its.
const PAGES: usize = 1000;

/// Traces that there is no verdict of yet, by their ids.
pub(super) type Wanted = BTreeMap<String, Landing>;

/// A trace by its id.
struct Trace(String);

impl Accounts {
    pub(super) async fn traces(&self, traces: Vec<TraceQuery>, answers: &Answers<Answer>) {
        let mut items = Vec::with_capacity(traces.len());
        for (index, TraceQuery { place, id }) in traces.into_iter().enumerate() {
            if time(&id).is_some() {
                items.push(((place.account, place.region), (index, Trace(id))));
            } else {
                answers.put(index, Err(Error::Permanent(format!("{id:?} is no id of a trace"))));
            }
        }
        self.ask(items, answers).await;
    }
}

impl Item for Trace {
    const API: Api = Api::BatchGetTraces;

    /// As many as one search is for.
    const TOGETHER: usize = IDS;

    fn name(&self) -> String {
        self.0.clone()
    }

    async fn fetch(place: Arc<Place>, items: Vec<(Trace, Landing)>) {
        place.traces(items.into_iter().map(|(Trace(id), landing)| (id, landing)).collect()).await;
    }
}

impl Place {
    async fn traces(&self, wanted: Wanted) {
        let mut left = match self.keeps_elsewhere().await {
            // Older traces, and the share that is indexed, are where they always were.
            Ok(true) => self.retrieve(wanted).await,
            Ok(false) => wanted,
            Err(failure) => return fail(wanted.into_values(), &failure),
        };
        let mut fives = Vec::new();
        while !left.is_empty() {
            let sixth = left.keys().nth(FIVE).cloned();
            let rest = sixth.map(|id| left.split_off(&id)).unwrap_or_default();
            fives.push(self.five(std::mem::replace(&mut left, rest)));
        }
        stream::iter(fives).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Fetches at most five.
    async fn five(&self, mut wanted: Wanted) {
        let mut waits = UNPROCESSED.into_iter();
        // Several where they are asked for one by one.
        let mut batches: Vec<Vec<String>> = vec![wanted.keys().cloned().collect()];
        loop {
            let mut again = Vec::new();
            while let Some(batch) = batches.pop() {
                match self.batch(&batch).await {
                    Ok(got) => again.extend(got.hand_over(&batch, &mut wanted)),
                    // One of them may be why.
                    Err(failure) if failure.kind == FailureKind::Invalid && batch.len() > 1 => {
                        batches.extend(batch.into_iter().map(|id| vec![id]));
                    }
                    Err(failure) => fail(batch.iter().filter_map(|id| wanted.remove(id)), &failure),
                }
            }
            if again.is_empty() {
                return;
            }
            let Some(wait) = waits.next() else {
                wanted.into_iter().for_each(|(id, landing)| fail([landing], &absent(&id)));
                return;
            };
            tokio::time::sleep(wait).await;
            batches.push(again);
        }
    }

    /// One call for at most five, with all its pages.
    async fn batch(&self, ids: &[String]) -> Result<Got, Failure> {
        let (mut got, mut next) = (Got::default(), None);
        for _ in 0..PAGES {
            let answer = self.batch_get_traces(ids, next.clone()).await?;
            let token = got.add(&answer)?;
            if token.is_none() || token == next {
                return Ok(got);
            }
            next = token;
        }
        Err(Failure::new(FailureKind::Temporary, format!("BatchGetTraces has over {PAGES} pages")))
    }

    async fn batch_get_traces(&self, ids: &[String], next: Option<String>) -> Result<Answer, Failure> {
        self.call(Api::BatchGetTraces, |capture| {
            let call = self.xray.batch_get_traces().set_trace_ids(Some(ids.to_vec())).set_next_token(next.clone());
            let call = call.customize().interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
    }

    /// The smallest question to X-Ray: whether it may be asked. Says whether Transaction Search is on.
    pub(super) async fn try_xray(&self) -> Result<bool, Failure> {
        self.batch_get_traces(&["1-00000000-000000000000000000000000".to_owned()], None).await?;
        self.keeps_elsewhere().await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'j> {
    #[serde(borrow, default)]
    traces: Option<Vec<&'j RawValue>>,
    #[serde(default)]
    unprocessed_trace_ids: Option<Vec<String>>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    id: Option<String>,
}

/// What a call brought.
#[derive(Default)]
struct Got {
    traces: BTreeMap<String, Answer>,
    unprocessed: BTreeSet<String>,
}

impl Got {
    /// Adds a page; returns the token of the next.
    fn add(&mut self, answer: &Answer) -> Result<Option<String>, Failure> {
        let batch: Batch<'_> = read(Api::BatchGetTraces, answer)?;
        for trace in batch.traces.into_iter().flatten() {
            let Ok(Named { id: Some(id) }) = serde_json::from_str(trace.get()) else { continue };
            let json = match self.traces.get(&id) {
                Some(before) => joined(&before.json, trace.get()),
                None => trace.get().to_owned(),
            };
            self.traces.insert(id, Answer { json, date: answer.date });
        }
        self.unprocessed.extend(batch.unprocessed_trace_ids.into_iter().flatten());
        Ok(batch.next_token.filter(|token| !token.is_empty()))
    }

    /// Answers what is there, and what is not; returns what X-Ray did not process.
    fn hand_over(mut self, ids: &[String], wanted: &mut Wanted) -> Vec<String> {
        let mut again = Vec::new();
        for id in ids {
            let found = self.traces.remove(id);
            if found.is_none() && self.unprocessed.contains(id) {
                again.push(id.clone());
            } else if let Some(landing) = wanted.remove(id) {
                landing.land(found.ok_or_else(|| absent(id)));
            }
        }
        again
    }
}

/// One trace of two pages: the later one, with the segments of both.
pub(super) fn joined(first: &str, second: &str) -> String {
    let (Ok(Value::Object(mut first)), Ok(Value::Object(mut second))) =
        (serde_json::from_str::<Value>(first), serde_json::from_str::<Value>(second))
    else {
        return second.to_owned();
    };
    let segments = |trace: &mut Map<String, Value>| match trace.remove("Segments") {
        Some(Value::Array(segments)) => segments,
        _ => Vec::new(),
    };
    let mut all = segments(&mut first);
    all.extend(segments(&mut second));
    first.extend(second);
    first.insert("Segments".to_owned(), Value::Array(all));
    Value::Object(first).to_string()
}

pub(super) fn fail(landings: impl IntoIterator<Item = Landing>, failure: &Failure) {
    landings.into_iter().for_each(|landing| landing.land(Err::<Answer, _>(failure.clone())));
}

pub(super) fn absent(id: &str) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no trace {id}, or not yet"))
}

/// The time in a trace's id, in seconds: `1-TIME-…`. `None` where it is no id.
pub(super) fn time(id: &str) -> Option<u64> {
    let (time, unique) = id.strip_prefix("1-")?.split_once('-')?;
    let is_hex = |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex(time, 8) && is_hex(unique, 24)).then(|| u64::from_str_radix(time, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1-58406520-a006649127e371903a2de97";

    fn answer(json: &str, date: u64) -> Answer {
        Answer { json: json.to_owned(), date }
    }

    #[test]
    fn what_is_an_id() {
        assert_eq!(time("1-58406520-a006649127e371903a2de979"), Some(0x5840_6520));
        for id in ["", "1-58406520", "58406520a006649127e371903a2de979", "1-5840652g-a006649127e371903a2de979"] {
            assert_eq!(time(id), None, "{id:?}");
        }
    }

    #[test]
    fn what_a_call_brought_over_two_pages() {
        let [a, b, c] = [0, 1, 2].map(|n| format!("{ID}{n}"));
        let mut got = Got::default();
        let first = format!(r#"{{"Traces":[{{"Id":"{a}","New":1.50,"Segments":[]}}],"UnprocessedTraceIds":["{b}"]}}"#);
        assert_eq!(got.add(&answer(&first, 1)).unwrap(), None);
        let second = format!(r#"{{"Traces":[{{"Id":"{c}","Segments":null}}],"NextToken":"t"}}"#);
        assert_eq!(got.add(&answer(&second, 2)).unwrap().as_deref(), Some("t"));
        let shown: Vec<String> = got.traces.values().map(|answer| format!("{} {}", answer.date, answer.json)).collect();
        let raw = format!(r#"1 {{"Id":"{a}","New":1.50,"Segments":[]}}"#);
        assert_eq!(shown, [raw, format!(r#"2 {{"Id":"{c}","Segments":null}}"#)], "as they came");
        assert_eq!(got.hand_over(&[a, b.clone(), c, format!("{ID}3")], &mut Wanted::new()), [b]);
    }

    #[test]
    fn a_trace_on_two_pages_has_the_segments_of_both() {
        let first = r#"{"Id":"1","Segments":[{"Id":"a"}],"Duration":1.0}"#;
        let second = r#"{"Id":"1","Segments":[{"Id":"b"}],"Duration":2.0}"#;
        assert_eq!(joined(first, second), r#"{"Duration":2.0,"Id":"1","Segments":[{"Id":"a"},{"Id":"b"}]}"#);
    }
}
