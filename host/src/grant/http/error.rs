//! Why a request has no answer.

use std::error::Error;
use std::fmt;

use reqwest::Url;

/// Why a request has no answer. What it displays is for the operator: it names the server and says what to do, and holds
/// no credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No whole answer came; later one may. What was asked for may have been done.
    #[error("{0}")]
    Temporary(Reason),
    /// The same request fails again, or the grant itself is wrong.
    #[error("{0}")]
    Permanent(Reason),
}

/// What went wrong, once for a stage and once for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    what: String,
    detail: String,
}

impl HttpError {
    /// What went wrong, without an address.
    pub fn what(&self) -> &str {
        match self {
            HttpError::Temporary(reason) | HttpError::Permanent(reason) => &reason.what,
        }
    }

    pub(super) fn temporary(what: impl Into<String>, detail: impl Into<String>) -> HttpError {
        HttpError::Temporary(Reason { what: what.into(), detail: detail.into() })
    }

    pub(super) fn permanent(what: impl Into<String>, detail: impl Into<String>) -> HttpError {
        HttpError::Permanent(Reason { what: what.into(), detail: detail.into() })
    }

    /// What the HTTP client says of a request to this server.
    pub(super) fn from_client(server: &Url, error: reqwest::Error) -> HttpError {
        let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
        let found = chain(&error.without_url());
        let known = CAUSES.iter().find(|(sign, ..)| found.contains(sign));
        let (what, advice) = match known {
            Some((_, what, advice)) => (*what, *advice),
            None if is_connect => ("the server cannot be reached", ""),
            None if is_timeout => ("the server did not answer in time", "; `timeout_secs` gives it longer"),
            None => ("the connection broke before the whole answer came", ""),
        };
        HttpError::temporary(what, format!("{server}: {found}{advice}"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)
    }
}

/// How causes that an operator can mend read in the error of the HTTP client, what a stage is told, and what to do.
/// All are temporary: a certificate is renewed, a name appears, and what waits meanwhile is not lost.
const CAUSES: [(&str, &str, &str); 7] = [
    (
        "UnknownIssuer",
        "the server's certificate is not trusted",
        "; write the certificate of its CA into a file and name that as `ca_file`",
    ),
    (
        "not valid for name",
        "the server's certificate is for another name",
        "; write a name into `urls` that the certificate has",
    ),
    ("certificate expired", "the server's certificate has expired", "; renew it"),
    ("invalid peer certificate", "the server's certificate is not accepted", ""),
    ("InvalidContentType", "the server does not speak TLS", "; does its address begin with `http://`?"),
    ("dns error", "the server's name is not known", "; check `urls` and the resolver of this machine"),
    ("HandshakeFailure", "the server and this host have no version of TLS in common", "; it must speak TLS 1.2 or 1.3"),
];

/// The causes of the error below the words `error sending request`, without what each repeats of the next.
fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
