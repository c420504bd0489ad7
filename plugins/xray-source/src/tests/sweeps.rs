//! Looking for executions.

use super::*;

fn ended(name: &str, status: &str, stop: f64) -> Value {
    let mut told = execution(name, status, None);
    told["stopDate"] = stop.into();
    told
}

fn names(bodies: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = bodies.iter().map(short).collect();
    names.sort();
    names
}

#[test]
fn finds_every_execution_since_the_start_over_many_pages() {
    let mut collector = Collector::new(r#"{"sweep":{"start":"1h"}}"#);
    for n in 0..35 {
        put_execution(ended(&format!("s{n:02}"), "SUCCEEDED", BEGIN - 60.0 * f64::from(n)));
    }
    put_execution(ended("old", "FAILED", BEGIN - 4000.0));
    put_execution(ended("failed", "FAILED", BEGIN - 10.0));
    put_execution(execution("running", "RUNNING", None));
    let mut bodies = Vec::new();
    for _ in 0..20 {
        bodies.extend(collector.collect());
    }
    assert_eq!(bodies.len(), 37);
    assert!(!names(&bodies).iter().any(|name| name.contains("old")));
    assert!(collector.checkpoint.as_deref().is_some_and(|text| text.contains("111122223333/eu-west-1")));
}

#[test]
fn a_page_that_reaches_back_far_enough_is_the_last() {
    let mut collector = Collector::new(r#"{"sweep":{"start":"10m"}}"#);
    for n in 0..100 {
        put_execution(ended(&format!("s{n:02}"), "SUCCEEDED", BEGIN - 60.0 * f64::from(n)));
    }
    for _ in 0..20 {
        collector.collect();
    }
    let asked = testing::xray::asked(XRAY);
    let pages = asked.iter().filter(|it| it.starts_with("list SUCCEEDED")).count();
    assert_eq!(pages, 2, "eleven of them are new, a page has ten");
}

#[test]
fn what_was_found_is_not_found_again_and_what_is_new_is() {
    let mut collector = Collector::new(r#"{"sweep":{"every_secs":300}}"#);
    put_execution(ended("a", "SUCCEEDED", BEGIN - 10.0));
    assert_eq!(shorts(&collector.run(20)).len(), 1);
    put_execution(ended("b", "SUCCEEDED", BEGIN + 100.0));
    let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:New";
    let mut new = ended("c", "ABORTED", BEGIN + 100.0);
    new["stateMachineArn"] = machine.into();
    put_execution(new);
    let run = collector.run(1000);
    assert_eq!(
        names(&run.into_iter().map(|(_, body)| body).collect::<Vec<_>>()),
        ["unsampled(b=SUCCEEDED)", "unsampled(c=ABORTED)"]
    );
}

#[test]
fn what_events_brought_is_not_collected_twice() {
    let mut collector = Collector::new(r#"{"sweep":{}}"#);
    let told = ended("a", "SUCCEEDED", BEGIN - 10.0);
    put_execution(told.clone());
    assert_eq!(collector.run(10).len(), 1);
    let later = ended("b", "SUCCEEDED", BEGIN + 10.0);
    put_execution(later.clone());
    advance(5);
    notify(&event(&later));
    assert_eq!(collector.run(1000).len(), 1);
}

#[test]
fn what_was_missed_while_away_is_found_by_the_watermark() {
    let mut first = Collector::new(r#"{"sweep":{"start":"1h"}}"#);
    put_execution(ended("a", "SUCCEEDED", BEGIN - 10.0));
    first.run(10);
    let checkpoint = first.checkpoint.clone();
    drop(first);
    put_execution(ended("late", "SUCCEEDED", BEGIN - 500.0));
    advance(86_400);
    put_execution(ended("missed", "FAILED", BEGIN + 1000.0));
    let mut second = Collector::open(r#"{"sweep":{"start":"1h"}}"#, checkpoint.as_deref());
    let bodies: Vec<Value> = second.run(10).into_iter().map(|(_, body)| body).collect();
    assert_eq!(names(&bodies), ["unsampled(a=SUCCEEDED)", "unsampled(late=SUCCEEDED)", "unsampled(missed=FAILED)"]);
    assert_queue_is_empty();
}

#[test]
fn express_executions_and_filters_by_their_traces() {
    let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:Quick";
    testing::xray::put_state_machine(XRAY, machine, "EXPRESS");
    let mut collector =
        Collector::new(r#"{"sweep":{"express":true,"filters":["service(\"checkout\")"]},"quiet_secs":0}"#);
    let root = |name: &str| json!({ "id": "1", "name": name, "start_time": BEGIN - 5.0, "end_time": BEGIN - 4.0 });
    put_trace(trace(1, &[root("Quick")]));
    put_trace(trace(2, &[root("Other")]));
    advance(10);
    let run = collector.run(100);
    // The double knows only names: the filter finds both.
    let ids: std::collections::BTreeSet<String> = run.iter().map(|(_, body)| body["trace"]["Id"].to_string()).collect();
    assert_eq!(ids.len(), 2);
    let asked = testing::xray::asked(XRAY);
    let filter = r#"service(id(name: "Quick", type: "AWS::StepFunctions::StateMachine"))"#;
    assert!(asked.iter().any(|it| it.ends_with(filter)), "{asked:?}");
    assert!(asked.iter().any(|it| it.ends_with("service(\"checkout\")")));
    assert!(!asked.iter().any(|it| it.starts_with("list ")), "EXPRESS ones cannot be listed");
    assert_queue_is_empty();
}

#[test]
fn one_account_that_fails_delays_only_itself() {
    let mut collector = Collector::new(r#"{"sweep":{"start":"1h"}}"#);
    testing::xray::place(XRAY, "444455556666", REGION);
    put_execution(ended("a", "SUCCEEDED", BEGIN - 10.0));
    let other = "arn:aws:states:eu-west-1:444455556666:execution:Order:b";
    let machine = "arn:aws:states:eu-west-1:444455556666:stateMachine:Order";
    let told =
        json!({ "executionArn": other, "stateMachineArn": machine, "status": "FAILED", "stopDate": BEGIN - 10.0 });
    testing::xray::put_execution(XRAY, told);
    testing::xray::fail(XRAY, "machines 444455556666", CapabilityError::Permanent("access denied".into()));
    assert_eq!(shorts(&collector.run(20)), ["0 unsampled(a=SUCCEEDED)"]);
    let checkpoint = collector.checkpoint.clone().unwrap();
    assert!(checkpoint.contains("111122223333/") && !checkpoint.contains("444455556666/"), "{checkpoint}");
    assert!(testing::log::take().iter().any(|(_, line)| line.contains("access denied")));
    assert_eq!(shorts(&collector.run(400)).len(), 1);
    assert!(collector.checkpoint.unwrap().contains("444455556666/"));
}

#[test]
fn the_watermark_waits_until_all_is_on_the_queue() {
    let mut collector = Collector::new(r#"{"sweep":{}}"#);
    put_execution(ended("a", "SUCCEEDED", BEGIN - 10.0));
    while collector.checkpoint.is_none() {
        let seen = match collector.source.read(1 << 20).unwrap() {
            Read::Events { events, checkpoint, .. } => {
                collector.checkpoint = checkpoint;
                events
            }
            _ => Vec::new(),
        };
        // What was found is on the queue or handed out when the checkpoint comes.
        if collector.checkpoint.is_some() {
            let there = testing::queue::held(EVENTS) + testing::queue::take(EVENTS).len();
            assert!(there >= 1 || !seen.is_empty());
        }
    }
}

#[test]
fn many_lists_that_are_throttled_together_are_one_failure() {
    let mut collector = Collector::new(r#"{"sweep":{"start":"1h"}}"#);
    for n in 0..20 {
        let mut told = ended(&format!("a{n}"), "SUCCEEDED", BEGIN - 10.0);
        told["stateMachineArn"] = format!("{MACHINE}{n}").into();
        put_execution(told);
    }
    (0..20).for_each(|_| testing::xray::fail(XRAY, "list ", throttled()));
    let mut bodies = Vec::new();
    for _ in 0..60 {
        bodies.extend(collector.collect());
        advance(1);
    }
    assert_eq!(bodies.len(), 20);
    assert!(collector.checkpoint.is_some_and(|text| text.contains("111122223333/")));
}

#[test]
fn a_filter_that_is_wrong_or_cannot_be_asked_keeps_back_no_list() {
    let cases: [(CapabilityError, bool); 2] =
        [(CapabilityError::Permanent("no such keyword".into()), true), (throttled(), false)];
    for (error, is_swept) in cases {
        alone(|| {
            let mut collector = Collector::new(r#"{"sweep":{"filters":["chicken"]}}"#);
            put_execution(ended("a", "SUCCEEDED", BEGIN - 10.0));
            keep_failing("chicken", &error);
            assert_eq!(shorts(&collector.run(200)), ["0 unsampled(a=SUCCEEDED)"]);
            let checkpoint = collector.checkpoint.clone().unwrap();
            assert!(checkpoint.contains(r#""111122223333/eu-west-1":"#), "{checkpoint}");
            assert_eq!(checkpoint.contains("/traces"), is_swept, "{error:?}: {checkpoint}");
            let told = testing::log::take().into_iter().filter(|(_, line)| line.contains("chicken")).count();
            assert_eq!(told, usize::from(is_swept));
        });
    }
}

/// Without memory, and without end: what runs was found by the sweep before.
#[test]
fn what_runs_is_found_once_and_again_when_it_was_given_up() {
    let options = r#"{"sweep":{"every_secs":1800},"give_up_after":"1d"}"#;
    let mut first = Collector::new(options);
    put_execution(execution("a", "RUNNING", None));
    assert_eq!(shorts(&first.run(5)), ["0 partial(a=RUNNING)"]);
    advance(3600);
    first.run(5);
    let checkpoint = first.checkpoint.clone();
    drop(first);
    // Its pending work is elsewhere.
    advance(7200);
    testing::queue::crash(EVENTS);
    testing::queue::take(EVENTS);
    let mut second = Collector::open(options, checkpoint.as_deref());
    assert_eq!(shorts(&second.run(5)), [""; 0]);
    assert_queue_is_empty();
    let mut found = 0;
    for _ in 0..48 {
        advance(3600);
        found += second.collect().len();
    }
    assert!((1..=4).contains(&found), "{found}");
}
