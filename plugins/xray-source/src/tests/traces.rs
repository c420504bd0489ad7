//! One trace, from its first event to its verdict.

use super::*;

#[test]
fn an_execution_that_has_ended() {
    let mut collector = Collector::new("{}");
    let told = execution("a", "SUCCEEDED", Some(1));
    put_execution(told.clone());
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    notify(&event(&told));
    let run = collector.run(600);
    assert_eq!(shorts(&run), ["0 partial(a=SUCCEEDED)+1", "59 settled(a=SUCCEEDED)+1"]);
    assert_queue_is_empty();
    let asked = testing::xray::asked(XRAY);
    assert_eq!(asked.len(), 4, "two descriptions and two fetches: {asked:?}");
    let body = &run[1].1;
    assert_eq!(body["executions"][0], told, "as the service said it");
    assert_eq!(
        json!([body["schema"], body["account_id"], body["region"], body["discovered_at"], body["collected_at"]]),
        json!(["rayline.raw/1", ACCOUNT, REGION, "2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z"])
    );
}

#[test]
fn an_event_has_labels_and_attributes_as_others_have_them() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", None));
    notify(&arn("a"));
    let [seen] = &collector.read()[..] else { panic!("one event") };
    let labels: Vec<String> = seen.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels.join(" "), "kind=raw account=111122223333 region=eu-west-1");
    assert_eq!((seen.time, seen.id.as_str()), (BEGIN as u64 * SECOND, ""));
    assert_eq!(seen.attrs, r#"{"received_at":"2026-01-01T00:00:00Z","sender_account":"111122223333"}"#);
}

#[test]
fn from_running_to_settled_with_late_segments() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "RUNNING", Some(1)));
    notify(&event(&execution("a", "RUNNING", Some(1))));
    assert_eq!(shorts(&collector.run(14)), ["0 partial(a=RUNNING)"], "the trace is late");
    put_trace(trace(1, &[segment("a", "1", None)]));
    advance(1);
    assert_eq!(shorts(&collector.run(5)), ["0 partial(a=RUNNING)+1"]);
    // Ended: the event comes while the next fetch is soon.
    let mut ended = execution("a", "FAILED", Some(1));
    ended["stopDate"] = (BEGIN + 30.0).into();
    put_execution(ended.clone());
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN + 30.0))]));
    notify(&event(&ended));
    assert_eq!(shorts(&collector.run(56)), ["55 partial(a=FAILED)+1"]);
    let lambda = json!({ "id": "2", "parent_id": "1", "name": "f", "start_time": BEGIN, "end_time": BEGIN + 1.0 });
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN + 30.0)), lambda]));
    let late = collector.run(900);
    let late = shorts(&late);
    let [more, last] = &late[..] else { panic!("{late:?}") };
    assert!(more.ends_with(" partial(a=FAILED)+2") && last.ends_with(" settled(a=FAILED)+2"), "{late:?}");
    assert_queue_is_empty();
}

#[test]
fn clipped_leaves_are_not_waited_for() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    let mut clipped = segment("a", "1", Some(BEGIN - 1.0));
    clipped["subsegments"] = json!([{ "id": "2", "name": "Map", "start_time": BEGIN - 9.0, "in_progress": true }]);
    put_trace(trace(1, &[clipped]));
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(100)), ["0 partial(a=SUCCEEDED)+1", "59 settled(a=SUCCEEDED)+1"]);
    assert_queue_is_empty();
}

#[test]
fn a_full_trace_is_the_last_word_also_where_it_is_in_progress() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    let mut full = trace(1, &[segment("a", "1", None)]);
    full["LimitExceeded"] = true.into();
    put_trace(full);
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(100)), ["0 partial(a=SUCCEEDED)+1", "15 limit_exceeded(a=SUCCEEDED)+1"]);
    assert_queue_is_empty();
}

#[test]
fn unsampled_is_not_retried() {
    let mut collector = Collector::new("{}");
    let mut unsampled = execution("a", "SUCCEEDED", None);
    unsampled["traceHeader"] = format!("Root={};Sampled=0", trace_id(1)).into();
    put_execution(unsampled);
    put_execution(execution("b", "TIMED_OUT", None));
    notify(&arn("a"));
    notify(&arn("b"));
    assert_eq!(shorts(&collector.run(0)), ["0 unsampled(a=SUCCEEDED)", "0 unsampled(b=TIMED_OUT)"]);
    let asked = testing::xray::asked(XRAY);
    assert!(asked.iter().all(|it| it.starts_with("describe ")) && asked.len() == 2, "{asked:?}");
    assert_queue_is_empty();
}

