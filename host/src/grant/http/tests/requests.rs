//! What a server is sent.

use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

#[tokio::test]
async fn a_request_arrives_as_it_is_asked_for_below_the_path_of_the_address() {
    let server = Server::start(|_| Answer::new(404, &[("x-found", "no")], "nothing")).await;
    let client = client(&[&server.url.join("/search/").unwrap()]).await;
    let headers = vec![("Content-Type".to_owned(), "application/x-ndjson".to_owned())];
    let response = client.send(Request { headers, ..post("/_bulk?filter_path=errors", "{}\n") }).await.unwrap();
    assert_eq!(text(&response), (404, "nothing"));
    assert_eq!(response.headers["x-found"], "no");
    let asked = &server.asked()[0];
    assert_eq!((asked.line.as_str(), asked.body.as_slice()), ("POST /search/_bulk?filter_path=errors", &b"{}\n"[..]));
    assert_eq!(asked.headers["content-type"], "application/x-ndjson");
    assert_eq!(asked.headers["host"], server.url.authority());
    assert!(!asked.headers.contains_key("authorization"));
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::start(|_| Answer::ok("")).await;
    let client = client(&[&server.url]).await;
    for _ in 0..5 {
        client.clone().send(get("/")).await.unwrap();
    }
    assert_eq!((server.asked().len(), server.connections()), (5, 1));
}

#[tokio::test]
async fn each_auth_has_its_header() {
    let server = Server::start(|_| Answer::ok("")).await;
    let basic = format!("Basic {}", BASE64_STANDARD.encode("elastic:pass:word é"));
    let cases = [
        (Auth::Basic { user: "elastic".to_owned(), password: Secret::new("pass:word é") }, basic.as_str()),
        (Auth::ApiKey(Secret::new("aWQ6a2V5")), "ApiKey aWQ6a2V5"),
        (Auth::Bearer(Secret::new("AAEAAWVs")), "Bearer AAEAAWVs"),
    ];
    for (auth, expected) in cases {
        open(HttpGrant { auth, ..grant(&[&server.url]) }).await.send(get("/")).await.unwrap();
        assert_eq!(server.asked().last().unwrap().headers["authorization"], expected);
    }
}

#[tokio::test]
async fn bodies_are_compressed_where_that_is_asked_for() {
    let server = Server::start(|_| Answer::ok("")).await;
    let client = client(&[&server.url]).await;
    for (body, gzip) in [("little".to_owned(), true), ("much ".repeat(100_000), true), ("plain".to_owned(), false)] {
        client.send(Request { gzip, ..post("/", &body) }).await.unwrap();
        let asked = server.asked().pop().unwrap();
        assert_eq!(asked.headers.get("content-encoding").map(String::as_str), gzip.then_some("gzip"));
        let mut arrived = String::new();
        match gzip {
            true => flate2::read::GzDecoder::new(&*asked.body).read_to_string(&mut arrived).unwrap(),
            false => (&*asked.body).read_to_string(&mut arrived).unwrap(),
        };
        assert_eq!(arrived, body);
    }
}

#[tokio::test]
async fn headers_of_the_host_are_refused_and_nothing_is_sent() {
    let server = Server::start(|_| Answer::ok("")).await;
    let client = client(&[&server.url]).await;
    let cases = [
        ("Authorization", "Basic x", "the header `Authorization` is the host's, not the stage's"),
        ("host", "elsewhere", "the header `host` is the host's, not the stage's"),
        ("connection", "close", "the header `connection` is the host's, not the stage's"),
        ("transfer-encoding", "chunked", "the header `transfer-encoding` is the host's, not the stage's"),
        ("content-length", "0", "the header `content-length` is the host's, not the stage's"),
        ("cookie", "sid=1", "the header `cookie` is the host's, not the stage's"),
        ("Proxy-Authorization", "x", "the header `Proxy-Authorization` is the host's, not the stage's"),
        ("es-security-runas-user", "root", "the header `es-security-runas-user` is the host's, not the stage's"),
        ("X-Amz-Security-Token", "x", "the header `X-Amz-Security-Token` is the host's, not the stage's"),
        ("a b", "x", "the header `a b` has a name that no header can have"),
        ("x", "a\r\nhost: b", "the header `x` has a value that no header can have"),
    ];
    for (name, value, expected) in cases {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let error = client.send(Request { headers, ..get("/") }).await.unwrap_err();
        assert_eq!(told(&error), (false, expected));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_path_that_leaves_the_address_is_refused_and_nothing_is_sent() {
    let server = Server::start(|_| Answer::ok("")).await;
    let client = client(&[&server.url.join("/search").unwrap()]).await;
    let cases = [
        ("", "the path does not begin with `/`"),
        ("_bulk", "the path does not begin with `/`"),
        ("@example.com/", "the path does not begin with `/`"),
        ("http://example.com/", "the path does not begin with `/`"),
        ("/../admin", "the path has a `.` or `..` between its `/`"),
        ("/a/..", "the path has a `.` or `..` between its `/`"),
        ("/%2e%2E/admin", "the path has a `.` or `..` between its `/`"),
        ("/..%2fadmin", "the path has a `.` or `..` between its `/`"),
        ("/..\\admin", "the path has a `.` or `..` between its `/`"),
        ("/a#b", "the path has a `#` or a control character"),
        ("/a\r\nhost: b", "the path has a `#` or a control character"),
    ];
    for (path, expected) in cases {
        assert_eq!(told(&client.send(get(path)).await.unwrap_err()), (false, expected), "{path}");
    }
    assert_eq!(server.connections(), 0);
    for path in ["//example.com/x", "/a..b/...", "/x?q=../y"] {
        client.send(get(path)).await.unwrap();
        assert_eq!(server.lines().pop().unwrap(), format!("GET /search{path}"));
    }
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_refused_without_showing_it() {
    let auth = Auth::Bearer(Secret::new("hunter2\n"));
    let grant = HttpGrant { auth, ..grant(&[&Url::parse("http://localhost").unwrap()]) };
    let Err(error) = Client::open(&grant).await else { panic!("a line end went into a header") };
    assert_eq!(told(&error), (false, "`auth.bearer` holds a character that no header can have"));
    assert!(!format!("{error} {error:?} {grant:?}").contains("hunter2"));
}
