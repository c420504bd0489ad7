//! The endpoint, asked by AWS's own SDK.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::{ExecutionStatus, StateMachineType};
use aws_sdk_xray::config::retry::RetryConfig;
use aws_sdk_xray::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::{RetrievalStatus, TraceFormatType, TraceSegmentDestination};
use serde_json::{Value, json};

use super::fake::{Arrival, Execution, Fake, Machine, Manners, Place, Trace};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

fn place() -> Place {
    Place::new(ACCOUNT, REGION)
}

fn fake(manners: Manners) -> Fake {
    let fake = Fake::start(manners, None);
    fake.knows("AKID1", ACCOUNT);
    fake.knows("AKID2", "444455556666");
    fake
}

/// X-Ray, as the owner of an access key sees it. Without retries: each answer is seen.
fn xray(fake: &Fake, key: &str) -> aws_sdk_xray::Client {
    let config = aws_sdk_xray::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&fake.url)
        .region(Region::new(REGION))
        .credentials_provider(credentials(key))
        .retry_config(RetryConfig::disabled());
    aws_sdk_xray::Client::from_conf(config.build())
}

fn states(fake: &Fake, key: &str) -> aws_sdk_sfn::Client {
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&fake.url)
        .region(Region::new(REGION))
        .credentials_provider(credentials(key))
        .retry_config(RetryConfig::disabled());
    aws_sdk_sfn::Client::from_conf(config.build())
}

