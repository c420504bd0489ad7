//! Many messages, many executions, several collectors.

use super::*;

/// A parent with children, all in trace 1.
fn family(children: usize, status: &str) -> Vec<String> {
    let names: Vec<String> = (0..=children).map(|n| format!("e{n:03}")).collect();
    let end = (status != "RUNNING").then_some(BEGIN - 1.0);
    let segments: Vec<Value> = names.iter().map(|name| segment(name, name, end)).collect();
    names.iter().for_each(|name| put_execution(execution(name, status, Some(1))));
    put_trace(trace(1, &segments));
    names
}

fn fetches() -> usize {
    testing::xray::asked(XRAY).iter().filter(|it| it.starts_with("trace ")).count()
}

#[test]
fn a_parent_with_a_hundred_children_is_one_message() {
    let mut collector = Collector::new("{}");
    for name in family(100, "SUCCEEDED") {
        notify(&event(&execution(&name, "SUCCEEDED", Some(1))));
    }
    let run = collector.run(600);
    assert_eq!(run.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [0, 59]);
    assert!(run.iter().all(|(_, body)| body["executions"].as_array().unwrap().len() == 101));
    assert_eq!(fetches(), 2);
    assert_queue_is_empty();
}

#[test]
fn events_of_one_trace_that_come_one_by_one_cost_no_fetch_each() {
    let mut collector = Collector::new("{}");
    let names = family(100, "RUNNING");
    let mut out = 0;
    for name in &names {
        notify(&event(&execution(name, "RUNNING", Some(1))));
        out += collector.run(1).len();
    }
    assert!(out <= 2, "{out}");
    family(100, "SUCCEEDED");
    for name in &names {
        notify(&event(&execution(name, "SUCCEEDED", Some(1))));
        out += collector.run(1).len();
    }
    out += collector.run(1800).len();
    assert!(out <= 6, "{out}");
    assert!(fetches() <= 10);
    assert_queue_is_empty();
}

#[test]
fn one_event_of_a_trace_brings_all_its_executions() {
    let mut collector = Collector::new("{}");
    family(2, "SUCCEEDED");
    let mut express = segment("x", "x", Some(BEGIN));
    express["aws"]["resource_arn"] = "arn:aws:states:eu-west-1:111122223333:express:Order:x:uuid".into();
    let mut elsewhere = segment("y", "y", Some(BEGIN));
    elsewhere["aws"]["resource_arn"] = "arn:aws:states:eu-west-1:999999999999:execution:Order:y".into();
    let segments: Vec<Value> = ["e000", "e001", "e002"].map(|name| segment(name, name, Some(BEGIN))).into();
    put_trace(trace(1, &[segments, vec![express, elsewhere]].concat()));
    notify(&arn("e001"));
    let expected = "(e000=SUCCEEDED,e001=SUCCEEDED,e002=SUCCEEDED)+5";
    assert_eq!(shorts(&collector.run(100)), [format!("0 partial{expected}"), format!("60 settled{expected}")]);
    let asked = testing::xray::asked(XRAY);
    assert!(!asked.iter().any(|it| it.contains(":express:") || it.contains("999999999999")), "{asked:?}");
    assert_queue_is_empty();
}

#[test]
fn another_collector_takes_over_half_way() {
    let mut first = Collector::new("{}");
    put_execution(execution("a", "RUNNING", Some(1)));
    put_trace(trace(1, &[segment("a", "1", None)]));
    notify(&arn("a"));
    assert_eq!(shorts(&first.run(5)), ["0 partial(a=RUNNING)+1"]);
    drop(first);
    let mut second = Collector::open("{}", None);
    assert_eq!(shorts(&second.run(20)), [""; 0], "it knows what was handed over");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    let run = second.run(900);
    assert_eq!(
        run.iter().map(|(_, body)| short(body)).collect::<Vec<_>>(),
        ["partial(a=SUCCEEDED)+1", "settled(a=SUCCEEDED)+1"]
    );
    assert_eq!(run[1].1["discovered_at"], "2026-01-01T00:00:00Z");
    assert_queue_is_empty();
}

