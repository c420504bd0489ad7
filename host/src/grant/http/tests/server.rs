//! A server that answers byte for byte what a test says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub struct Server {
    pub url: Url,
    seen: Arc<Seen>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /path`.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What a server sends.
pub enum Answer {
    Whole(Vec<u8>),
    /// Closes the connection after it.
    Broken(Vec<u8>),
    Silence,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

impl Answer {
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Answer::Whole([head.as_bytes(), body].concat())
    }

    pub fn ok(body: &str) -> Answer {
        Answer::new(200, &[], body)
    }

    pub fn broken(bytes: &str) -> Answer {
        Answer::Broken(bytes.as_bytes().to_vec())
    }
}

impl Server {
    pub async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
        Server::listen("http://127.0.0.1", None, answer).await
    }

    /// With a certificate, under the name `localhost`.
    pub async fn start_tls(acceptor: TlsAcceptor) -> Server {
        Server::listen("https://localhost", Some(acceptor), |_| Answer::ok("hello")).await
    }

    async fn listen(
        origin: &str,
        acceptor: Option<TlsAcceptor>,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("{origin}:{}", listener.local_addr().unwrap().port())).unwrap();
        let seen = Arc::new(Seen::default());
        let (answer, shared) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (answer, seen, acceptor) = (answer.clone(), shared.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => talk(stream, &seen, &*answer).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => talk(stream, &seen, &*answer).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Server { url, seen }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

/// An address where nobody listens.
pub async fn nowhere() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
    answer: &(impl Fn(&Asked) -> Answer + Send + Sync),
) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let asked = loop {
            match parse(&mut read) {
                Some(asked) => break asked,
                None if stream.read_buf(&mut read).await.ok()? == 0 => return None,
                None => {}
            }
        };
        seen.asked.lock().unwrap().push(asked.clone());
        match answer(&asked) {
            Answer::Whole(bytes) => stream.write_all(&bytes).await.ok()?,
            Answer::Broken(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Answer::Silence => std::future::pending().await,
        }
    }
}

/// Takes a whole request out of what was read.
fn parse(read: &mut Vec<u8>) -> Option<Asked> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let whole = end + 4 + length;
    if read.len() < whole {
        return None;
    }
    let body = read[end + 4..whole].to_vec();
    read.drain(..whole);
    Some(Asked { line, headers, body })
}