fn credentials(key: &str) -> Credentials {
    Credentials::new(key, "secret", None, None, "tests")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// What was answered, or the name of the error.
fn wait<T, E: ProvideErrorMetadata>(call: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    block_on(call).map_err(|error| error.code().unwrap_or("no code").to_owned())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64().floor()
}

/// The `n`th trace, of so many seconds ago.
fn trace_id(n: usize, seconds: f64) -> String {
    format!("1-{:08x}-{n:024x}", (now() - seconds) as u32)
}

/// A segment that is there after so many milliseconds.
fn arrival(after_ms: u64, trace: &str, id: u64, end: Option<f64>) -> Arrival {
    let mut document = json!({
        "id": format!("{id:016x}"),
        "trace_id": trace,
        "name": "Machine",
        "origin": "AWS::StepFunctions::StateMachine",
        "start_time": now() - 10.0,
        "resource_arn": place().states_arn("stateMachine", "Machine"),
    });
    match end {
        Some(end) => document["end_time"] = json!(end),
        None => document["in_progress"] = json!(true),
    }
    Arrival { after: Duration::from_millis(after_ms), document }
}

fn put_trace(fake: &Fake, id: &str, arrivals: Vec<Arrival>) {
    fake.put_trace(&place(), Trace { id: id.to_owned(), arrivals });
}

fn put_execution(fake: &Fake, name: &str, states: &[(u64, &str)]) -> String {
    let arn = place().states_arn("execution", &format!("Machine:{name}"));
    let states = states.iter().map(|(after_ms, status)| {
        let state = json!({
            "executionArn": arn,
            "stateMachineArn": place().states_arn("stateMachine", "Machine"),
            "name": name,
            "status": status,
            "startDate": now() - 10.0,
            "input": "{}",
            "traceHeader": "Root=1-5e1b4151-5ac6c58f5b5d3c4a3b2a1f0e;Sampled=1",
        });
        (Duration::from_millis(*after_ms), state)
    });
    fake.put_execution(&place(), Execution { states: states.collect() });
    arn
}

/// The name of the error.
fn code<T>(answer: Result<T, String>) -> String {
    answer.err().unwrap_or_else(|| "none".to_owned())
}

#[test]
fn traces_come_in_fives_and_only_once_a_call() {
    let fake = fake(Manners::good());
    let ids: Vec<String> = (0..6).map(|n| trace_id(n, 60.0)).collect();
    for id in &ids {
        put_trace(&fake, id, vec![arrival(0, id, 1, Some(now()))]);
    }
    let client = xray(&fake, "AKID1");
    let get = |ids: &[String]| wait(client.batch_get_traces().set_trace_ids(Some(ids.to_vec())).send());
    let found = get(&ids[..5]).expect("traces");
    assert_eq!(found.traces().iter().map(|trace| trace.id().expect("an id")).collect::<Vec<_>>(), ids[..5]);
    let segment = &found.traces()[0].segments()[0];
    let document: Value = serde_json::from_str(segment.document().expect("a document")).expect("JSON");
    assert_eq!((segment.id(), &document["name"]), (document["id"].as_str(), &json!("Machine")));
    assert_eq!(found.traces()[0].duration(), Some(10.0));

    assert_eq!(code(get(&ids)), "InvalidRequestException");
    assert_eq!(code(get(&[ids[0].clone(), ids[0].clone()])), "InvalidRequestException");
    assert_eq!(code(get(&["1-nonsense".to_owned()])), "InvalidRequestException");
    let others = xray(&fake, "AKID2").batch_get_traces().trace_ids(&ids[0]).send();
    assert_eq!(wait(others).expect("an answer").traces().len(), 0, "another account's");
    let calls = fake.calls();
    let mine = &calls[&(ACCOUNT.to_owned(), REGION.to_owned(), "BatchGetTraces".to_owned())];
    assert_eq!((mine.asked, mine.refused, mine.ids), (4, 3, 5 + 6 + 1 + 1));
    assert_eq!(fake.asked("BatchGetTraces"), 5);
}

#[test]
fn what_is_late_comes_later_and_replaces_what_was_there() {
    let fake = fake(Manners::good());
    let id = trace_id(1, 60.0);
    put_trace(
        &fake,
        &id,
        vec![arrival(0, &id, 1, None), arrival(60_000, &id, 2, Some(now())), arrival(90_000, &id, 1, Some(now()))],
    );
    let client = xray(&fake, "AKID1");
    let segments = || {
        let found = wait(client.batch_get_traces().trace_ids(&id).send()).expect("a trace");
        let documents = found.traces()[0].segments().iter().map(|it| it.document().expect("a document").to_owned());
        documents.collect::<Vec<_>>()
    };
    let summary = || {
        let query = client.get_trace_summaries().start_time(ago(120));
        let found = wait(query.end_time(ago(0)).send()).expect("summaries");
        (found.trace_summaries()[0].is_partial(), found.trace_summaries()[0].revision())
    };
    assert!(segments().len() == 1 && segments()[0].contains("in_progress"));
    assert_eq!(summary(), (Some(true), 1));
    fake.skip(Duration::from_secs(61));
    assert_eq!((segments().len(), summary()), (2, (Some(true), 2)));
    fake.skip(Duration::from_secs(30));
    assert!(segments().len() == 2 && !segments().concat().contains("in_progress"));
    assert_eq!(summary(), (Some(false), 3));
}

/// So many seconds ago.
fn ago(seconds: i64) -> DateTime {
    DateTime::from_secs(now() as i64 - seconds)
}

#[test]
fn summaries_come_newest_first_in_pages_of_small_windows() {
    let fake = fake(Manners { page: 3, ..Manners::good() });
    let ids: Vec<String> = (0..8).map(|n| trace_id(n, 100.0 - n as f64)).collect();
    for id in &ids {
        put_trace(&fake, id, vec![arrival(0, id, 1, Some(now()))]);
    }
    let client = xray(&fake, "AKID1");
    let query = |seconds: i64, filter: &str| {
        let query = client.get_trace_summaries().start_time(ago(seconds));
        query.end_time(ago(0)).filter_expression(filter)
    };
    let kind = r#"type: "AWS::StepFunctions::StateMachine""#;
    let right = format!(r#"service(id(name: "Machine", {kind}))"#);
    let mut found: Vec<String> = Vec::new();
    let mut pages = query(600, &right).into_paginator().send();
    block_on(async {
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            assert!(page.trace_summaries().len() <= 3);
            found.extend(page.trace_summaries().iter().map(|it| it.id().expect("an id").to_owned()));
        }
    });
    assert!(found.iter().eq(ids.iter().rev()), "{found:?}");
    let none = wait(query(600, &format!(r#"service(id(name: "Other", {kind}))"#)).send()).expect("an answer");
    assert_eq!((none.trace_summaries().len(), none.traces_processed_count()), (0, Some(8)));
    assert_eq!(code(wait(query(600, "ok = false").send())), "InvalidRequestException");
    assert_eq!(code(wait(query(6 * 3600 + 1, &right).send())), "InvalidRequestException");
    assert_eq!(code(wait(query(6 * 3600, &right).send())), "none");
}

#[test]
fn an_execution_says_what_it_is_by_now() {
    let fake = fake(Manners::good());
    let arn = put_execution(&fake, "one", &[(0, "RUNNING"), (60_000, "SUCCEEDED")]);
    let express = Machine { name: "Fast".to_owned(), kind: "EXPRESS", traced: true, created: now() };
    fake.put_machine(&place(), express);
    let client = states(&fake, "AKID1");
    let describe = |arn: &str| wait(client.describe_execution().execution_arn(arn).send());
    assert_eq!(describe(&arn).expect("an execution").status(), &ExecutionStatus::Running);
    fake.skip(Duration::from_secs(61));
    let now = describe(&arn).expect("an execution");
    assert_eq!((now.status(), now.input()), (&ExecutionStatus::Succeeded, Some("{}")));
    assert_eq!(code(describe(&format!("{arn}x"))), "ExecutionDoesNotExist");
    assert_eq!(code(describe(&place().states_arn("express", "Fast:a:b"))), "InvalidArn");
    assert_eq!(code(describe(&arn.replace(ACCOUNT, "444455556666"))), "AccessDeniedException");

    let machines = wait(client.list_state_machines().send()).expect("machines");
    let kinds: BTreeMap<_, _> = machines.state_machines().iter().map(|it| (it.name(), it.r#type().clone())).collect();
    assert_eq!(kinds, BTreeMap::from([("Fast", StateMachineType::Express), ("Machine", StateMachineType::Standard)]));
    let fast = place().states_arn("stateMachine", "Fast");
    assert_eq!(code(wait(client.list_executions().state_machine_arn(&fast).send())), "StateMachineTypeNotSupported");
    let described = wait(client.describe_state_machine().state_machine_arn(&fast).send()).expect("a machine");
    assert!(described.tracing_configuration().expect("tracing").enabled());
}

#[test]
fn lists_of_executions_have_pages_and_lag_behind() {
    let fake = fake(Manners { page: 4, list_lag: Duration::from_secs(30), ..Manners::good() });
    for n in 0..10 {
        put_execution(&fake, &n.to_string(), &[(0, if n % 5 == 0 { "FAILED" } else { "SUCCEEDED" })]);
    }
    let client = states(&fake, "AKID1");
    let list = |status: ExecutionStatus| {
        let machine = place().states_arn("stateMachine", "Machine");
        let mut pages =
            client.list_executions().state_machine_arn(machine).status_filter(status).into_paginator().send();
        block_on(async {
            let mut sizes = Vec::new();
            while let Some(page) = pages.next().await {
                sizes.push(page.expect("a page").executions().len());
            }
            sizes
        })
    };
    assert_eq!(list(ExecutionStatus::Succeeded), [0]);
    fake.skip(Duration::from_secs(31));
    assert_eq!(list(ExecutionStatus::Succeeded), [4, 4]);
    assert_eq!(list(ExecutionStatus::Failed), [2]);
}

#[test]
fn with_transaction_search_traces_are_retrieved() {
    let fake = fake(Manners { page: 3, retrieval: Duration::from_secs(60), ..Manners::good() });
    fake.searches(ACCOUNT, 0.0);
    let ids: Vec<String> = (0..8).map(|n| trace_id(n, 60.0)).collect();
    for id in &ids[..7] {
        put_trace(&fake, id, vec![arrival(0, id, 1, Some(now()))]);
    }
    let client = xray(&fake, "AKID1");
    let destination = |key: &str| wait(xray(&fake, key).get_trace_segment_destination().send()).expect("an answer");
    assert_eq!(destination("AKID1").destination(), Some(&TraceSegmentDestination::CloudWatchLogs));
    assert_eq!(destination("AKID2").destination(), Some(&TraceSegmentDestination::XRay));
    let found = wait(client.batch_get_traces().trace_ids(&ids[0]).send()).expect("an answer");
    assert_eq!(found.traces().len(), 0, "it is not in X-Ray");

    let (start, end) = (ago(600), ago(0));
    let started =
        client.start_trace_retrieval().set_trace_ids(Some(ids.clone())).start_time(start).end_time(end).send();
    let token = wait(started).expect("a token").retrieval_token().expect("a token").to_owned();
    let list = |next: Option<String>| {
        let format = TraceFormatType::Xray;
        let query = client.list_retrieved_traces().retrieval_token(&token).trace_format(format).set_next_token(next);
        wait(query.send()).expect("an answer")
    };
    assert_eq!(list(None).retrieval_status(), Some(&RetrievalStatus::Scheduled));
    fake.skip(Duration::from_secs(61));
    let (mut found, mut next) = (BTreeSet::new(), None);
    loop {
        let page = list(next);
        assert_eq!(page.retrieval_status(), Some(&RetrievalStatus::Complete));
        for trace in page.traces() {
            assert!(trace.spans()[0].document().expect("a document").contains("Machine"));
            found.insert(trace.id().expect("an id").to_owned());
        }
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    assert!(found.iter().eq(&ids[..7]), "{found:?}");
    let gone = client.list_retrieved_traces().retrieval_token("other").send();
    assert_eq!(code(wait(gone)), "ResourceNotFoundException");
}

#[test]
fn a_bad_day_is_the_same_in_each_run() {
    let ids: Vec<String> = (0..200).map(|n| format!("1-{:08x}-{n:024x}", 0x6a00_0000)).collect();
    let run = |seed: u64| {
        let fake = fake(Manners { seed, latency: Duration::ZERO, ..Manners::default() });
        for id in &ids[..180] {
            put_trace(&fake, id, vec![arrival(0, id, 1, Some(now()))]);
        }
        let client = xray(&fake, "AKID1");
        let mut answers = Vec::new();
        block_on(async {
            for ids in ids.chunks(5) {
                let answer = client.batch_get_traces().set_trace_ids(Some(ids.to_vec())).send().await;
                answers.push(match answer {
                    Err(error) => error.meta().code().expect("a code").to_owned(),
                    Ok(answer) => {
                        let (found, left) = (answer.traces().len(), answer.unprocessed_trace_ids().len());
                        format!("{found} {left} {:?}", answer.next_token())
                    }
                });
            }
        });
        answers
    };
    let answers = run(1);
    assert_eq!(run(1), answers);
    assert_ne!(run(2), answers);
    let all = answers.join("\n");
    assert!(all.contains("ThrottledException") && all.contains("Some(") && all.contains("5 0 None"), "{all}");
    assert!(all.lines().any(|answer| answer.split(' ').nth(1).is_some_and(|left| left == "1")), "{all}");
}

#[test]
fn more_calls_than_the_rate_allows_are_throttled() {
    let fake = fake(Manners { rate: Some(2.0), ..Manners::good() });
    fake.stop_clock();
    let arn = put_execution(&fake, "one", &[(0, "RUNNING")]);
    let client = states(&fake, "AKID1");
    let describe = || code(wait(client.describe_execution().execution_arn(&arn).send()));
    let answers: Vec<String> = (0..4).map(|_| describe()).collect();
    assert_eq!(answers, ["none", "none", "ThrottlingException", "ThrottlingException"]);
    assert_eq!(code(wait(client.list_state_machines().send())), "none", "another API has a rate of its own");
    fake.skip(Duration::from_secs(1));
    assert_eq!(describe(), "none");
}

#[test]
fn segments_and_traces_that_are_too_large_are_cut() {
    let fake = fake(Manners::good());
    let id = trace_id(1, 60.0);
    let large = |segment: u64| {
        let mut large = arrival(0, &id, segment, Some(now()));
        let below: Vec<Value> = (0..900_u64)
            .map(|n| json!({ "id": format!("{:016x}", segment << 16 | n), "name": "State", "start_time": now(), "end_time": now() }))
            .collect();
        let map = json!({ "id": format!("{segment:08x}00ffffff"), "name": "Map", "start_time": now(), "end_time": now(), "subsegments": below });
        large.document["subsegments"] = json!([map]);
        large
    };
    put_trace(&fake, &id, (1..=9).map(large).collect());
    let found = wait(xray(&fake, "AKID1").batch_get_traces().trace_ids(&id).send()).expect("a trace");
    let trace = &found.traces()[0];
    assert_eq!((trace.limit_exceeded(), trace.segments().len()), (Some(true), 7));
    let text = trace.segments()[0].document().expect("a document");
    assert!((60_000..=65_536).contains(&text.len()), "{} bytes", text.len());
    let document: Value = serde_json::from_str(text).expect("JSON");
    let below = document["subsegments"][0]["subsegments"].as_array().expect("subsegments");
    let open = below.iter().filter(|it| it["in_progress"] == true && it["end_time"].is_null()).count();
    assert_eq!((open, below.last().expect("one")["in_progress"].as_bool()), (1, Some(true)));
    assert!(document["end_time"].is_number());
}
