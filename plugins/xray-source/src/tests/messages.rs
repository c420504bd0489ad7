//! What comes on the event queue.

use super::*;

fn reason(seen: &Seen) -> String {
    let attrs: Value = serde_json::from_str(&seen.attrs).unwrap();
    attrs["unresolved"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_is_not_understood_goes_on_as_it_came() {
    let foreign = "arn:aws:states:eu-west-1:999999999999:execution:Order:a";
    for (body, part) in [
        ("junk", "neither an execution nor a trace"),
        ("{\"a\":\"b\"}", "neither an execution nor a trace"),
        ("arn:aws:states:eu-west-1:111122223333:express:Order:a:uuid", "EXPRESS"),
        (foreign, "999999999999 in region eu-west-1"),
        ("arn:aws:states:us-east-1:111122223333:execution:Order:a", "us-east-1"),
        (r#"{"schema":"rayline.pending/9"}"#, "another version"),
    ] {
        let mut collector = Collector::new("{}");
        notify(body);
        let seen = collector.read();
        let [event] = &seen[..] else { panic!("{body}: {seen:?}") };
        assert_eq!(event.body, body);
        assert!(reason(event).contains(part), "{}", event.attrs);
        assert_eq!(testing::queue::held(EVENTS), 1, "kept until it is safe");
        collector.settle(&seen, Outcome::Done);
        assert_queue_is_empty();
    }
}

#[test]
fn several_things_in_one_message_go_their_own_ways() {
    let mut collector = Collector::new("{}");
    for name in ["a", "b"] {
        put_execution(execution(name, "SUCCEEDED", None));
    }
    put_trace(trace(3, &[json!({ "id": "1", "start_time": BEGIN, "end_time": BEGIN })]));
    notify(&json!({ "many": [arn("a"), arn("b")], "trace": trace_id(3) }).to_string());
    let mut run = shorts(&collector.run(0));
    run.sort();
    assert_eq!(run, ["0 partial()+1", "0 unsampled(a=SUCCEEDED)", "0 unsampled(b=SUCCEEDED)"]);
}

#[test]
fn a_trace_header_alone() {
    let mut collector = Collector::new("{}");
    put_trace(trace(1, &[json!({ "id": "1", "name": "f", "start_time": BEGIN - 2.0, "end_time": BEGIN - 1.0 })]));
    notify(&format!("Root={};Parent=53995c3f42cd8ad8;Sampled=1", trace_id(1)));
    notify(&format!("Root={};Sampled=0", trace_id(2)));
    assert_eq!(shorts(&collector.run(100)), ["0 partial()+1", "0 unsampled()", "59 settled()+1"]);
    assert_queue_is_empty();
}

#[test]
fn a_trace_is_found_in_whichever_account_has_it() {
    let mut collector = Collector::new("{}");
    testing::xray::place(XRAY, "444455556666", REGION);
    let found = trace(1, &[json!({ "id": "1", "start_time": BEGIN - 2.0, "end_time": BEGIN - 1.0 })]);
    testing::xray::put_trace(XRAY, "444455556666", REGION, found.clone());
    notify(&trace_id(1));
    let run = collector.run(0);
    assert_eq!(run[0].1["account_id"], "444455556666");
    // Both have a part of it.
    testing::xray::put_trace(XRAY, "444455556666", REGION, trace(2, &[]));
    put_trace(trace(2, &[]));
    notify(&trace_id(2));
    let accounts: std::collections::BTreeSet<String> = collector
        .run(200)
        .iter()
        .map(|(_, body)| body["account_id"].to_string() + &body["trace"]["Id"].to_string())
        .collect();
    assert_eq!(accounts.len(), 3);
    // None has it.
    let mut collector = Collector::open(r#"{"give_up_after":"1m"}"#, None);
    notify(&trace_id(3));
    advance(60);
    let mut seen = Vec::new();
    for _ in 0..120 {
        seen.extend(collector.read());
        advance(1);
        let tickets: Vec<Seen> = seen.clone();
        collector.settle(&tickets, Outcome::Done);
    }
    assert_eq!(seen.len(), 1);
    assert!(reason(&seen[0]).contains("no account"), "{}", seen[0].attrs);
    assert_queue_is_empty();
}

#[test]
fn an_event_stands_for_an_execution_that_is_gone() {
    let mut collector = Collector::new("{}");
    notify(&event(&execution("a", "FAILED", None)));
    let run = collector.run(2200);
    assert_eq!(shorts(&run), ["0 partial(a=FAILED)", "2175 not_found(a=FAILED)"]);
    for (_, body) in run {
        assert_eq!(body["executions"][0]["startDate"], (BEGIN as u64 - 10) * 1000);
        assert_eq!(body.get("collected_at"), None, "no service answered");
    }
    assert_queue_is_empty();
}

#[test]
fn an_event_can_be_quicker_than_the_service() {
    let mut collector = Collector::new("{}");
    notify(&event(&execution("a", "FAILED", None)));
    assert_eq!(shorts(&collector.run(10)), ["0 partial(a=FAILED)"]);
    put_execution(execution("a", "FAILED", None));
    assert_eq!(shorts(&collector.run(10)), ["5 unsampled(a=FAILED)"]);
    assert_queue_is_empty();
}

/// What cannot be asked goes out as far as it is known, and for the last time when it is given up.
#[test]
fn what_is_never_answered_has_a_verdict() {
    let refused = CapabilityError::Temporary { reason: "no right".into(), after: Some(Duration::from_secs(60)) };
    for (about, error, expected) in [
        ("trace ", throttled(), ["60 partial(a=FAILED)", "660 not_found(a=FAILED)"]),
        ("trace ", refused.clone(), ["0 partial(a=FAILED)", "600 not_found(a=FAILED)"]),
        ("describe ", throttled(), ["60 partial(a=FAILED)", "660 not_found(a=FAILED)"]),
        ("describe ", refused, ["0 partial(a=FAILED)", "600 not_found(a=FAILED)"]),
    ] {
        alone(|| {
            let mut collector = Collector::new(r#"{"give_up_after":"10m"}"#);
            put_execution(execution("a", "FAILED", Some(1)));
            put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
            keep_failing(about, &error);
            notify(&event(&execution("a", "FAILED", Some(1))));
            assert_eq!(shorts(&collector.run(700)), expected, "{about}{error:?}");
            assert_queue_is_empty();
        });
    }
}

/// The host goes on with it: neither a try, nor paid for, nor in the way of others.
#[test]
fn what_is_under_way_is_no_failure() {
    let mut collector = Collector::new(r#"{"max_traces_per_day":2,"sweep":{"start":"1h"}}"#);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    notify(&arn("a"));
    for about in ["machines ", "list ", "describe ", "trace "] {
        (0..10).for_each(|_| testing::xray::fail(XRAY, about, under_way()));
    }
    let run = collector.run(150);
    let bodies: Vec<String> = run.iter().map(|(_, body)| short(body)).collect();
    assert_eq!(bodies, ["partial(a=SUCCEEDED)+1", "settled(a=SUCCEEDED)+1"]);
    assert!(collector.checkpoint.is_some_and(|text| text.contains("111122223333/eu-west-1")));
    assert_eq!(testing::log::take(), []);
    assert_queue_is_empty();
}

/// Nobody describes it: each event tells what nothing else does.
#[test]
fn of_events_of_an_execution_that_is_refused_the_latest_counts() {
    let [running, ended] = ["RUNNING", "SUCCEEDED"].map(|status| event(&execution("a", status, Some(1))));
    for (messages, secs) in [([&running, &ended], 0), ([&ended, &running], 0), ([&running, &ended], 5)] {
        alone(|| {
            let mut collector = Collector::new("{}");
            keep_failing(&arn("a"), &CapabilityError::Permanent("not allowed".into()));
            let mut run = Vec::new();
            for message in messages {
                notify(message);
                if secs > 0 {
                    run.extend(collector.run(secs));
                }
            }
            run.extend(collector.run(8 * 86_400 / 60));
            for _ in 0..8 * 24 * 4 {
                advance(900);
                run.extend(collector.collect().into_iter().map(|body| (0, body)));
            }
            let shown = shorts(&run);
            assert!(shown.iter().any(|it| it.ends_with("not_found(a=SUCCEEDED)")), "{shown:?}");
            assert_queue_is_empty();
        });
    }
}

#[test]
fn headers_that_are_not_sampled_go_out_too() {
    let header = |n| format!("Root={};Sampled=0", trace_id(n));
    let mut collector = Collector::new("{}");
    notify(&json!([header(1), header(2)]).to_string());
    assert_eq!(shorts(&collector.run(1)), ["0 unsampled()"], "of both nothing is known");
    put_execution(execution("a", "SUCCEEDED", None));
    notify(&json!([header(1), arn("a")]).to_string());
    assert_eq!(shorts(&collector.run(1)), ["0 unsampled(a=SUCCEEDED)"], "the execution says so itself");
    testing::xray::place(XRAY, "444455556666", REGION);
    let mut collector = Collector::open("{}", None);
    notify(&header(1));
    let seen = collector.read();
    assert!(reason(&seen[0]).contains("not sampled"), "{}", seen[0].attrs);
    collector.settle(&seen, Outcome::Done);
    assert_queue_is_empty();
}

#[test]
fn what_is_refused_is_asked_again() {
    let mut collector = Collector::new("{}");
    let denied = || CapabilityError::Permanent("access denied".into());
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    testing::xray::fail(XRAY, "describe ", denied());
    testing::xray::fail(XRAY, "trace ", denied());
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(14)), [""; 0], "nothing is known yet");
    advance(1);
    assert_eq!(shorts(&collector.run(59)), ["0 partial(a=SUCCEEDED)"]);
    advance(1);
    let rest = shorts(&collector.run(60));
    assert_eq!(rest, ["0 partial(a=SUCCEEDED)+1", "15 settled(a=SUCCEEDED)+1"]);
    let errors = testing::log::take().into_iter().filter(|(_, line)| line.contains("access denied")).count();
    assert_eq!(errors, 2);
    assert_queue_is_empty();
}

#[test]
fn what_is_throttled_is_kept_for_a_while_and_then_put_back() {
    let mut collector = Collector::new("{}");
    let busy = || CapabilityError::Temporary { reason: "throttled".into(), after: None };
    put_execution(execution("a", "SUCCEEDED", None));
    put_execution(execution("b", "SUCCEEDED", None));
    for _ in 0..2 {
        testing::xray::fail(XRAY, &arn("a"), busy());
    }
    for _ in 0..7 {
        testing::xray::fail(XRAY, &arn("b"), busy());
    }
    notify(&arn("a"));
    notify(&arn("b"));
    assert_eq!(shorts(&collector.run(61)), ["3 unsampled(a=SUCCEEDED)"]);
    assert_eq!((testing::queue::held(EVENTS), testing::queue::delayed(EVENTS).len()), (0, 1));
    assert_eq!(shorts(&collector.run(100)).len(), 1);
    assert_queue_is_empty();
}

#[test]
fn an_account_whose_credentials_do_not_work_delays_only_its_own() {
    let mut collector = Collector::new("{}");
    testing::xray::broken_place(XRAY, CapabilityError::Temporary { reason: "expired".into(), after: None });
    let other = "arn:aws:states:eu-west-1:444455556666:execution:Order:b";
    put_execution(execution("a", "SUCCEEDED", None));
    testing::xray::put_execution(XRAY, json!({ "executionArn": other, "status": "FAILED" }));
    notify(other);
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(59)), ["0 unsampled(a=SUCCEEDED)"]);
    testing::xray::place(XRAY, "444455556666", REGION);
    assert_eq!(shorts(&collector.run(100)).len(), 1);
    assert_queue_is_empty();
}

/// A call that fails as a whole loses nothing that was taken before.
#[test]
fn a_call_that_fails_is_made_again() {
    let mut collector = Collector::new(r#"{"sweep":{"start":"1h"}}"#);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_execution(execution("b", "SUCCEEDED", Some(2)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    notify(&arn("a"));
    let mut failures = 0;
    let mut bodies = Vec::new();
    // Every other call of each kind fails.
    testing::xray::fail_calls(XRAY, 12);
    for _ in 0..200 {
        match collector.source.read(1 << 20) {
            Ok(Read::Events { events, .. }) => {
                collector.settle(&events, Outcome::Done);
                bodies.extend(events.into_iter().map(|it| serde_json::from_str::<Value>(&it.body).unwrap()));
            }
            Ok(_) => advance(1),
            Err(Failure::Retry { .. }) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    let mut names: Vec<String> = bodies.iter().map(short).collect();
    names.sort();
    assert!(failures > 0);
    assert_eq!(names, ["partial(a=SUCCEEDED)+1", "partial(b=SUCCEEDED)", "settled(a=SUCCEEDED)+1"]);
    assert_eq!(testing::queue::held(EVENTS), 0);
}

#[test]
fn ends_when_all_is_collected() {
    let options = json!({ "arns": [arn("a")], "stop_when_empty": true }).to_string();
    let mut collector = Collector::new(&options);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    let mut ends = None;
    let mut out = Vec::new();
    for second in 0..200 {
        match collector.source.read(1 << 20).unwrap() {
            Read::Finished => {
                ends = Some(second);
                break;
            }
            Read::Events { events, .. } => {
                collector.settle(&events, Outcome::Done);
                out.extend(events);
            }
            Read::Idle(_) => advance(1),
        }
    }
    assert_eq!(out.len(), 2);
    assert!(ends.is_some_and(|end| end < 100), "{ends:?}");
    assert_queue_is_empty();
}

#[test]
fn an_account_that_cannot_be_used_is_not_collected() {
    let mut collector = Collector::new(r#"{"sweep":{},"stop_when_empty":true}"#);
    testing::xray::broken_place(XRAY, CapabilityError::Temporary { reason: "expired".into(), after: None });
    for _ in 0..100 {
        assert!(!matches!(collector.source.read(1 << 20), Ok(Read::Finished)));
        advance(10);
    }
}

#[test]
fn arns_are_put_on_the_queue_once() {
    let options = json!({ "arns": [arn("a")] }).to_string();
    let mut first = Collector::new(&options);
    put_execution(execution("a", "SUCCEEDED", None));
    assert_eq!(first.collect().len(), 1);
    let checkpoint = first.checkpoint.clone();
    assert!(checkpoint.is_some());
    let mut second = Collector::open(&options, checkpoint.as_deref());
    assert_eq!(second.collect().len(), 0);
    let mut third = Collector::open(&json!({ "arns": [arn("a"), arn("b")] }).to_string(), checkpoint.as_deref());
    assert_eq!(third.collect().len(), 1, "another list");
}
