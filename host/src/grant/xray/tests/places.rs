//! Whose the credentials are, and that trouble of one account is only its own.

use super::*;

fn executions(call: &Call) -> Reply {
    match call.api.as_str() {
        "DescribeExecution" => {
            (200, json!({"executionArn": call.text("executionArn"), "by": [call.account, call.region]}))
        }
        _ => error(404, "UnknownOperationException"),
    }
}

fn arn(account: &str, region: &str) -> String {
    format!("arn:aws:states:{region}:{account}:execution:machine:name")
}

#[tokio::test]
async fn each_account_has_its_own_credentials_and_its_own_errors() {
    let server = Server::start(executions).await;
    let accounts = vec![
        Account { regions: vec![REGION.to_owned()], ..Account::default() },
        account(THERE, "rayline", &[REGION, "us-east-1"]),
        account("777777777777", "closed", &[REGION]),
        account("888888888888", "other", &[REGION]),
    ];
    let xray = open(&server, accounts).await;
    let places = xray.places(long()).await;
    let shown: Vec<String> = places
        .iter()
        .map(|place| {
            place.as_ref().map_or_else(|_| verdict(place), |place| format!("{} {}", place.account, place.region))
        })
        .collect();
    let broken = "temporary: the account cannot be asked; the host's log says why";
    assert_eq!(shown, ["111122223333 eu-west-1", "444455556666 eu-west-1", "444455556666 us-east-1", broken, broken]);

    let asked = [
        arn(THERE, "us-east-1"),
        arn("777777777777", REGION),
        arn(HERE, REGION),
        arn("888888888888", REGION),
        arn("999999999999", REGION),
        arn(HERE, "us-east-1"),
    ];
    let answers = xray.describe_executions(asked.to_vec(), long()).await;
    let expected = [
        "ok",
        broken,
        "ok",
        broken,
        "permanent: the account 999999999999 in eu-west-1 is not one of those that are granted",
        "permanent: the account 111122223333 in us-east-1 is not one of those that are granted",
    ];
    assert_eq!(verdicts(&answers), expected);
    let by = |index: usize| parsed(&answers[index].as_ref().unwrap().json)["by"].clone();
    assert_eq!((by(0), by(2)), (json!([THERE, "us-east-1"]), json!([HERE, REGION])));
    // One session of a role for all of its clients; one question for each identity, also where it fails.
    let roles: Vec<String> = server
        .calls("AssumeRole")
        .iter()
        .map(|call| call.text("RoleArn").rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(roles.iter().filter(|role| *role == "rayline").count(), 1, "{roles:?}");
    assert_eq!(server.calls("GetCallerIdentity").len(), 3);
}

#[tokio::test]
async fn what_validate_says_of_a_place() {
    let server = Server::start(|call| match (call.api.as_str(), call.account.as_str()) {
        ("ListStateMachines", THERE) => error(400, "AccessDeniedException"),
        ("GetTraceSegmentDestination", _) => (200, json!({"Destination": "CloudWatchLogs", "Status": "ACTIVE"})),
        _ => (200, json!({})),
    })
    .await;
    let xray = open(&server, vec![Account::default(), account(THERE, "rayline", &[REGION])]).await;
    let Xray::Accounts(accounts) = &xray else { unreachable!() };
    let mut found = Vec::new();
    for place in accounts.places() {
        found.push(place.check().await);
    }
    let good = "111122223333 in eu-west-1: reachable, traces are in CloudWatch Logs (Transaction Search is on)";
    assert_eq!(found[0], Ok(good.to_owned()));
    let bad = found[1].as_ref().unwrap_err();
    assert!(bad.starts_with("444455556666 in eu-west-1: Step Functions cannot be asked: AccessDenied"), "{bad}");
}

#[tokio::test]
async fn who_does_not_say_who_it_is_keeps_no_other_waiting() {
    let server = Server::start(executions).await;
    let nameless = |id: &str, role: &str| Account { id: None, ..account(id, role, &[REGION]) };
    let xray = open(&server, vec![nameless("777777777777", "slow"), nameless(THERE, "rayline")]).await;
    let asked = vec![arn(THERE, REGION), arn("777777777777", REGION)];
    let answers = xray.describe_executions(asked, within(Duration::from_secs(10))).await;
    assert_eq!(verdicts(&answers), ["ok", "temporary: there is no answer yet"]);
    xray.describe_executions(vec![arn("777777777777", REGION)], within(Duration::from_millis(100))).await;
    let slow = server.calls("AssumeRole").into_iter().filter(|call| call.text("RoleArn").ends_with("/slow"));
    assert_eq!(slow.count(), 1, "the question goes on");
}
