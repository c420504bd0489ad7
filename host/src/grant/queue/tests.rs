//! What a queue promises, whoever uses its file.

use std::future::pending;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Backlog, Messages, Outgoing, OutgoingMessage, Queue, QueueError};
use crate::pipeline::{FileQueueGrant, QueueGrant};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

async fn open_with(folder: &TempDir, visibility: Duration, max_hold: Duration) -> Queue {
    let path = folder.path().join("inbox.queue");
    Queue::open(&QueueGrant::File(FileQueueGrant { path, visibility, max_hold })).await.unwrap()
}

async fn open(folder: &TempDir) -> Queue {
    open_with(folder, Duration::from_secs(30), Duration::from_secs(43_200)).await
}

fn outgoing(messages: &[(&str, &str)]) -> Outgoing {
    let mut outgoing = Outgoing { entries: Vec::new(), attrs: String::new(), bodies: Vec::new() };
    for (attrs, body) in messages {
        outgoing.attrs.push_str(attrs);
        outgoing.bodies.extend_from_slice(body.as_bytes());
        outgoing
            .entries
            .push(OutgoingMessage { attr_end: outgoing.attrs.len() as u32, body_end: outgoing.bodies.len() as u32 });
    }
    outgoing
}

async fn send(queue: &Queue, bodies: &[&str]) {
    let messages: Vec<(&str, &str)> = bodies.iter().map(|body| ("", *body)).collect();
    assert!(queue.send(outgoing(&messages)).await.unwrap().is_empty());
}

async fn receive(queue: &Queue, max_messages: u32, wait: Duration) -> Messages {
    queue.receive(max_messages, u32::MAX, wait, pending()).await.unwrap()
}

fn bodies(messages: &Messages) -> Vec<&str> {
    let mut from = 0;
    let cut = |end: u32| {
        let body = &messages.bodies[from..end as usize];
        from = end as usize;
        std::str::from_utf8(body).unwrap()
    };
    messages.entries.iter().map(|message| message.body_end).map(cut).collect()
}

fn attrs(messages: &Messages) -> Vec<Value> {
    serde_json::Deserializer::from_str(&messages.attrs).into_iter().map(Result::unwrap).collect()
}

fn handles(messages: &Messages) -> Vec<u64> {
    messages.entries.iter().map(|message| message.handle).collect()
}

async fn depth(queue: &Queue) -> (u64, u64, u64) {
    let Backlog { visible, invisible, delayed } = queue.depth().await.unwrap();
    (visible, invisible, delayed)
}

#[tokio::test]
async fn messages_outlive_the_process_until_they_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    send(&queue, &["one", "two", "three"]).await;
    drop(queue);

    let queue = open(&folder).await;
    let received = receive(&queue, 10, NOW).await;
    assert_eq!(bodies(&received), ["one", "two", "three"]);
    queue.delete(handles(&received)[..2].to_vec()).await.unwrap();
    assert_eq!(depth(&queue).await, (0, 1, 0));
    drop(queue);

    let queue = open(&folder).await;
    let received = receive(&queue, 10, LONG).await;
    assert_eq!(bodies(&received), ["three"]);
    queue.delete(handles(&received)).await.unwrap();
    assert_eq!(depth(&queue).await, (0, 0, 0));
}

#[tokio::test]
async fn a_received_message_is_invisible_to_others_until_it_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder).await, open(&folder).await);
    send(&one, &["a"]).await;
    let received = receive(&one, 10, NOW).await;
    assert_eq!(receive(&other, 10, NOW).await.entries.len(), 0);
    assert_eq!(depth(&other).await, (0, 1, 0));
    one.release(handles(&received)).await.unwrap();
    let again = receive(&other, 10, NOW).await;
    assert_eq!(bodies(&again), ["a"]);
    assert_eq!(attrs(&again)[0]["receive_count"], 2);
    assert_eq!(attrs(&again)[0]["message_id"], attrs(&received)[0]["message_id"]);
}

