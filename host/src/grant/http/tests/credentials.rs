//! SigV4: signatures against published ones, and credentials that expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::auth::Proof;
use super::super::sigv4::Signer;
use super::*;
use crate::pipeline::Aws;

/// A request and its signature.
struct Vector {
    service: &'static str,
    region: &'static str,
    token: Option<&'static str>,
    request: (&'static str, &'static str),
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signed: &'static str,
    signature: &'static str,
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// 2015-08-30T12:36:00Z.
const SIGNED_AT: Duration = Duration::from_secs(1_440_938_160);

/// The defaults of AWS's test suite.
const SUITE: Vector = Vector {
    service: "service",
    region: "us-east-1",
    token: None,
    request: ("GET", "https://example.amazonaws.com/"),
    headers: &[],
    body: "",
    signed: "host;x-amz-date",
    signature: "",
};

/// Those of the vectors below that botocore made.
const BOTOCORE: Vector = Vector { region: "eu-west-1", token: Some("token"), ..SUITE };

/// From AWS's Signature Version 4 test suite, each under its name there. Left out are paths with something to encode: the
/// suite encodes them once, as S3 alone does.
const PUBLISHED: [Vector; 9] = [
    // get-vanilla
    Vector { signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", ..SUITE },
    // get-unreserved
    Vector {
        request: (
            "GET",
            "https://example.amazonaws.com/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        ),
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ..SUITE
    },
    // get-vanilla-query-order-key-case
    Vector {
        request: ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1"),
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ..SUITE
    },
    // get-vanilla-utf8-query
    Vector {
        request: ("GET", "https://example.amazonaws.com/?ሴ=bar"),
        signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ..SUITE
    },
    // get-vanilla-with-session-token
    Vector {
        token: Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
        signed: "host;x-amz-date;x-amz-security-token",
        signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ..SUITE
    },
    // get-header-key-duplicate
    Vector {
        headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
        signed: "host;my-header1;x-amz-date",
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ..SUITE
    },
    // get-header-value-trim
    Vector {
        headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
        signed: "host;my-header1;my-header2;x-amz-date",
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ..SUITE
    },
    // post-vanilla
    Vector {
        request: ("POST", "https://example.amazonaws.com/"),
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ..SUITE
    },
    // post-header-key-sort
    Vector {
        request: ("POST", "https://example.amazonaws.com/"),
        headers: &[("my-header1", "value1")],
        signed: "host;my-header1;x-amz-date",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ..SUITE
    },
];

/// Made by botocore 1.44.5, which wants the query encoded beforehand: `errors%2Citems.%2A.status`.
const MADE: [Vector; 6] = [
    Vector {
        service: "es",
        request: ("POST", "https://search-logs.eu-west-1.es.amazonaws.com/_bulk?filter_path=errors,items.*.status"),
        headers: &[("content-type", "application/x-ndjson"), ("content-encoding", "gzip")],
        body: "{\"index\":{}}\n{}\n",
        signed: "content-encoding;content-type;host;x-amz-date;x-amz-security-token",
        signature: "5a695325ebcb5f68b4aca616183133e3d8e0ffee1bec65067a055147d2014fb7",
        ..BOTOCORE
    },
    Vector {
        service: "es",
        request: ("GET", "https://search-logs.eu-west-1.es.amazonaws.com/%3Clogs-%7Bnow%2Fd%7D%3E/_search?q=a%20b"),
        signed: "host;x-amz-date;x-amz-security-token",
        signature: "7e00e9f5826c763637faa35ceb36a7b96e6b15d1b3e2d05a33918d5bb7f977ed",
        ..BOTOCORE
    },
    Vector {
        service: "es",
        request: ("PUT", "https://search-logs.eu-west-1.es.amazonaws.com:9200/_index_template/xray"),
        headers: &[("content-type", "application/json")],
        body: "{}",
        signed: "content-type;host;x-amz-date;x-amz-security-token",
        signature: "40c61350f146f76b0a09b14ba95409a4236405702ea249b82ba7df2ba4ceec1a",
        ..BOTOCORE
    },
    Vector {
        service: "aoss",
        request: ("POST", "https://abc.eu-west-1.aoss.amazonaws.com/_bulk"),
        headers: &[("content-type", "application/x-ndjson")],
        body: "{\"index\":{}}\n{}\n",
        signed: "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        signature: "747e433a3fdae25839fc67f628ed27a5435031a280bc2d7a1c5cf833eca2a941",
        ..BOTOCORE
    },
    Vector {
        service: "s3",
        request: ("PUT", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c%3D1/x.json"),
        headers: &[("content-type", "application/json")],
        body: "{}",
        signed: "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        signature: "899aa20fcdc338adb750f24119502ea09a233594201463502c75b377765e14e2",
        ..BOTOCORE
    },
    Vector {
        service: "dynamodb",
        request: ("POST", "https://dynamodb.eu-west-1.amazonaws.com/"),
        headers: &[("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "DynamoDB_20120810.ListTables")],
        body: "{}",
        signed: "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        signature: "76eae698f113b09db44dec025f558cf82627687580c26c8b3378d10fff05495d",
        ..BOTOCORE
    },
];

#[test]
fn signatures_are_those_that_aws_and_botocore_make() {
    for vector in PUBLISHED.iter().chain(&MADE) {
        let token = vector.token.map(str::to_owned);
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, token.clone(), None, "test");
        let signer = Signer::new(vector.service, vector.region, SharedCredentialsProvider::new(credentials.clone()));
        let (method, url) = vector.request;
        let mut headers: HeaderMap = HeaderMap::new();
        for (name, value) in vector.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let time = SystemTime::UNIX_EPOCH + SIGNED_AT;
        let url = Url::parse(url).unwrap();
        signer.sign(credentials, time, method, &url, &mut headers, vector.body.as_bytes()).unwrap();
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
            vector.region, vector.service, vector.signed, vector.signature
        );
        assert_eq!(headers["authorization"], expected, "{method} {url}");
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(headers.get("x-amz-security-token").map(|token| token.to_str().unwrap()), token.as_deref());
    }
}

/// Gives `KEY1`, then `KEY2` and so on.
#[derive(Clone, Debug, Default)]
struct Keys {
    given: Arc<AtomicUsize>,
    lasting: Option<Duration>,
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let expiry = self.lasting.map(|lasting| SystemTime::now() + lasting);
        future::ProvideCredentials::ready(Ok(Credentials::new(format!("KEY{number}"), SECRET, None, expiry, "test")))
    }
}

fn signing(keys: &Keys, server: &Server) -> Client {
    let signer = Signer::new("es", "eu-west-1", SharedCredentialsProvider::new(keys.clone()));
    Client::new(reqwest::Client::new(), std::slice::from_ref(&server.url), Proof::Signature(Box::new(signer)))
}

/// The access keys that requests were signed with.
fn keys(server: &Server) -> Vec<String> {
    let key = |authorization: &str| authorization.split(['=', '/']).nth(1).unwrap().to_owned();
    server.asked().iter().map(|asked| key(&asked.headers["authorization"])).collect()
}

#[tokio::test]
async fn credentials_are_held_until_they_expire() {
    let server = Server::start(|_| Answer::ok("")).await;
    let client = signing(&Keys { lasting: Some(Duration::from_secs(3600)), ..Keys::default() }, &server);
    for _ in 0..2 {
        client.send(post("/", "body")).await.unwrap();
    }
    assert_eq!(keys(&server), ["KEY1", "KEY1"]);

    let server = Server::start(|_| Answer::ok("")).await;
    let client = signing(&Keys { lasting: Some(Duration::from_secs(1)), ..Keys::default() }, &server);
    for _ in 0..2 {
        client.send(post("/", "body")).await.unwrap();
    }
    assert_eq!(keys(&server), ["KEY1", "KEY2"]);
}

#[tokio::test]
async fn expired_credentials_are_replaced_once() {
    let cases = [
        (403, r#"{"message":"The security token included in the request is expired"}"#, vec!["KEY1", "KEY2"]),
        (400, r#"{"__type":"com.amazon.coral.service#ExpiredTokenException"}"#, vec!["KEY1", "KEY2"]),
        (403, r#"{"message":"User: anonymous is not authorized to perform: es:ESHttpPost"}"#, vec!["KEY1"]),
        (500, "security token", vec!["KEY1"]),
    ];
    for (status, body, expected) in cases {
        let server = Server::start(move |_| Answer::new(status, &[], body)).await;
        let answer = signing(&Keys::default(), &server).send(post("/_bulk", "body")).await.unwrap();
        assert_eq!((text(&answer), keys(&server)), ((status, body), expected.into_iter().map(str::to_owned).collect()));
    }
}

#[tokio::test]
async fn the_region_comes_from_the_name_of_the_server_where_the_grant_has_none() {
    let cases = [
        (Some("us-east-1"), "https://search-logs.eu-west-1.es.amazonaws.com", "us-east-1"),
        (None, "https://search-logs.eu-west-1.es.amazonaws.com", "eu-west-1"),
    ];
    for (region, url, expected) in cases {
        let aws = Aws { region: region.map(str::to_owned), ..Aws::default() };
        let url = Url::parse(url).unwrap();
        let signer = Signer::open("es", &aws, std::slice::from_ref(&url)).await.unwrap();
        let credentials = Credentials::new("KEY", SECRET, None, None, "test");
        let mut headers = HeaderMap::new();
        signer.sign(credentials, SystemTime::UNIX_EPOCH, "GET", &url, &mut headers, b"").unwrap();
        let signed = headers["authorization"].to_str().unwrap();
        assert!(signed.contains(&format!("/{expected}/es/aws4_request")), "{signed}");
    }
}
