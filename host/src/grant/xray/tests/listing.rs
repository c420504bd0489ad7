//! Executions, state machines and summaries.

use super::*;
use crate::stage::bindings::xray::{ExecutionQuery, SummaryQuery};

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:orders";

#[tokio::test]
async fn an_execution_is_what_the_service_says() {
    let server = Server::start(|call| match call.text("executionArn").rsplit(':').next().unwrap() {
        "gone" => error(400, "ExecutionDoesNotExist"),
        _ => (200, json!({"executionArn": call.text("executionArn"), "startDate": 1.5, "invented2031": [1.50]})),
    })
    .await;
    let arn = |kind: &str, name: &str| format!("arn:aws:states:eu-west-1:111122223333:{kind}:{name}");
    let asked = vec![
        arn("execution", "orders:one"),
        arn("execution", "orders:gone"),
        arn("express", "orders:two:uuid"),
        arn("express", "orders/label:two:uuid"),
        "arn:aws:sns:eu-west-1:111122223333:topic".to_owned(),
    ];
    let answers = here(&server).await.describe_executions(asked, long()).await;
    let expected = [
        "ok",
        "not found: ExecutionDoesNotExist: the service's own words",
        "permanent: executions of EXPRESS state machines have no description",
        "ok",
        "permanent: \"arn:aws:sns:eu-west-1:111122223333:topic\" is no ARN of Step Functions",
    ];
    assert_eq!(verdicts(&answers), expected);
    let answer = answers[0].as_ref().unwrap();
    assert!(answer.json.contains(r#""invented2031":[1.5]"#) && is_now(answer.date), "{answer:?}");
}

#[tokio::test]
async fn an_execution_that_is_encrypted_is_described_without_what_it_holds() {
    let server = Server::start(|call| match call.text("includedData") {
        "METADATA_ONLY" => (200, json!({"executionArn": call.text("executionArn"), "status": "RUNNING"})),
        _ => error(400, "KmsAccessDeniedException"),
    })
    .await;
    let arn = "arn:aws:states:eu-west-1:111122223333:execution:orders:one";
    let answer = here(&server).await.describe_executions(vec![arn.to_owned()], long()).await.remove(0).unwrap();
    assert_eq!(parsed(&answer.json), json!({"executionArn": arn, "status": "RUNNING"}));
}

#[tokio::test]
async fn lists_are_paged() {
    let server = Server::start(|call| match (call.api.as_str(), call.text("nextToken")) {
        ("ListStateMachines", "") => (200, json!({"stateMachines": [{"name": "a", "new": 1}], "nextToken": "2"})),
        ("ListStateMachines", "2") => (200, json!({"stateMachines": [{"name": "b"}]})),
        ("ListExecutions", "") if call.text("statusFilter") == "FAILED" => {
            (200, json!({"executions": [{"name": "x", "stopDate": 2.25}], "nextToken": "more"}))
        }
        ("ListExecutions", "more") => (200, json!({"executions": []})),
        _ => error(400, "InvalidToken"),
    })
    .await;
    let xray = here(&server).await;
    let machines = xray.state_machines(vec![place(HERE, REGION), place(THERE, REGION)], long()).await;
    assert_eq!(machines[0].as_ref().unwrap().json, r#"[{"name":"a","new":1},{"name":"b"}]"#);
    assert!(verdict(&machines[1]).starts_with("permanent: the account 444455556666"));

    let query = |status: &str, next: Option<&str>| ExecutionQuery {
        state_machine: MACHINE.to_owned(),
        status: status.to_owned(),
        next: next.map(str::to_owned),
    };
    let queries = vec![query("FAILED", None), query("FAILED", Some("more")), query("DONE", None)];
    let pages = xray.executions(queries, long()).await;
    let page = pages[0].as_ref().unwrap();
    assert_eq!((page.json.as_str(), page.next.as_deref()), (r#"[{"name":"x","stopDate":2.25}]"#, Some("more")));
    let page = pages[1].as_ref().unwrap();
    assert_eq!((page.json.as_str(), page.next.as_deref()), ("[]", None));
    assert_eq!(verdict(&pages[2]), "permanent: \"DONE\" is no status of an execution");
}

#[tokio::test]
async fn windows_that_x_ray_refuses_are_halved() {
    // It takes two hours, and has two pages in each window that begins at the first hour.
    let server = Server::start(|call| {
        let at = |key: &str| call.body[key].as_f64().unwrap() as u64;
        let (from, to) = (at("StartTime"), at("EndTime"));
        if to - from > 7200 || call.text("TimeRangeType") != "TraceId" || call.text("FilterExpression") == "(" {
            return error(400, "InvalidRequestException");
        }
        let summary = json!({"Id": format!("{}-{}{}", from / 360, to / 360, call.text("NextToken")), "Users": {}});
        let next = (from == 9000 && call.text("NextToken").is_empty()).then_some("!");
        (200, json!({"TraceSummaries": [summary], "NextToken": next}))
    })
    .await;
    let xray = here(&server).await;
    let query = |filter: Option<&str>, next: Option<String>| SummaryQuery {
        place: place(HERE, REGION),
        after: 0,
        before: 5 * 3600 * 1_000_000_000,
        filter: filter.map(str::to_owned),
        next,
    };
    let (mut next, mut ids) = (None, Vec::new());
    loop {
        let page = xray.trace_summaries(vec![query(Some("error"), next)], long()).await.remove(0).unwrap();
        ids.push(parsed(&page.json)[0]["Id"].as_str().unwrap().to_owned());
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    // Five hours are refused, two and a half too, 75 minutes are taken from then on. "Users": {} is what no SDK can read.
    assert_eq!(ids, ["37-50", "25-37", "25-37!", "12-25", "0-12"]);
    assert_eq!(server.calls("GetTraceSummaries").len(), 7);
    let refused = xray.trace_summaries(vec![query(Some("("), None)], long()).await;
    assert_eq!(verdict(&refused[0]), "permanent: InvalidRequestException: the service's own words");
}
