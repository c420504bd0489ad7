//! What a server may answer.

use std::io::Write;

use super::super::client::MAX_ANSWER;
use super::super::headers;
use super::*;

#[tokio::test]
async fn answers_are_decompressed() {
    let server = Server::start(|asked| {
        assert_eq!(asked.headers["accept-encoding"], "gzip");
        Answer::new(200, &[("Content-Encoding", "gzip")], gzip("hello".as_bytes()))
    })
    .await;
    let response = client(&[&server.url]).await.send(get("/")).await.unwrap();
    assert_eq!(text(&response), (200, "hello"));
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_no_answer() {
    let zipped = gzip(&[7; 1000]);
    let cut = Answer::new(200, &[("content-encoding", "gzip")], &zipped[..20]);
    let Answer::Whole(cut) = cut else { panic!() };
    let cases = [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello".to_vec(),
            "the connection broke before the whole answer came",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec(),
            "the connection broke before the whole answer came",
        ),
        (b"".to_vec(), "the connection broke before the whole answer came"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "the connection broke before the whole answer came"),
        (cut, "the answer cannot be decompressed"),
    ];
    for (bytes, expected) in cases {
        let server = Server::start(move |_| Answer::Broken(bytes.clone())).await;
        let error = client(&[&server.url]).await.send(post("/", "")).await.unwrap_err();
        assert_eq!(told(&error), (true, expected));
        assert!(error.to_string().contains(server.url.as_str()), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_compressed_or_not() {
    let much = vec![b' '; MAX_ANSWER + 1];
    let (zipped, fits) = (gzip(&much), gzip(&much[1..]));
    let server = Server::start(move |asked| match asked.line.as_str() {
        "GET /plain" => Answer::new(200, &[], &much),
        "GET /gzip" => Answer::new(200, &[("content-encoding", "gzip")], &zipped),
        _ => Answer::new(200, &[("content-encoding", "gzip")], &fits),
    })
    .await;
    let client = client(&[&server.url]).await;
    for path in ["/plain", "/gzip"] {
        let error = client.send(get(path)).await.unwrap_err();
        assert_eq!(told(&error), (false, "the answer is larger than 64 MiB"));
    }
    assert_eq!(client.send(get("/fits")).await.unwrap().body.len(), MAX_ANSWER);
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_server_only() {
    let other = Server::start(|_| Answer::ok("credentials, please")).await;
    let elsewhere = other.url.join("/x").unwrap();
    let server = Server::start(move |asked| {
        let to = |status, place: &str| Answer::new(status, &[("location", place)], "");
        match asked.line.as_str() {
            "GET /moved" => to(301, "/here?a=1"),
            "POST /kept" => to(307, "here"),
            "POST /found" => to(302, "/here"),
            "GET /elsewhere" => to(302, elsewhere.as_str()),
            "POST /elsewhere" => to(308, elsewhere.as_str()),
            "GET /circle" => to(302, "/circle"),
            _ => Answer::ok(&asked.line),
        }
    })
    .await;
    let auth = Auth::Bearer(Secret::new("hunter2"));
    let client = open(HttpGrant { auth, ..grant(&[&server.url]) }).await;
    let cases = [
        (get("/moved"), 200, "GET /here?a=1"),
        (post("/kept", "body"), 200, "POST /here"),
        (post("/found", "body"), 302, ""),
        (get("/elsewhere"), 302, ""),
        (post("/elsewhere", "body"), 308, ""),
    ];
    for (request, status, body) in cases {
        assert_eq!(text(&client.send(request).await.unwrap()), (status, body));
    }
    let error = client.send(get("/circle")).await.unwrap_err();
    assert_eq!(told(&error), (false, "the server redirects in a circle"));
    assert_eq!(other.connections(), 0);
    assert!(server.asked().iter().all(|asked| asked.headers["authorization"] == "Bearer hunter2"));
    let kept = server.asked().into_iter().find(|asked| asked.line == "POST /here").unwrap();
    assert_eq!(kept.body, b"body");
}

#[test]
fn a_stage_sees_no_address_and_no_credential_in_headers() {
    let cases = [
        ("content-type", "application/json", Some("application/json")),
        ("retry-after", "5", Some("5")),
        ("x-elastic-product", "Elasticsearch", Some("Elasticsearch")),
        ("location", "https://search.example.com/base/a?b=c", Some("/a?b=c")),
        ("location", "/base/a", Some("/a")),
        ("location", "https://SEARCH.example.com:9200/base/a", None),
        ("location", "https://elsewhere.example.com/base/a", None),
        ("link", "<https://Search.Example.com/base/next>", None),
        ("x-node", "b.internal:9200", None),
        ("x-elastic-product", "opensearch", Some("opensearch")),
        ("link", "<http://opensearch/next>", None),
        ("x-node", "opensearch:9200", None),
        ("set-cookie", "sid=1", None),
        ("www-authenticate", "Basic realm=x", None),
        ("proxy-status", "x", None),
        ("content-encoding", "gzip", None),
        ("content-length", "9", None),
    ];
    let servers = ["https://search.example.com/base/", "http://b.internal:9200", "http://opensearch:9200"]
        .map(|url| Url::parse(url).unwrap());
    for (name, value, expected) in cases {
        let headers = [(name, value)].into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let seen = headers::seen(&headers.collect(), servers.iter());
        let expected: Vec<_> = expected.into_iter().map(|value| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(seen, expected, "{name}: {value}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
