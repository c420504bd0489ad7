//! What `rayline doctor` asks.

use super::super::look::{Latest, Place};
use super::*;

fn services(call: &Call) -> Reply {
    let machine = |name: &str, kind: &str| {
        let arn = format!("arn:aws:states:{}:{}:stateMachine:{name}", call.region, call.account);
        json!({"stateMachineArn": arn, "name": name, "type": kind, "creationDate": 1.0})
    };
    let name = call.text("stateMachineArn").rsplit(':').next().unwrap();
    match call.api.as_str() {
        "GetSamplingRules" | "DescribeStateMachine" if call.account == THERE => error(403, "AccessDeniedException"),
        "ListStateMachines" => {
            let all = [machine("orders", "STANDARD"), machine("checkout", "EXPRESS"), machine("gone", "STANDARD")];
            (200, json!({"stateMachines": all}))
        }
        "DescribeStateMachine" if name == "gone" => error(400, "StateMachineDoesNotExist"),
        // Without what is encrypted.
        "DescribeStateMachine" => (200, json!({"name": name, "tracingConfiguration": {"enabled": name == "orders"}})),
        "ListExecutions" => {
            let started = |at: f64| json!({"executionArn": "a", "startDate": at, "status": "RUNNING"});
            (200, json!({"executions": [started(5.5), started(4.0)], "nextToken": "more"}))
        }
        "GetTraceSegmentDestination" => (200, json!({"Destination": "CloudWatchLogs", "Status": "ACTIVE"})),
        "GetSamplingRules" => {
            let rule = |name: &str| {
                json!({"SamplingRule": {"RuleName": name, "Priority": 10_000, "FixedRate": 0.05,
                "ReservoirSize": 1, "ServiceType": "*", "HTTPMethod": "*", "URLPath": "/", "ResourceARN": "*"}})
            };
            match call.text("NextToken") {
                "" => (200, json!({"SamplingRuleRecords": [rule("first")], "NextToken": "more"})),
                _ => (200, json!({"SamplingRuleRecords": [rule("Default")]})),
            }
        }
        _ => error(404, "UnknownOperationException"),
    }
}

fn places(xray: &Xray) -> Vec<Arc<Place>> {
    let Xray::Accounts(accounts) = xray else { unreachable!() };
    accounts.places().to_vec()
}

#[tokio::test]
async fn what_decides_whether_there_are_traces() {
    let server = Server::start(services).await;
    let place = places(&here(&server).await).remove(0);
    assert_eq!(place.title().await.unwrap(), "111122223333 eu-west-1");
    let machines = place.machines().await.unwrap();
    let traced = place.traced(&machines).await.unwrap();
    let traced: Vec<_> =
        traced.iter().map(|(machine, traced)| (machine.name.as_str(), machine.kind.as_str(), *traced)).collect();
    assert_eq!(traced, [("orders", "STANDARD", true), ("checkout", "EXPRESS", false)]);
    assert!(server.calls("DescribeStateMachine").iter().all(|call| call.text("includedData") == "METADATA_ONLY"));

    let rules = place.sampling().await.unwrap();
    let rules: Vec<_> =
        rules.iter().map(|rule| (rule.name.as_str(), rule.fixed_rate, rule.url_path.as_str())).collect();
    assert_eq!(rules, [("first", 0.05, "/"), ("Default", 0.05, "/")]);
    assert!(place.keeps().await.unwrap().is_elsewhere());
    let Latest { starts, has_more, at } = place.latest(&machines[0]).await.unwrap();
    assert!(starts == [5.5, 4.0] && has_more && is_now((at * 1e9) as u64), "{at}");
}

#[tokio::test]
async fn what_may_not_be_asked() {
    let server = Server::start(services).await;
    let accounts = vec![account(THERE, "rayline", &[REGION]), account("777777777777", "closed", &[REGION])];
    let places = places(&open(&server, accounts).await);
    let machines = places[0].machines().await.unwrap();
    let refused = "AccessDeniedException: the service's own words";
    assert_eq!(places[0].traced(&machines).await.unwrap_err(), refused);
    assert_eq!(places[0].sampling().await.unwrap_err(), refused);
    assert!(places[1].title().await.unwrap_err().contains("sts:AssumeRole"));
}
