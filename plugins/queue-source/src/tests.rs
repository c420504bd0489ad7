use rayline_sdk::testing::{self, OpenSource, Read, Seen};

use super::*;

const OLDER: &str = r#"{"account":"111122223333","region":"eu-west-1","trace":{}}"#;
const NEWER: &str = r#"{"schema":"rayline.raw/1","account_id":"111122223333","region":"eu-west-1","collected_at":"2025-01-01T12:00:00Z"}"#;

fn source(options: &str) -> OpenSource<QueueSource> {
    testing::queue::grant(QUEUE);
    testing::open_source(options, None).unwrap()
}

fn read(source: &mut OpenSource<QueueSource>, max_bytes: u32) -> Vec<Seen> {
    match source.read(max_bytes).unwrap() {
        Read::Events { events, .. } => events,
        other => panic!("no events: {other:?}"),
    }
}

fn settled(tickets: &[u64], outcome: Outcome) -> Vec<Settlement> {
    tickets.iter().map(|&ticket| Settlement { ticket, outcome }).collect()
}

#[test]
fn messages_become_events() {
    let packed = |payload: &str| {
        let large = format!("{payload}{}", " ".repeat(transport::PLAIN_BYTES));
        transport::pack(large.as_bytes()).into_owned()
    };
    let sent = r#"{"message_id":"m","sent_at":"2025-01-02T00:00:00Z","receive_count":2,"sender_id":"s","x":1}"#;
    let own = r#"{"sent_at":"2025-01-02T00:00:00Z","attributes":{"account":"9","other":"x"}}"#;
    let (noon, midnight) = (1_735_732_800_000_000_000, 1_735_776_000_000_000_000);
    for (attrs, body, time, labels) in [
        (sent, OLDER.as_bytes().to_vec(), midnight, "kind=raw account=111122223333 region=eu-west-1"),
        (own, OLDER.as_bytes().to_vec(), midnight, "kind=raw account=9 region=eu-west-1"),
        ("{}", packed(NEWER), noon, "kind=raw account=111122223333 region=eu-west-1"),
        ("", b"junk".to_vec(), 0, "kind=raw"),
        (r#"{"sender_account":"7"}"#, OLDER.as_bytes().to_vec(), 0, "kind=raw account=111122223333 region=eu-west-1"),
        (r#"{"sender_account":"7"}"#, b"junk".to_vec(), 0, "kind=raw account=7"),
    ] {
        let mut source = source("{}");
        testing::queue::put(QUEUE, attrs, &body);
        let [event] = &read(&mut source, 1000)[..] else { panic!("one message is one event") };
        assert_eq!((event.time, event.id.as_str()), (time, ""));
        let seen: Vec<String> = event.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(seen.join(" "), labels);
        assert_eq!(event.body.as_bytes(), transport::unpack(&body).as_ref());
    }
}

#[test]
fn attributes_keep_what_the_queue_says() {
    let mut source = source("{}");
    let attrs = r#"{"message_id":"m","sent_at":"2025-01-02T00:00:00Z","receive_count":2,"sender_id":"s","sender_account":"1","unresolved":"why","trace_header":"t","attributes":{"account":"1"}}"#;
    testing::queue::put(QUEUE, attrs, b"{}");
    let events = read(&mut source, 1000);
    assert_eq!(
        events[0].attrs,
        r#"{"message_id":"m","sent_at":"2025-01-02T00:00:00Z","received_at":"2026-01-01T00:00:00Z","receive_count":2,"sender_id":"s","sender_account":"1","unresolved":"why"}"#
    );
}

#[test]
fn done_is_deleted_and_released_comes_again() {
    let mut source = source("{}");
    for body in ["a", "b", "c"] {
        testing::queue::put(QUEUE, "{}", body.as_bytes());
    }
    let tickets: Vec<u64> = read(&mut source, 1000).iter().map(|event| event.origin).collect();
    assert_eq!(testing::queue::held(QUEUE), 3);
    source.settle(&settled(&tickets[..1], Outcome::Done)).unwrap();
    source.settle(&settled(&tickets[1..2], Outcome::Released)).unwrap();
    assert_eq!(testing::queue::held(QUEUE), 1, "the third is still open");
    assert_eq!(testing::queue::take(QUEUE), [(r#"{"receive_count":2}"#.to_owned(), b"b".to_vec())]);
}

#[test]
fn a_message_that_somebody_else_deleted_is_not_kept() {
    let mut source = source("{}");
    testing::queue::put(QUEUE, "{}", b"a");
    let ticket = read(&mut source, 1000)[0].origin;
    queue::delete(QUEUE, &[1]).unwrap();
    source.settle(&settled(&[ticket], Outcome::Done)).unwrap();
    source.settle(&settled(&[ticket], Outcome::Done)).unwrap();
    assert_eq!(testing::log::take().len(), 1, "it is told once and not tried again");
}

#[test]
fn a_reading_holds_about_as_much_as_was_asked_for_once_unpacked() {
    let mut source = source(r#"{"stop_when_empty":true}"#);
    let large = format!("{{\"account\":\"1\"}}{}", " ".repeat(1 << 20));
    for _ in 0..3 {
        testing::queue::put(QUEUE, "{}", &transport::pack(large.as_bytes()));
    }
    for _ in 0..3 {
        assert_eq!(read(&mut source, 100_000).len(), 1);
    }
    assert_eq!(source.read(100_000).unwrap(), Read::Finished);
}

#[test]
fn ends_when_the_queue_is_empty_if_asked_to() {
    testing::queue::put(QUEUE, "{}", b"a");
    let mut other = source("{}");
    let held_by_other = read(&mut other, 1000);

    let mut source = source(r#"{"stop_when_empty":true}"#);
    assert_eq!(source.read(1000).unwrap(), Read::Idle(0), "somebody else may yet give it back");
    other.settle(&settled(&[held_by_other[0].origin], Outcome::Done)).unwrap();
    assert_eq!(source.read(1000).unwrap(), Read::Finished);
    assert_eq!(other.read(1000).unwrap(), Read::Idle(0), "without the option it reads for ever");
}
