//! A stage waits for less time than an answer takes, and asks again until it is there.

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::stage::bindings::xray::{SummaryQuery, TraceQuery};

/// What each call takes.
const SLOW: u64 = 400;

/// How long a stage waits.
const WAIT: Duration = Duration::from_millis(300);

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:orders:one";

const TRACE: &str = "1-6553f100-000000000000000000000001";

fn slow(mut body: Value) -> Reply {
    body["wait_ms"] = SLOW.into();
    (200, body)
}

fn trace() -> TraceQuery {
    TraceQuery { place: place(HERE, REGION), id: TRACE.to_owned() }
}

/// Asks again and again, as a source does.
async fn asked_until_answered<T>(ask: impl AsyncFn(Until) -> Vec<Result<T, Error>>) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match ask(within(WAIT)).await.remove(0) {
            Err(Error::Temporary(not_yet)) if start.elapsed() < Duration::from_secs(30) => {
                assert_eq!((not_yet.reason.as_str(), not_yet.after_ms), ("there is no answer yet", Some(0)));
            }
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn a_list_of_three_pages() {
    let server = Server::start(|call| match call.text("nextToken") {
        "" => slow(json!({"stateMachines": [1], "nextToken": "b"})),
        "b" => slow(json!({"stateMachines": [2], "nextToken": "c"})),
        _ => slow(json!({"stateMachines": [3]})),
    })
    .await;
    let xray = here(&server).await;
    let listed = asked_until_answered(async |until| xray.state_machines(vec![place(HERE, REGION)], until).await).await;
    assert_eq!(listed.unwrap().json, "[1,2,3]");
    assert_eq!(server.calls("ListStateMachines").len(), 3, "no page twice");
}

#[tokio::test]
async fn a_window_that_is_found_after_three_refusals() {
    let server = Server::start(|call| {
        let hours = (call.body["EndTime"].as_f64().unwrap() - call.body["StartTime"].as_f64().unwrap()) / 3600.0;
        let (status, body) = if hours > 1.0 { error(400, "InvalidRequestException") } else { (200, json!({})) };
        (status, slow(body).1)
    })
    .await;
    let xray = here(&server).await;
    let before = 8 * 3600 * 1_000_000_000;
    let query = SummaryQuery { place: place(HERE, REGION), after: 0, before, filter: None, next: None };
    let page = asked_until_answered(async |until| xray.trace_summaries(vec![query.clone()], until).await).await;
    assert!(page.unwrap().next.is_some());
    assert_eq!(server.calls("GetTraceSummaries").len(), 4);
}

#[tokio::test]
async fn a_trace_that_is_never_processed_is_not_there() {
    let server = Server::start(|call| match call.api.as_str() {
        "BatchGetTraces" => slow(json!({"Traces": [], "UnprocessedTraceIds": call.texts("TraceIds")})),
        _ => slow(json!({"Destination": "XRay"})),
    })
    .await;
    let xray = here(&server).await;
    let found = asked_until_answered(async |until| xray.traces(vec![trace()], until).await).await;
    assert_eq!(verdict(&found), format!("not found: there is no trace {TRACE}, or not yet"));
    assert_eq!(server.calls("BatchGetTraces").len(), 4);
}

/// Where Transaction Search is on: a search of three seconds, and then a look at where older traces are.
async fn a_search(found: Value) -> (Server, Result<super::super::Answer, Error>) {
    let begun = Mutex::new(None);
    let server = Server::start(move |call| match call.api.as_str() {
        "GetTraceSegmentDestination" => slow(json!({"Destination": "CloudWatchLogs"})),
        "StartTraceRetrieval" => {
            *begun.lock().unwrap() = Some(Instant::now());
            slow(json!({"RetrievalToken": "search"}))
        }
        "ListRetrievedTraces" if begun.lock().unwrap().unwrap().elapsed() < Duration::from_secs(3) => {
            slow(json!({"RetrievalStatus": "RUNNING"}))
        }
        "ListRetrievedTraces" => slow(json!({"RetrievalStatus": "COMPLETE", "Traces": found})),
        _ => slow(json!({"Traces": []})),
    })
    .await;
    let xray = here(&server).await;
    let answer = asked_until_answered(async |until| xray.traces(vec![trace()], until).await).await;
    (server, answer)
}

#[tokio::test]
async fn a_search_that_finds_a_trace() {
    let (server, answer) = a_search(json!([{"Id": TRACE, "Spans": []}])).await;
    assert_eq!(parsed(&answer.unwrap().json)["Id"], TRACE);
    assert_eq!((server.calls("StartTraceRetrieval").len(), server.calls("BatchGetTraces").len()), (1, 0));
}

#[tokio::test]
async fn a_search_that_finds_nothing() {
    let (server, answer) = a_search(json!([])).await;
    assert_eq!(verdict(&answer), format!("not found: there is no trace {TRACE}, or not yet"));
    assert_eq!((server.calls("StartTraceRetrieval").len(), server.calls("BatchGetTraces").len()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_is_handed_out_once() {
    let server = Server::start(|call| slow(json!({"executionArn": call.text("executionArn")}))).await;
    let xray = here(&server).await;
    let ask = async |wait| verdict(&xray.describe_executions(vec![ARN.to_owned()], within(wait)).await[0]);
    let late = "temporary: there is no answer yet";
    assert_eq!(ask(WAIT).await, late);
    let mut verdict = late.to_owned();
    let start = Instant::now();
    while verdict == late && start.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(SLOW / 4)).await;
        verdict = ask(Duration::ZERO).await;
    }
    assert_eq!(verdict, "ok", "it was there");
    assert_eq!(server.calls("DescribeExecution").len(), 1);
    assert_eq!(ask(WAIT).await, late);
    let both = futures::join!(ask(10 * WAIT), ask(10 * WAIT));
    assert_eq!(both, ("ok".to_owned(), "ok".to_owned()));
    assert_eq!(server.calls("DescribeExecution").len(), 2, "who asks together waits together");
}

#[tokio::test]
async fn what_is_in_flight_ends_with_the_grant() {
    let server = Server::start(|_| (200, json!({"wait_ms": 60_000}))).await;
    let xray = here(&server).await;
    let Xray::Accounts(accounts) = &xray else { unreachable!() };
    let place = accounts.places()[0].clone();
    let start = Instant::now();
    // Who asks again joins what is in flight.
    while place.levels().first().is_none_or(|level| level.in_flight != 1) {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", place.levels());
        xray.describe_executions(vec![ARN.to_owned()], within(WAIT)).await;
    }
    drop(xray);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let level = &place.levels()[0];
    assert_eq!((level.in_flight, level.counts), (0, [0, 0, 0, 0, 0, 0, 1]), "{:?}", super::super::OUTCOMES);
}