#[tokio::test]
async fn what_a_living_holder_has_stays_invisible_beyond_the_visibility_timeout() {
    let folder = tempfile::tempdir().unwrap();
    // With less, a holder that the machine leaves no time is taken for dead.
    let visibility = Duration::from_secs(3);
    let holder = open_with(&folder, visibility, LONG).await;
    let other = open(&folder).await;
    send(&holder, &["a"]).await;
    assert_eq!(receive(&holder, 1, NOW).await.entries.len(), 1);
    assert_eq!(receive(&other, 1, visibility.mul_f64(1.5)).await.entries.len(), 0);
}

#[tokio::test]
async fn what_a_dead_holder_had_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    // Time for all up to the first look of the other one.
    let visibility = Duration::from_secs(5);
    let other = open(&folder).await;
    // The holder's runtime is never polled again and its thread cannot say goodbye: the file is as a crash leaves it.
    let path = folder.path().join("inbox.queue");
    let grant = FileQueueGrant { path, visibility, max_hold: LONG };
    let crashed = super::file::File::open(&grant).unwrap();
    crashed.begin(true).unwrap();
    assert!(crashed.send(&outgoing(&[("", "a"), ("", "b")])).unwrap().is_empty());
    assert_eq!(crashed.receive(1, u32::MAX, &Default::default()).unwrap().entries.len(), 1);
    crashed.commit().unwrap();

    assert_eq!(bodies(&receive(&other, 10, NOW).await), ["b"]);
    let again = receive(&other, 10, LONG).await;
    assert_eq!(bodies(&again), ["a"]);
    assert_eq!(attrs(&again)[0]["receive_count"], 2);
}

#[tokio::test]
async fn a_message_held_for_too_long_goes_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let holder = open_with(&folder, Duration::from_millis(300), Duration::from_millis(600)).await;
    let other = open(&folder).await;
    send(&holder, &["a"]).await;
    let held = receive(&holder, 1, NOW).await;
    let again = receive(&other, 1, LONG).await;
    assert_eq!(bodies(&again), ["a"]);
    // Releasing it has no effect on the new holder; finishing it has.
    holder.release(handles(&held)).await.unwrap();
    assert_eq!(depth(&holder).await, (0, 1, 0));
    holder.delete(handles(&held)).await.unwrap();
    assert_eq!(depth(&holder).await, (0, 0, 0));
}

#[tokio::test]
async fn a_message_that_its_holder_receives_again_is_not_handed_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let holder = open_with(&folder, Duration::from_millis(300), Duration::from_millis(400)).await;
    send(&holder, &["a"]).await;
    assert_eq!(receive(&holder, 1, NOW).await.entries.len(), 1);
    assert_eq!(receive(&holder, 1, Duration::from_millis(1500)).await.entries.len(), 0);
    // It is visible again and again, until its holder has received it once more.
    for _ in 0..200 {
        if depth(&holder).await == (0, 1, 0) {
            return;
        }
        assert_eq!(receive(&holder, 1, NOW).await.entries.len(), 0);
    }
    panic!("it stays visible");
}