#[test]
fn pending_work_goes_on_from_the_latest_answer() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    (0..3).for_each(|_| testing::xray::fail(XRAY, &trace_id(1), throttled()));
    notify(&arn("a"));
    let run = collector.run(30);
    let (second, body) = &run[0];
    assert!(*second > 0, "the trace is answered later than the description");
    let pending: Value = serde_json::from_slice(&testing::queue::delayed(EVENTS)[0].1).unwrap();
    assert_eq!(pending["after"], body["collected_at"]);
}

#[test]
fn an_execution_that_is_slow_to_tell_its_trace_joins_those_of_it() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    testing::xray::fail(XRAY, &arn("a"), throttled());
    testing::xray::fail(XRAY, &trace_id(1), throttled());
    notify(&arn("a"));
    notify(&format!("Root={};Sampled=1", trace_id(1)));
    assert_eq!(shorts(&collector.run(100)), ["1 partial(a=SUCCEEDED)+1", "59 settled(a=SUCCEEDED)+1"]);
    assert_queue_is_empty();
}

#[test]
fn an_answer_does_not_agree_with_itself() {
    const QUICK: &str = r#"{"retry_secs":[1],"quiet_secs":1}"#;
    let mut one = Collector::new(QUICK);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    notify(&arn("a"));
    let partial = one.collect();
    assert_eq!(partial.iter().map(short).collect::<Vec<_>>(), ["partial(a=SUCCEEDED)+1"]);
    // In the same second another one fetches the trace, but has to wait for the description until what was to be fetched
    // again has come back.
    let mut two = Collector::open(QUICK, None);
    (0..3).for_each(|_| testing::xray::fail(XRAY, &arn("a"), throttled()));
    notify(&format!("Root={};Sampled=1", trace_id(1)));
    let run = two.run(20);
    let (_, settled) = run.last().unwrap();
    assert_eq!(short(settled), "settled(a=SUCCEEDED)+1");
    assert!(settled["collected_at"].as_str() > partial[0]["collected_at"].as_str(), "{settled}");
    assert_queue_is_empty();
}

#[test]
fn what_another_collector_saw_later_is_not_done() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    notify(&arn("a"));
    assert_eq!(collector.run(100).len(), 2, "for this one it is settled");
    let second = |n: u64| (BEGIN as u64 + n) * SECOND;
    let pending = |due_at, after| {
        let (trace_id, place) = (Some(trace_id(1)), arn::ExecutionArn::parse(&arn("a")).map(|it| it.place()));
        let digest = Some("another".to_owned());
        let give_up_at = second(10_000);
        let pending = Pending { trace_id, digest, attempt: 1, after, due_at, give_up_at, ..Pending::default() };
        pending.at(place).to_json()
    };
    notify(&pending(second(50), second(40)));
    assert_eq!(shorts(&collector.run(50)), [""; 0], "that was before");
    assert_queue_is_empty();
    let late = json!({ "id": "2", "parent_id": "1", "name": "f", "start_time": BEGIN, "end_time": BEGIN + 90.0 });
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0)), late]));
    notify(&pending(second(90), second(80)));
    assert_eq!(shorts(&collector.run(50)), ["0 partial(a=SUCCEEDED)+2", "15 settled(a=SUCCEEDED)+2"]);
    assert_queue_is_empty();
}

/// One account does not answer, and has most of the messages.
#[test]
fn an_account_that_is_slow_leaves_room_for_others() {
    const SLOW: &str = "444455556666";
    let slow = |n: usize| format!("arn:aws:states:{REGION}:{SLOW}:execution:Order:s{n}");
    let mut collector = Collector::new("{}");
    testing::xray::place(XRAY, SLOW, REGION);
    keep_failing(SLOW, &throttled());
    (0..400).for_each(|n| notify(&slow(n)));
    for n in 0..10 {
        put_execution(execution(&format!("e{n}"), "SUCCEEDED", None));
        notify(&arn(&format!("e{n}")));
    }
    assert_eq!(collector.run(2).len(), 10);
}

