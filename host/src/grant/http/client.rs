//! A client of one server, or of several equal ones.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::redirect::Policy;

use super::auth::Proof;
use super::error::HttpError;
use super::gzip::{self, Unreadable};
use super::headers;
use super::servers::{Server, Servers};
use super::sigv4;
use crate::pipeline::{Auth, HttpGrant};

/// The largest answer, as it is sent and decompressed.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// How long a connection is kept without use: less than the minute of most load balancers, which close it then.
const IDLE: Duration = Duration::from_secs(45);

/// How often one request is sent on by the server.
const MAX_REDIRECTS: usize = 5;

/// Sends requests to the servers of a grant, with its credentials. Clones share connections and what is known of the
/// servers.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    servers: Servers,
    proof: Proof,
}

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct Request {
    /// Any. One that is not safe (`GET`, `HEAD`) is sent again only where it certainly did not arrive.
    pub method: Method,
    /// Path and query, from `/` on.
    pub path: String,
    /// Those about the connection, the address and credentials are refused.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Bytes,
    /// Whether the body is compressed on its way.
    pub gzip: bool,
}

/// What a server answered: any status, the whole body.
#[derive(Clone, Debug)]
pub struct Response {
    /// As sent: a refusal is an answer too.
    pub status: u16,
    /// As sent, although the body is decompressed.
    pub headers: HeaderMap,
    /// Decompressed.
    pub body: Bytes,
}

impl Response {
    /// Whether the security of Elasticsearch or OpenSearch refuses what was asked (403). The credentials are good then, and
    /// what else they may do is not said: a proxy or service before it that does not know who asks answers something else.
    pub fn is_denied_by_rules(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Refusal {
            error: Cause,
        }
        #[derive(serde::Deserialize)]
        struct Cause {
            r#type: String,
        }
        let refusal = serde_json::from_slice(&self.body).map(|Refusal { error }| error.r#type);
        self.status == 403 && refusal.is_ok_and(|kind| kind == "security_exception")
    }
}

/// A request whose headers and body are ready.
struct Prepared {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A request that one server did not answer.
struct Failed {
    error: HttpError,
    /// Nothing of it arrived there.
    is_unsent: bool,
    /// It is the server that is silent: others may be well.
    is_silent: bool,
}

impl Client {
    /// Reads the certificates and looks for AWS credentials' places. No server is spoken to, except for a region or role
    /// where aws-config asks one.
    ///
    /// # Errors
    ///
    /// [`HttpError::Permanent`]: `ca_file` cannot be read or holds no certificate, a secret cannot be sent, there is no
    /// AWS region.
    pub async fn open(grant: &HttpGrant) -> Result<Client, HttpError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rayline/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .pool_idle_timeout(IDLE)
            .timeout(grant.timeout)
            .connect_timeout(grant.connect_timeout);
        let certificates = grant.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
        builder = if grant.urls.iter().all(|url| url.scheme() == "http") {
            // A machine without any CA certificates is no hindrance then.
            builder.tls_certs_only(certificates)
        } else {
            builder.tls_certs_merge(certificates)
        };
        let http = builder.build().map_err(|error| {
            let advice =
                "does this machine have CA certificates (the package ca-certificates), and `ca_file` good ones?";
            HttpError::permanent("TLS cannot be set up", format!("{error:?}; {advice}"))
        })?;
        if grant.auth != Auth::None {
            for url in grant.urls.iter().filter(|url| is_exposed(url)) {
                tracing::warn!("credentials travel in clear to {url}: use `https://` where the server can");
            }
        }
        let proof = Proof::open(&grant.auth, &grant.urls).await?;
        Ok(Client::new(http, &grant.urls, proof))
    }

    pub(super) fn new(http: reqwest::Client, servers: &[Url], proof: Proof) -> Client {
        Client(Arc::new(Inner { http, servers: Servers::new(servers), proof }))
    }

