//! Traces by their ids, as X-Ray answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::accounts::{Accounts, Items};
use super::answers::{Answers, pause};
use super::call::read;
use super::failure::{Failure, FailureKind};
use super::pace::{AT_ONCE, Api};
use super::places::Place;
use super::{Answer, Error, TraceQuery};

/// How many ids `BatchGetTraces` takes; that is in no model. An id may be among them once.
const FIVE: usize = 5;

/// Waits before ids are asked for again that X-Ray did not process.
const UNPROCESSED: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// X-Ray's pages of five traces. More are an error of its.
const PAGES: usize = 1000;

/// The traces that are asked for at one place: where the answer of each goes.
pub(super) struct Wanted<'a> {
    indices: BTreeMap<String, Vec<usize>>,
    answers: &'a Answers<Answer>,
}

impl<'a> Wanted<'a> {
    /// Answers those at once that are no ids.
    fn new(items: Items<String>, answers: &'a Answers<Answer>) -> Wanted<'a> {
        let mut indices: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, id) in items {
            if time(&id).is_some() {
                indices.entry(id).or_default().push(index);
            } else {
                answers.put(index, Err(Error::Permanent(format!("{id:?} is no id of a trace"))));
            }
        }
        Wanted { indices, answers }
    }

    /// All of them, once each.
    pub(super) fn ids(&self) -> Vec<String> {
        self.indices.keys().cloned().collect()
    }

    pub(super) fn put(&self, id: &str, answer: &Result<Answer, Error>) {
        for index in self.indices.get(id).into_iter().flatten() {
            self.answers.put(*index, answer.clone());
        }
    }

    pub(super) fn fail<'i>(&self, ids: impl IntoIterator<Item = &'i String>, failure: &Failure) {
        for id in ids {
            self.put(id, &Err(failure.for_guest()));
        }
    }
}

impl Accounts {
    pub(super) async fn traces(&self, traces: Vec<TraceQuery>, answers: &Answers<Answer>) {
        let items = traces.into_iter().enumerate();
        let items = items.map(|(index, query)| ((query.place.account, query.place.region), (index, query.id)));
        self.at_places(items, answers, |place, items: Items<String>| async move {
            place.traces(&Wanted::new(items, answers)).await;
        })
        .await;
    }
}

impl Place {
    async fn traces(&self, wanted: &Wanted<'_>) {
        let ids = wanted.ids();
        if ids.is_empty() {
            return;
        }
        let ids = match self.keeps_elsewhere().await {
            // Older traces, and the share that is indexed, are where they always were.
            Ok(true) => self.retrieve(ids, wanted).await,
            Ok(false) => ids,
            Err(failure) => return wanted.fail(&ids, &failure),
        };
        let fives: Vec<_> = ids.chunks(FIVE).map(|five| self.five(five.to_vec(), wanted)).collect();
        stream::iter(fives).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Fetches at most five.
    async fn five(&self, ids: Vec<String>, wanted: &Wanted<'_>) {
        let mut waits = UNPROCESSED.into_iter();
        // Several where they are asked for one by one.
        let mut batches = vec![ids];
        loop {
            let mut again = Vec::new();
            while let Some(batch) = batches.pop() {
                match self.batch(&batch).await {
                    Ok(got) => again.extend(got.hand_over(&batch, wanted)),
                    // One of them may be why.
                    Err(failure) if failure.kind == FailureKind::Invalid && batch.len() > 1 => {
                        batches.extend(batch.into_iter().map(|id| vec![id]));
                    }
                    Err(failure) => wanted.fail(&batch, &failure),
                }
            }
            if again.is_empty() {
                return;
            }
            let Some(wait) = waits.next() else {
                again.iter().for_each(|id| wanted.put(id, &Err(not_found(id))));
                return;
            };
            if let Err(failure) = pause(wait).await {
                return wanted.fail(&again, &failure);
            }
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
    fn hand_over(mut self, ids: &[String], wanted: &Wanted<'_>) -> Vec<String> {
        let mut again = Vec::new();
        for id in ids {
            match self.traces.remove(id) {
                Some(answer) => wanted.put(id, &Ok(answer)),
                None if self.unprocessed.contains(id) => again.push(id.clone()),
                None => wanted.put(id, &Err(not_found(id))),
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

pub(super) fn not_found(id: &str) -> Error {
    Error::NotFound(format!("there is no trace {id}, or not yet"))
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
    fn each_id_has_a_verdict_wherever_it_was_asked_for() {
        let ids = [0, 1, 2, 3].map(|n| format!("{ID}{n}"));
        let answers = Answers::new(6);
        let [a, b, c, d] = ids.clone();
        let asked = [a.clone(), b, a.clone(), c, d, "junk".to_owned()];
        let wanted = Wanted::new(asked.into_iter().enumerate().collect(), &answers);
        assert_eq!(wanted.ids(), ids, "no duplicate, no junk");
        let mut got = Got::default();
        let first =
            format!(r#"{{"Traces":[{{"Id":"{a}","New":1.50,"Segments":[]}}],"UnprocessedTraceIds":["{}"]}}"#, ids[1]);
        assert_eq!(got.add(&answer(&first, 1)).unwrap(), None);
        let second = format!(r#"{{"Traces":[{{"Id":"{}","Segments":null}}],"NextToken":"t"}}"#, ids[2]);
        assert_eq!(got.add(&answer(&second, 2)).unwrap().as_deref(), Some("t"));
        assert_eq!(got.hand_over(&ids, &wanted), [ids[1].clone()]);
        let shown: Vec<String> = answers
            .finish()
            .into_iter()
            .map(|answer| match answer {
                Ok(answer) => format!("{} {}", answer.date, answer.json),
                Err(Error::NotFound(_)) => "not found".to_owned(),
                Err(Error::Permanent(_)) => "no id".to_owned(),
                Err(_) => "open".to_owned(),
            })
            .collect();
        let raw = format!(r#"1 {{"Id":"{a}","New":1.50,"Segments":[]}}"#);
        let other = format!(r#"2 {{"Id":"{}","Segments":null}}"#, ids[2]);
        assert_eq!(shown, [raw.as_str(), "open", raw.as_str(), other.as_str(), "not found", "no id"]);
    }

    #[test]
    fn a_trace_on_two_pages_has_the_segments_of_both() {
        let first = r#"{"Id":"1","Segments":[{"Id":"a"}],"Duration":1.0}"#;
        let second = r#"{"Id":"1","Segments":[{"Id":"b"}],"Duration":2.0}"#;
        assert_eq!(joined(first, second), r#"{"Duration":2.0,"Id":"1","Segments":[{"Id":"a"},{"Id":"b"}]}"#);
    }
}
