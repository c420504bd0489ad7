//! Traces by their ids: fives, what is not processed, throttling, Transaction Search, time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::stage::bindings::xray::TraceQuery;

fn id(number: usize) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    format!("1-{now:08x}-{number:024x}")
}

/// The number in an id.
fn number(id: &str) -> usize {
    usize::from_str_radix(&id[11..], 16).unwrap()
}

fn queries(ids: &[String]) -> Vec<TraceQuery> {
    ids.iter().map(|id| TraceQuery { place: place(HERE, REGION), id: id.clone() }).collect()
}

fn trace(id: &str) -> Value {
    json!({"Id": id, "Duration": 1.25, "LimitExceeded": false, "Segments": [{"Id": "a", "Document": "{\"a\":1.50}"}]})
}

/// X-Ray without Transaction Search.
fn plain(call: &Call, batch: impl Fn(&[&str]) -> Reply) -> Reply {
    match call.api.as_str() {
        "BatchGetTraces" => batch(&call.texts("TraceIds")),
        "GetTraceSegmentDestination" => (200, json!({"Destination": "XRay", "Status": "ACTIVE"})),
        _ => error(404, "UnknownOperationException"),
    }
}

#[tokio::test]
async fn fives_without_duplicates_and_a_verdict_for_each() {
    let seen = Mutex::new(BTreeMap::<usize, usize>::new());
    let server = Server::start(move |call| {
        plain(call, |ids| {
            let distinct: BTreeSet<&&str> = ids.iter().collect();
            // 7 is what X-Ray refuses, whatever else is with it.
            if ids.len() > 5 || distinct.len() < ids.len() || ids.iter().any(|id| number(id) == 7) {
                return error(400, "InvalidRequestException");
            }
            let mut seen = seen.lock().unwrap();
            // 3 is never there, 4 is never processed, 5 at the second time.
            let (mut traces, mut unprocessed) = (Vec::new(), Vec::new());
            for id in ids {
                let times = seen.entry(number(id)).or_default();
                *times += 1;
                match number(id) {
                    3 => {}
                    4 => unprocessed.push(*id),
                    5 if *times == 1 => unprocessed.push(*id),
                    _ => traces.push(trace(id)),
                }
            }
            (200, json!({"Traces": traces, "UnprocessedTraceIds": unprocessed}))
        })
    })
    .await;
    let mut ids: Vec<String> = (0..12).map(id).collect();
    ids.push(ids[0].clone());
    ids.push("1-2".to_owned());
    let answers = here(&server).await.traces(queries(&ids), long()).await;
    for (index, answer) in answers.iter().enumerate() {
        let expected = match index {
            3 | 4 => format!("not found: there is no trace {}, or not yet", ids[index]),
            7 => "permanent: InvalidRequestException: the service's own words".to_owned(),
            13 => "permanent: \"1-2\" is no id of a trace".to_owned(),
            _ => "ok".to_owned(),
        };
        assert_eq!(verdict(answer), expected, "{index}");
    }
    let answer = answers[12].as_ref().unwrap();
    assert_eq!(parsed(&answer.json), trace(&ids[0]));
    assert!(answer.json.contains(r#"{\"a\":1.50}"#) && is_now(answer.date), "a document is left as it is: {answer:?}");
    assert_eq!(server.calls("GetTraceSegmentDestination").len(), 1);
}

#[tokio::test]
async fn throttled_calls_and_broken_ones_are_made_again() {
    let calls = Mutex::new(0);
    let server = Server::start(move |call| {
        plain(call, |ids| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            match *calls {
                1 => error(429, "ThrottledException"),
                2 => error(500, "InternalFailure"),
                _ => (200, json!({"Traces": ids.iter().map(|id| trace(id)).collect::<Vec<_>>()})),
            }
        })
    })
    .await;
    let xray = here(&server).await;
    let answers = xray.traces(queries(&[id(1)]), long()).await;
    assert_eq!(verdicts(&answers), ["ok"]);
    let levels = xray.levels();
    let level = levels.iter().find(|level| level.api == "BatchGetTraces").unwrap();
    assert_eq!((level.account.as_str(), level.region.as_str(), level.in_flight), (HERE, REGION, 0));
    assert_eq!(level.counts, [1, 0, 0, 0, 1, 1, 0], "{:?}", super::super::OUTCOMES);
    assert!(level.rate < 5.0, "{}", level.rate);
}

#[tokio::test]
async fn what_is_late_is_for_another_time() {
    let server = Server::start(|call| {
        plain(call, |ids| {
            let wait = if number(ids[0]) < 5 { 0 } else { 20_000 };
            (200, json!({"Traces": ids.iter().map(|id| trace(id)).collect::<Vec<_>>(), "wait_ms": wait}))
        })
    })
    .await;
    let xray = here(&server).await;
    let ids: Vec<String> = (0..10).map(id).collect();
    let mut expected = vec!["ok"; 5];
    expected.extend(["temporary: there is no answer yet"; 5]);
    let start = Instant::now();
    assert_eq!(verdicts(&xray.traces(queries(&ids), within(Duration::from_secs(5))).await), expected);

    // A settlement is no reason to stop, the end is.
    let wake = Waker::default();
    let ending = wake.clone();
    wake.wake();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        ending.end();
    });
    let until = Until::new(None, wake.clone());
    assert_eq!(verdicts(&xray.traces(queries(&ids), until).await), expected);
    let answers = xray.traces(queries(&ids), Until::new(None, wake)).await;
    assert_eq!(verdicts(&answers)[5..], expected[5..], "and from then on at once");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let slow = server.calls("BatchGetTraces").into_iter().filter(|call| number(call.texts("TraceIds")[0]) >= 5);
    assert_eq!(slow.count(), 1, "it is waited for, and not made again");
}