    /// Sends a request and reads the whole answer, of whatever status. A server that cannot be reached is passed over;
    /// one that broke off, or did not answer in time, is followed by the next only where the request is safe to repeat.
    /// Later requests pass over all of these for a while.
    ///
    /// # Errors
    ///
    /// [`HttpError::Temporary`]: no server gave a whole answer. [`HttpError::Permanent`]: the request has a header or path
    /// that is not the caller's to set, or the answer is larger than 64 MiB.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let request = prepare(request).await?;
        let mut last = None;
        let mut order = self.0.servers.order(Instant::now()).into_iter().peekable();
        while let Some(server) = order.next() {
            let began = Instant::now();
            match self.attempt(server, &request).await {
                Ok(response) => {
                    server.resume();
                    return Ok(response);
                }
                Err(Failed { error, is_unsent, is_silent }) => {
                    // The last one's failure is the caller's to tell.
                    if is_silent && server.rest(began, Instant::now()) && order.peek().is_some() {
                        tracing::warn!("{error}; the other servers do its work meanwhile");
                    }
                    if matches!(error, HttpError::Permanent(_)) || !(is_unsent || request.method.is_safe()) {
                        return Err(error);
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| HttpError::permanent("there is no server", "`urls` is empty")))
    }

    /// The servers, as the grant names them.
    pub fn servers(&self) -> impl Iterator<Item = &Url> {
        self.0.servers.urls()
    }

    /// One server's answer, that of redirects on the same server included.
    async fn attempt(&self, server: &Server, request: &Prepared) -> Result<Response, Failed> {
        let mut url = target(&server.url, &request.path)?;
        for _ in 0..MAX_REDIRECTS {
            let response = self.proven(server, request, &url).await?;
            match redirect(&server.url, &url, request, &response) {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let detail = format!("{}: the last one is to {}", server.url, url.path());
        Err(HttpError::permanent("the server redirects in a circle", detail).into())
    }

    /// The answer to a request with credentials; with new ones, where it says that those were no longer good.
    async fn proven(&self, server: &Server, request: &Prepared, url: &Url) -> Result<Response, Failed> {
        let mut headers = request.headers.clone();
        let signer = match &self.0.proof {
            Proof::None => return self.exchange(server, request, url, headers).await,
            Proof::Header(value) => {
                headers.insert(AUTHORIZATION, value.clone());
                return self.exchange(server, request, url, headers).await;
            }
            Proof::Signature(signer) => signer,
        };
        let used = signer.credentials().await?;
        let sign = |credentials, headers: &mut HeaderMap| {
            signer.sign(credentials, SystemTime::now(), request.method.as_str(), url, headers, &request.body)
        };
        sign(used.clone(), &mut headers)?;
        let response = self.exchange(server, request, url, headers).await?;
        if !sigv4::are_expired(response.status, &response.body) {
            return Ok(response);
        }
        signer.forget(&used).await;
        let fresh = signer.credentials().await?;
        if fresh == used {
            return Ok(response);
        }
        let mut headers = request.headers.clone();
        sign(fresh, &mut headers)?;
        self.exchange(server, request, url, headers).await
    }

    /// Sends and reads once.
    async fn exchange(
        &self,
        server: &Server,
        request: &Prepared,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Response, Failed> {
        let failed = |error: reqwest::Error| {
            let is_unsent = error.is_connect();
            Failed { error: HttpError::from_client(&server.url, error), is_unsent, is_silent: true }
        };
        let sent = self.0.http.request(request.method.clone(), url.clone()).headers(headers);
        let mut response =
            sent.header(ACCEPT_ENCODING, "gzip").body(request.body.clone()).send().await.map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(too_large(&server.url).into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut body = body.freeze();
        let is_gzip = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        if is_gzip && !body.is_empty() {
            body = gzip::decompress(body, MAX_ANSWER).await.map_err(|error| match error {
                Unreadable::TooLarge => too_large(&server.url),
                Unreadable::Broken(error) => {
                    HttpError::temporary("the answer cannot be decompressed", format!("{}: {error}", server.url))
                }
            })?;
        }
        Ok(Response { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Failed {
        Failed { error, is_unsent: false, is_silent: false }
    }
}

async fn prepare(request: Request) -> Result<Prepared, HttpError> {
    let Request { method, path, headers, mut body, gzip } = request;
    let mut headers = headers::request(&headers)?;
    if gzip && !body.is_empty() {
        body = gzip::compress(body)
            .await
            .map_err(|error| HttpError::temporary("the body cannot be compressed", error.to_string()))?;
        // After whatever the caller encoded it with.
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(Prepared { method, path, headers, body })
}

/// Where the request goes: always below the server's own path.
fn target(server: &Url, path: &str) -> Result<Url, HttpError> {
    let refuse = |why: &str| HttpError::permanent(format!("the path {why}"), format!("{path:?} cannot be asked for"));
    if !path.starts_with('/') {
        return Err(refuse("does not begin with `/`"));
    }
    if path.contains('#') || path.chars().any(char::is_control) {
        return Err(refuse("has a `#` or a control character"));
    }
    let before_query = path.split('?').next().unwrap_or_default();
    let decoded = percent_decode_str(before_query).decode_utf8_lossy();
    if decoded.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err(refuse("has a `.` or `..` between its `/`"));
    }
    let base = server.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).map_err(|error| refuse(&format!("cannot be read: {error}")))
}

/// Where a redirect on the same server leads. One to elsewhere is an answer like any other.
fn redirect(server: &Url, url: &Url, request: &Prepared, response: &Response) -> Option<Url> {
    let status = StatusCode::from_u16(response.status).ok()?;
    let is_followed = match status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => request.method.is_safe(),
        _ => false,
    };
    let location = response.headers.get(LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok().filter(|_| is_followed)?;
    if next.origin() != server.origin() {
        let elsewhere = next.origin().ascii_serialization();
        tracing::warn!(
            "{server} redirects to {elsewhere}, which is not followed: if that is right, write it into `urls`"
        );
        return None;
    }
    Some(next)
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, HttpError> {
    let refuse = |why: String| HttpError::permanent(format!("`ca_file`: {} cannot be used", path.display()), why);
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refuse(format!("{error:?}")))?;
    if certificates.is_empty() {
        return Err(refuse("it holds no certificate; write those of the CA into it, in PEM".to_owned()));
    }
    Ok(certificates)
}

fn too_large(server: &Url) -> HttpError {
    let detail = format!("{server}: ask for less at once");
    HttpError::permanent(format!("the answer is larger than {} MiB", MAX_ANSWER >> 20), detail)
}

/// Whether others on the way may read what is sent.
fn is_exposed(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "http" && !is_loopback
}