#[test]
fn an_unsampled_execution_is_followed_to_its_end() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "RUNNING", None));
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(20)), ["0 partial(a=RUNNING)"], "unchanged, nothing goes out");
    put_execution(execution("a", "ABORTED", None));
    assert_eq!(shorts(&collector.run(100)), ["55 unsampled(a=ABORTED)"]);
    assert_queue_is_empty();
}

#[test]
fn what_never_comes_has_a_verdict() {
    let mut collector = Collector::new(r#"{"give_up_after":"10m"}"#);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    notify(&arn("a"));
    notify(&arn("unheard-of"));
    notify(&trace_id(7));
    let mut run = shorts(&collector.run(700));
    run.sort();
    let last = ["600 not_found()", "600 not_found(a=SUCCEEDED)", "600 not_found(unheard-of=?)"];
    assert_eq!(run, [&["0 partial(a=SUCCEEDED)"], &last[..]].concat());
    assert_queue_is_empty();
}

#[test]
fn what_stays_in_progress_ends_at_the_cap() {
    let mut collector = Collector::new(r#"{"give_up_after":"1h"}"#);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN)), json!({ "id": "2", "parent_id": "1", "start_time": BEGIN })]));
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(4000)), ["0 partial(a=SUCCEEDED)+2", "3600 partial(a=SUCCEEDED)+2"]);
    assert_queue_is_empty();
    let fetches = testing::xray::asked(XRAY).iter().filter(|it| it.starts_with("trace ")).count();
    assert_eq!(fetches, 6, "at 0, 15, 75, 375, 2175 and 3600 seconds");
}

#[test]
fn only_the_last() {
    let mut collector = Collector::new(r#"{"hand_over":"final"}"#);
    put_execution(execution("a", "RUNNING", Some(1)));
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(100)), [""; 0]);
    put_execution(execution("a", "SUCCEEDED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    assert_eq!(shorts(&collector.run(1000)).len(), 1);
    assert_queue_is_empty();
}

#[test]
fn a_redrive_is_another_state() {
    let mut collector = Collector::new("{}");
    let mut failed = execution("a", "FAILED", None);
    failed["stopDate"] = (BEGIN - 5.0).into();
    put_execution(failed.clone());
    notify(&event(&failed));
    assert_eq!(shorts(&collector.run(5)), ["0 unsampled(a=FAILED)"]);
    notify(&event(&failed));
    assert_eq!(shorts(&collector.run(5)), [""; 0], "that is known");
    let mut redriven = execution("a", "RUNNING", None);
    redriven["redriveCount"] = 1.into();
    put_execution(redriven.clone());
    notify(&event(&redriven));
    assert_eq!(shorts(&collector.run(5)), ["0 partial(a=RUNNING)"]);
    let mut ended = execution("a", "SUCCEEDED", None);
    (ended["redriveCount"], ended["stopDate"]) = (1.into(), (BEGIN + 20.0).into());
    put_execution(ended.clone());
    notify(&event(&ended));
    let run = collector.run(100);
    assert_eq!(shorts(&run), ["10 unsampled(a=SUCCEEDED)"], "with the fetch that is due soon");
    assert_eq!(run[0].1["executions"][0]["redriveCount"], 1);
    assert_queue_is_empty();
}

#[test]
fn a_redrive_while_its_trace_is_throttled_is_seen() {
    let mut collector = Collector::new("{}");
    put_execution(execution("a", "FAILED", Some(1)));
    put_trace(trace(1, &[segment("a", "1", Some(BEGIN - 1.0))]));
    (0..3).for_each(|_| testing::xray::fail(XRAY, "trace ", throttled()));
    notify(&arn("a"));
    assert_eq!(shorts(&collector.run(2)), [""; 0]);
    let mut redriven = execution("a", "RUNNING", Some(1));
    redriven["redriveCount"] = 1.into();
    put_execution(redriven.clone());
    notify(&event(&redriven));
    assert_eq!(shorts(&collector.run(10)), ["5 partial(a=RUNNING)+1"]);
}

#[test]
fn a_message_that_is_not_due_goes_back() {
    let mut collector = Collector::new("{}");
    let pending = Pending { due_at: (BEGIN as u64 + 1000) * SECOND, ..Pending::default() };
    let pending =
        Pending { executions: vec![arn("a")], ..pending }.at(arn::ExecutionArn::parse(&arn("a")).map(|it| it.place()));
    put_execution(execution("a", "SUCCEEDED", None));
    notify(&pending.to_json());
    assert_eq!(collector.collect(), [""; 0]);
    let [(attrs, body)] = &testing::queue::delayed(EVENTS)[..] else { panic!("one message") };
    assert_eq!((attrs.as_str(), body.as_slice()), (r#"{"delay_secs":900}"#, pending.to_json().as_bytes()));
    assert_eq!(shorts(&collector.run(1100)), ["1000 unsampled(a=SUCCEEDED)"]);
    assert_queue_is_empty();
}