#[tokio::test]
async fn where_transaction_search_is_on_a_search_finds_them() {
    let looks = Mutex::new(0);
    let server = Server::start(move |call| match call.api.as_str() {
        "GetTraceSegmentDestination" => (200, json!({"Destination": "CloudWatchLogs", "Status": "ACTIVE"})),
        "StartTraceRetrieval" => (200, json!({"RetrievalToken": "search"})),
        "ListRetrievedTraces" => {
            let retrieved = |number, status: &str, next: Option<&str>| {
                let trace = json!({"Id": id_of(number), "Spans": [{"Id": "a", "Document": "{}"}]});
                (200, json!({"RetrievalStatus": status, "TraceFormat": "XRAY", "Traces": [trace], "NextToken": next}))
            };
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            match (*looks, call.text("NextToken")) {
                (..=2, _) => (200, json!({"RetrievalStatus": "RUNNING", "Traces": []})),
                (_, "") => retrieved(1, "COMPLETE", Some("2")),
                _ => retrieved(2, "COMPLETE", None),
            }
        }
        // What was there before it was switched on.
        "BatchGetTraces" => (200, json!({"Traces": [trace(call.texts("TraceIds")[0])]})),
        _ => error(404, "UnknownOperationException"),
    })
    .await;
    let xray = here(&server).await;
    let ids = [FIRST.to_owned(), SECOND.to_owned(), id(3)];
    // Nobody waits long enough, and then somebody else does.
    let late = xray.traces(queries(&ids), within(Duration::from_millis(700))).await;
    assert!(verdicts(&late).iter().all(|verdict| verdict.starts_with("temporary")), "{late:?}");
    let answers = xray.traces(queries(&ids), long()).await;
    assert_eq!(verdicts(&answers), ["ok"; 3]);
    let found = parsed(&answers[1].as_ref().unwrap().json);
    let segments = json!([{"Id": "a", "Document": "{}"}]);
    assert_eq!(found, json!({"Id": SECOND, "LimitExceeded": false, "Segments": segments}));
    assert_eq!(server.calls("StartTraceRetrieval").len(), 1, "the second waits for the search of the first");
    let asked = server.calls("BatchGetTraces");
    assert_eq!(asked.iter().flat_map(|call| call.texts("TraceIds")).collect::<Vec<_>>(), [&ids[2]]);
}

const FIRST: &str = "1-6553f100-000000000000000000000001";
const SECOND: &str = "1-6553f100-000000000000000000000002";

fn id_of(number: usize) -> &'static str {
    if number == 1 { FIRST } else { SECOND }
}