#[test]
fn what_is_under_way_is_asked_for_after_the_others() {
    let other = "arn:aws:states:eu-west-1:444455556666:execution:Order";
    let mut collector = Collector::new("{}");
    testing::xray::place(XRAY, "444455556666", REGION);
    (0..1000).for_each(|_| testing::xray::fail(XRAY, "444455556666", under_way()));
    (0..120).for_each(|n| notify(&format!("{other}:s{n}")));
    put_execution(execution("a", "SUCCEEDED", None));
    notify(&arn("a"));
    assert_eq!(collector.collect().iter().filter(|body| short(body) == "unsampled(a=SUCCEEDED)").count(), 1);
    let asked = testing::xray::asked(XRAY);
    assert!(asked.iter().take(100).any(|it| it.ends_with(&arn("a"))), "in the first call");
    assert!(asked.iter().take(150).any(|it| it.ends_with(":s119")), "who was not asked comes first");
}

#[test]
fn a_crash_at_any_moment_loses_nothing() {
    for crash_at in ["before settling", "after settling", "between send and delete", "released"] {
        let mut first = Collector::new("{}");
        put_execution(execution("a", "SUCCEEDED", Some(1)));
        put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
        notify(&arn("a"));
        let seen = first.read();
        assert_eq!(seen.len(), 1, "{crash_at}");
        match crash_at {
            "before settling" => assert_eq!(testing::queue::held(EVENTS), 1),
            "released" => first.settle(&seen, Outcome::Released),
            _ => first.settle(&seen, Outcome::Done),
        }
        if crash_at == "between send and delete" {
            notify(&arn("a"));
        }
        drop(first);
        testing::queue::crash(EVENTS);
        let mut second = Collector::open("{}", None);
        let run = second.run(900);
        let last = run.iter().filter(|(_, body)| body["verdict"] == "settled").count();
        assert!(last >= 1, "{crash_at}: {:?}", shorts(&run));
        assert!(run.len() <= 3, "{crash_at}: {:?}", shorts(&run));
        assert_queue_is_empty();
    }
}

#[test]
fn nothing_is_deleted_before_the_next_is_sent_and_nothing_is_sent_before_it_is_safe() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "RUNNING", None));
    notify(&arn("a"));
    let seen = collector.read();
    assert_eq!((testing::queue::held(EVENTS), testing::queue::delayed(EVENTS).len()), (1, 0));
    collector.settle(&seen, Outcome::Done);
    assert_eq!((testing::queue::held(EVENTS), testing::queue::delayed(EVENTS).len()), (0, 1));
}

#[test]
fn a_days_budget_is_kept_and_the_rest_waits() {
    let mut collector = Collector::new(r#"{"max_traces_per_day":3,"quiet_secs":0,"retry_secs":[3600]}"#);
    for n in 0..5 {
        let name = format!("e{n}");
        put_execution(execution(&name, "SUCCEEDED", Some(n)));
        put_trace(trace(n, &[segment(&name, "1", Some(BEGIN - 1.0))]));
        notify(&arn(&name));
    }
    let bodies = collector.collect();
    let traces = bodies.iter().filter(|body| !body["trace"].is_null()).count();
    assert_eq!((bodies.len(), traces), (5, 3), "what is described goes out");
    let told = testing::log::take().into_iter().filter(|(_, line)| line.contains("max_traces_per_day")).count();
    assert_eq!(told, 1);
    let mut settled = 0;
    for _ in 0..8 * 96 {
        advance(900);
        settled += collector.collect().iter().filter(|body| body["verdict"] == "settled").count();
    }
    assert_eq!(settled, 5);
    assert_queue_is_empty();
}

#[test]
fn payloads_are_left_out_where_one_trace_has_too_many() {
    let mut collector = Collector::new("{}");
    let names = family(60, "SUCCEEDED");
    for name in &names {
        let mut told = execution(name, "SUCCEEDED", Some(1));
        told["input"] = "x".repeat(400_000).into();
        put_execution(told);
    }
    notify(&arn(&names[0]));
    let run = collector.collect();
    let executions = run[0]["executions"].as_array().unwrap();
    let whole = executions.iter().filter(|it| it.get("input").is_some()).count();
    assert!((30..45).contains(&whole), "{whole}");
    assert!(executions.iter().all(|it| it.get("input").is_some() || it["inputDetails"]["included"] == false));
    assert_eq!(executions.len(), 61);
}
