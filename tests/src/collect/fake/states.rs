//! Step Functions, as far as it tells of executions.

use serde_json::{Value, json};

use super::server::{Asked, Refusal};
use super::store::{Machine, Place, Store};

const STATUSES: [&str; 6] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];

/// What it answers.
pub fn answer(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    match asked.api.as_str() {
        "DescribeExecution" => describe_execution(store, asked, input),
        "ListExecutions" => list_executions(store, asked, input),
        "ListStateMachines" => list_machines(store, asked, input),
        "DescribeStateMachine" => describe_machine(store, asked, input),
        other => panic!("the endpoint has no {other}"),
    }
}

fn describe_execution(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let arn = own_arn(&asked.place, input, "executionArn")?;
    if arn.split(':').nth(5) != Some("execution") {
        let message = format!("Invalid Arn: 'Resource type not valid in this context: {arn}'");
        return Err(Refusal::of("InvalidArn", message));
    }
    let state = store.execution(&asked.place, arn, asked.now);
    state.cloned().ok_or_else(|| Refusal::of("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'")))
}

fn list_executions(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let arn = own_arn(&asked.place, input, "stateMachineArn")?;
    let machine = machine(store, &asked.place, arn)?;
    if machine.kind == "EXPRESS" {
        let message = format!("This operation is not supported by this type of state machine: '{arn}'");
        return Err(Refusal::of("StateMachineTypeNotSupported", message));
    }
    let status = input["statusFilter"].as_str();
    if status.is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(Refusal::of("ValidationException", format!("no status: {}", input["statusFilter"])));
    }
    // A list is behind what an execution itself says.
    let then = asked.now.saturating_sub(asked.manners.list_lag);
    let all = store.executions(&asked.place, arn, then);
    let items: Vec<Value> = all.into_iter().map(listed).collect();
    let query = format!("{arn} {status:?}");
    let is_wanted = |item: &Value| status.is_none_or(|status| item["status"] == status);
    let (page, token) = page(items, asked, input, &query, "executionArn", is_wanted)?;
    Ok(with_token(json!({ "executions": page }), token))
}

/// Of an execution's description what a list has.
fn listed(state: &Value) -> Value {
    let names = [
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "mapRunArn",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
        "redriveCount",
        "redriveDate",
    ];
    names.iter().filter_map(|name| Some(((*name).to_owned(), state.get(*name)?.clone()))).collect()
}

fn list_machines(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let machines = store.machines(&asked.place).into_iter();
    let items: Vec<Value> = machines
        .map(|(arn, machine)| {
            let Machine { name, kind, created, .. } = machine;
            json!({ "stateMachineArn": arn, "name": name, "type": kind, "creationDate": created })
        })
        .collect();
    let (page, token) = page(items, asked, input, "machines", "stateMachineArn", |_| true)?;
    Ok(with_token(json!({ "stateMachines": page }), token))
}

fn describe_machine(store: &Store, asked: &Asked, input: &Value) -> Result<Value, Refusal> {
    let arn = own_arn(&asked.place, input, "stateMachineArn")?;
    let Machine { name, kind, traced, created } = machine(store, &asked.place, arn)?;
    Ok(json!({
        "stateMachineArn": arn,
        "name": name,
        "status": "ACTIVE",
        "definition": "{\"StartAt\":\"Done\",\"States\":{\"Done\":{\"Type\":\"Succeed\"}}}",
        "roleArn": format!("arn:aws:iam::{}:role/states", asked.place.account),
        "type": kind,
        "creationDate": created,
        "loggingConfiguration": { "level": "OFF", "includeExecutionData": false },
        "tracingConfiguration": { "enabled": traced },
    }))
}

fn machine<'s>(store: &'s Store, place: &Place, arn: &str) -> Result<&'s Machine, Refusal> {
    let found = store.machines(place).into_iter().find(|(other, _)| *other == arn).map(|(_, machine)| machine);
    found.ok_or_else(|| Refusal::of("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'")))
}

/// An ARN of Step Functions in the account and region of whoever asks.
fn own_arn<'v>(place: &Place, input: &'v Value, name: &str) -> Result<&'v str, Refusal> {
    let arn = input[name].as_str().unwrap_or_default();
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", "aws", "states", region, account, _, ..] if *region == place.region => {
            match *account == place.account {
                true => Ok(arn),
                false => Err(Refusal::of("AccessDeniedException", format!("not authorized to perform this on {arn}"))),
            }
        }
        _ => Err(Refusal::of("InvalidArn", format!("Invalid Arn: '{arn}'"))),
    }
}

/// The wanted entries after a token, as many as asked for and as a page has, and the token for more. A token is of one query.
/// It names the last entry of its page, so neither what is new at the front of a list nor an entry whose status has changed
/// moves anything.
fn page(
    items: Vec<Value>,
    asked: &Asked,
    input: &Value,
    query: &str,
    name: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<(Vec<Value>, Option<String>), Refusal> {
    let most = input["maxResults"].as_u64().filter(|most| *most > 0).unwrap_or(100) as usize;
    let bad = || Refusal::of("InvalidToken", "Invalid Token: 'Invalid token'".to_owned());
    let start = match input["nextToken"].as_str() {
        None => 0,
        Some(token) => {
            let last = token.strip_prefix(&format!("{query}|")).ok_or_else(bad)?;
            items.iter().position(|item| item[name] == last).ok_or_else(bad)? + 1
        }
    };
    let mut page: Vec<Value> = items[start..].iter().filter(|item| is_wanted(item)).cloned().collect();
    let size = most.min(asked.manners.page);
    let token = (page.len() > size).then(|| format!("{query}|{}", page[size - 1][name].as_str().expect("a name")));
    page.truncate(size);
    Ok((page, token))
}

fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = json!(token);
    }
    answer
}
