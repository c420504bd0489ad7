//! Several servers, of which some cannot be reached or break off.

use std::time::{Duration, Instant};

use super::super::servers::Servers;
use super::server::nowhere;
use super::*;

const BROKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";

#[tokio::test]
async fn requests_go_round() {
    let (one, two) = (Server::start(|_| Answer::ok("")).await, Server::start(|_| Answer::ok("")).await);
    let client = client(&[&one.url, &two.url]).await;
    for _ in 0..6 {
        client.send(post("/", "")).await.unwrap();
    }
    assert_eq!((one.asked().len(), two.asked().len()), (3, 3));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_passed_over_whatever_the_request() {
    let server = Server::start(|_| Answer::ok("hello")).await;
    let client = client(&[&nowhere().await, &server.url]).await;
    for request in [post("/", "a"), get("/"), post("/", "b")] {
        assert_eq!(text(&client.send(request).await.unwrap()), (200, "hello"));
    }
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_server_that_breaks_off_is_followed_by_another_only_where_that_is_safe() {
    let broken = Server::start(|_| Answer::broken(BROKEN)).await;
    let server = Server::start(|_| Answer::ok("hello")).await;
    for (request, answered) in [(post("/", ""), false), (get("/"), true)] {
        // Each begins with the first server.
        let client = client(&[&broken.url, &server.url]).await;
        assert_eq!(client.send(request).await.is_ok(), answered);
    }
    assert_eq!(
        (broken.lines(), server.lines()),
        (vec!["POST /".to_owned(), "GET /".to_owned()], vec!["GET /".to_owned()])
    );
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_reason_to_ask_another() {
    let refusing = Server::start(|_| Answer::new(503, &[], "busy")).await;
    let other = Server::start(|_| Answer::ok("hello")).await;
    let client = client(&[&refusing.url, &other.url]).await;
    assert_eq!(text(&client.send(get("/")).await.unwrap()), (503, "busy"));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let silent = Server::start(|_| Answer::Silence).await;
    let client = open(HttpGrant { timeout: Duration::from_millis(50), ..grant(&[&silent.url]) }).await;
    let error = client.send(post("/", "")).await.unwrap_err();
    assert_eq!(told(&error), (true, "the server did not answer in time"));
    assert!(error.to_string().contains("`timeout_secs`"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_temporary_and_says_where() {
    let (one, two) = (nowhere().await, nowhere().await);
    let error = client(&[&one, &two]).await.send(post("/", "")).await.unwrap_err();
    assert_eq!(told(&error), (true, "the server cannot be reached"));
    assert!(error.to_string().contains(two.as_str()), "{error}");
    let name = Url::parse("http://nowhere.invalid").unwrap();
    let error = client(&[&name]).await.send(post("/", "")).await.unwrap_err();
    assert_eq!(told(&error), (true, "the server's name is not known"));
    assert!(error.to_string().contains("http://nowhere.invalid/") && error.to_string().contains("`urls`"), "{error}");
}

#[test]
fn a_server_that_could_not_be_reached_comes_last_for_a_while() {
    let urls = ["http://a", "http://b", "http://c"].map(|url| Url::parse(url).unwrap());
    let servers = Servers::new(&urls);
    let order = |now| -> String { servers.order(now).iter().filter_map(|server| server.url.host_str()).collect() };
    let start = Instant::now();
    let later = |secs| start + Duration::from_secs(secs);
    assert_eq!([order(start), order(start), order(start), order(start)], ["abc", "bca", "cab", "abc"]);
    let find =
        |host: &str| servers.order(start).into_iter().find(|server| server.url.host_str() == Some(host)).unwrap();
    let rest = |host, began, ended| find(host).rest(later(began), later(ended));
    assert!(rest("a", 0, 0) && !rest("a", 1, 1) && rest("c", 0, 0));
    assert_eq!([order(later(2)), order(later(2))], ["bca", "bca"]);
    assert_eq!(order(later(10)), "bca");
    find("a").resume();
    let healthy: Vec<String> = (0..3).map(|_| order(later(2))).collect();
    assert_eq!(healthy, ["abc", "abc", "bac"]);
}

#[test]
fn one_request_alone_finds_out_whether_a_server_is_back() {
    let servers = Servers::new(&["http://a", "http://b"].map(|url| Url::parse(url).unwrap()));
    let start = Instant::now();
    let later = |secs| start + Duration::from_secs(secs);
    let firsts = |secs, count: usize| -> String {
        (0..count).filter_map(|_| servers.order(later(secs))[0].url.host_str()).collect()
    };
    let find = |host: &str| servers.order(start).into_iter().find(|it| it.url.host_str() == Some(host)).unwrap();
    // It let a request wait for 60 s, and rests for as long.
    find("a").rest(start, later(60));
    assert_eq!(firsts(119, 4), "bbbb");
    let trial = firsts(120, 4);
    assert_eq!(trial.matches('a').count(), 1, "{trial}");
    assert_eq!(firsts(179, 4), "bbbb", "the one still waits");
    find("a").resume();
    assert_eq!(firsts(179, 4).matches('a').count(), 2);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_out_and_nothing_is_sent_twice() {
    let broken = Server::start(|_| Answer::broken(BROKEN)).await;
    let silent = Server::start(|_| Answer::Silence).await;
    for away in [&broken, &silent] {
        let server = Server::start(|_| Answer::ok("hello")).await;
        let timeout = Duration::from_secs(2);
        let client = open(HttpGrant { timeout, ..grant(&[&away.url, &server.url]) }).await;
        let answers = [client.send(post("/", "a")).await, client.send(post("/", "b")).await];
        assert_eq!(answers.each_ref().map(|answer| answer.is_ok()), [false, true]);
        for _ in 0..4 {
            assert_eq!(text(&client.send(post("/", "c")).await.unwrap()), (200, "hello"));
        }
        assert_eq!((away.asked().len(), server.asked().len()), (1, 5));
    }
}

#[tokio::test]
async fn a_request_that_is_refused_before_it_is_sent_says_nothing_of_a_server() {
    let (one, two) = (Server::start(|_| Answer::ok("")).await, Server::start(|_| Answer::ok("")).await);
    let client = client(&[&one.url, &two.url]).await;
    for path in ["/..", "/..", "/", "/"] {
        let _ = client.send(get(path)).await;
    }
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));
}