#[tokio::test]
async fn a_delayed_message_comes_when_its_delay_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    let messages = outgoing(&[(r#"{"delay_secs":5}"#, "later"), ("", "now")]);
    assert!(queue.send(messages).await.unwrap().is_empty());
    assert_eq!(depth(&queue).await, (1, 0, 1));
    assert_eq!(bodies(&receive(&queue, 10, NOW).await), ["now"]);
    assert_eq!(bodies(&receive(&queue, 10, LONG).await), ["later"]);
}

#[tokio::test]
async fn attributes_are_kept_and_bad_ones_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    let messages = outgoing(&[
        (r#"{"attributes":{"account":"\"1\""},"group_id":"g"}"#, "good"),
        (r#"{"attributes":{"account":1}}"#, "number"),
        (r#"{"delay_secs":901}"#, "long"),
        ("{", "cut"),
    ]);
    let errors = queue.send(messages).await.unwrap();
    assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [1, 2, 3]);
    let received = receive(&queue, 10, NOW).await;
    assert_eq!(bodies(&received), ["good"]);
    assert_eq!(attrs(&received)[0]["attributes"], serde_json::json!({ "account": "\"1\"" }));
    let sent_at = attrs(&received)[0]["sent_at"].as_str().unwrap().to_owned();
    assert!(sent_at.parse::<jiff::Timestamp>().is_ok(), "{sent_at}");
}

#[tokio::test]
async fn a_layout_that_breaks_the_contract_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    let mut messages = outgoing(&[("", "a"), ("", "b")]);
    messages.entries[0].body_end = 3;
    assert!(matches!(queue.send(messages).await, Err(QueueError::Malformed(_))));
    let mut messages = outgoing(&[("", "a"), ("", "b")]);
    messages.bodies.push(b'c');
    assert!(matches!(queue.send(messages).await, Err(QueueError::Malformed(_))));
    assert_eq!(depth(&queue).await, (0, 0, 0));
}

#[tokio::test]
async fn a_receive_is_bounded_by_messages_and_bytes_but_takes_one_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    send(&queue, &["aaaa", "bb", "cc", "dd"]).await;
    let sizes = [(10, 3, vec!["aaaa"]), (10, 4, vec!["bb", "cc"]), (1, 100, vec!["dd"])];
    for (max_messages, max_bytes, expected) in sizes {
        let received = queue.receive(max_messages, max_bytes, NOW, pending()).await.unwrap();
        assert_eq!(bodies(&received), expected);
    }
}

#[tokio::test]
async fn a_waiting_receive_returns_when_it_is_woken_or_something_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, sender) = (open(&folder).await, open(&folder).await);
    let woken = queue.receive(1, u32::MAX, LONG, std::future::ready(())).await.unwrap();
    assert!(woken.entries.is_empty());
    let (received, ()) = tokio::join!(receive(&queue, 1, LONG), send(&sender, &["a"]));
    assert_eq!(bodies(&received), ["a"]);
}

#[tokio::test]
async fn messages_that_nobody_waits_for_any_more_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&folder).await;
    send(&queue, &["a"]).await;
    // The request is on its way when whoever made it gives up.
    let mut receiving = Box::pin(queue.receive(1, u32::MAX, LONG, pending()));
    assert!(futures::poll!(&mut receiving).is_pending());
    drop(receiving);
    assert_eq!(bodies(&receive(&queue, 1, LONG).await), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_handles_share_the_messages_without_losing_or_doubling_one() {
    const COUNT: usize = 5_000;
    let folder = tempfile::tempdir().unwrap();
    let sender = open(&folder).await;
    let bodies_sent: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    for part in bodies_sent.chunks(1000) {
        send(&sender, &part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let queue = open(&folder).await;
        tasks.push(tokio::spawn(async move {
            let mut all: Vec<usize> = Vec::new();
            loop {
                let received = receive(&queue, 100, Duration::from_millis(50)).await;
                if received.entries.is_empty() {
                    return all;
                }
                all.extend(bodies(&received).iter().map(|body| body.parse::<usize>().unwrap()));
                queue.delete(handles(&received)).await.unwrap();
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
    assert_eq!(depth(&sender).await, (0, 0, 0));
}

#[tokio::test]
async fn another_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inbox.queue"), "[sources.inbox]\nplugin = \"queue-source\"\n".repeat(50))
        .unwrap();
    let grant = FileQueueGrant { path: folder.path().join("inbox.queue"), visibility: LONG, max_hold: LONG };
    let error = Queue::open(&QueueGrant::File(grant)).await.err().unwrap().to_string();
    assert!(error.contains("not a database"), "{error}");
}
