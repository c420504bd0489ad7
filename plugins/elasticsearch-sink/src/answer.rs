//! What the server said.

use std::borrow::Cow;
use std::time::Duration;

use rayline_sdk::http::Response;
use serde::{Deserialize, Deserializer};

use crate::verdict::one_line;

/// A server's answer to one bulk.
pub enum Answer<'a> {
    /// One for each document, in the order of the request.
    Items(Vec<Item<'a>>),
    /// It was cut short, or is not the answer to a bulk at all. What was written is not known.
    Incomplete(String),
    /// The bulk as a whole was refused.
    Refused(Item<'a>),
}

/// What the server said of one document, or of the whole bulk.
#[derive(Deserialize)]
pub struct Item<'a> {
    /// An HTTP status.
    pub status: u16,
    /// Why, where it is no success.
    #[serde(borrow, default)]
    pub error: Cause<'a>,
}

/// An exception of the server's.
#[derive(Default, Deserialize)]
pub struct Cause<'a> {
    /// `mapper_parsing_exception`.
    #[serde(borrow, default, rename = "type", deserialize_with = "text")]
    pub kind: Cow<'a, str>,
    /// A sentence.
    #[serde(borrow, default, deserialize_with = "text")]
    pub reason: Cow<'a, str>,
    /// What is below it: often the more telling one.
    #[serde(borrow, default)]
    pub caused_by: Option<Box<Cause<'a>>>,
}

impl Item<'_> {
    /// Status and exception in one line.
    pub fn reason(&self) -> String {
        let Cause { kind, reason, caused_by } = &self.error;
        let below = caused_by.iter().flat_map(|cause| [&cause.kind, &cause.reason]);
        let texts = [kind, reason].into_iter().chain(below).filter(|text| !text.is_empty());
        let text = texts.fold(self.status.to_string(), |line, text| line + ": " + text);
        one_line(&text)
    }
}

/// Reads the answer to a bulk of `documents`.
pub fn read(response: &Response, documents: usize) -> Answer<'_> {
    if !(200..300).contains(&response.status) {
        return Answer::Refused(Item { status: response.status, error: refusal(&response.body) });
    }
    #[derive(Deserialize)]
    struct Bulk<'a> {
        #[serde(borrow)]
        items: Vec<Action<'a>>,
    }
    #[derive(Deserialize)]
    struct Action<'a> {
        #[serde(borrow)]
        index: Item<'a>,
    }
    match serde_json::from_slice::<Bulk<'_>>(&response.body) {
        Ok(bulk) if bulk.items.len() == documents => {
            Answer::Items(bulk.items.into_iter().map(|action| action.index).collect())
        }
        Ok(bulk) => {
            Answer::Incomplete(format!("the server answered for {} of {documents} documents", bulk.items.len()))
        }
        Err(error) => Answer::Incomplete(format!(
            "the server's answer is not that of a bulk ({error}): {}",
            one_line(&String::from_utf8_lossy(&response.body))
        )),
    }
}

/// The longest wait that is asked for: a page about maintenance may name a day, and the server is back after minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long the server asks to wait. Of no time at all, and of a date instead of seconds, the host's own backoff is better.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let (_, seconds) = response.headers.iter().find(|(name, _)| name == "retry-after")?;
    seconds
        .trim()
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Why a bulk was refused: the server's exception, or whatever a proxy or service before it says.
fn refusal(body: &[u8]) -> Cause<'_> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: Cause<'a>,
    }
    match serde_json::from_slice::<Refusal<'_>>(body) {
        Ok(refusal) => refusal.error,
        Err(_) => Cause { reason: String::from_utf8_lossy(body), ..Cause::default() },
    }
}

/// A text that may be null, borrowed where nothing in it is escaped.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text<'_>>::deserialize(deserializer)?.map(|text| text.0).unwrap_or_default())
}
