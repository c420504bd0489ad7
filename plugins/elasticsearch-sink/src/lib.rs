//! Documents in Elasticsearch (7.9 to 9) or OpenSearch (1 to 3), through `POST /_bulk`.
//!
//! - `bulk`: the request. `index`: which index a document goes to.
//! - `answer`: what the server said, as a whole and of each document. `verdict`: what becomes of a document then.
//!
//! What holds:
//!
//! - **Writing again changes nothing**: ids and versions are the events' own, and an older version loses.
//! - **Each document has its own verdict**: one that is refused costs no other, one that must wait holds up no other.
//! - **What every server of the range takes is all that is sent**: no `_type`, no `require_alias`, no media types of one
//!   vendor.

mod answer;
mod bulk;
mod index;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use rayline_sdk::{Batch, Binding, Capability, CapabilityError, Context, Event, Exceptions, Failure, Sink, http, log};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, retry_after};
use crate::index::Indexes;
use crate::verdict::Verdict;

const HTTP: &str = "http";

/// So many answers one after the other in which an index is not there, and it is not for the next bulk to make it.
const NO_INDEX_ANSWERS: u32 = 3;

/// The stage.
pub struct ElasticsearchSink {
    indexes: Indexes,
    /// The last answers in which an index was not there.
    no_index: u32,
}

/// Options of `elasticsearch-sink`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the names of the indexes begin with. `-executions-YYYY.MM`, `-traces-YYYY.MM` or `-spans-YYYY.MM` follows: by
    /// the label `kind` and the month of the document's own time, in UTC. Templates and dashboards must have the same
    /// prefix.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9._-]*$"), length(max = 200))]
    index_prefix: String,
}

impl Default for Options {
    fn default() -> Options {
        Options { index_prefix: "xray".to_owned() }
    }
}

impl Sink for ElasticsearchSink {
    type Options = Options;

    const SUMMARY: &'static str =
        "Writes documents to Elasticsearch or OpenSearch, a later version over an earlier one";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(HTTP, Capability::Http, "the servers of the cluster")]
    }

    /// Asks the server nothing: one that is away now is no reason not to start.
    fn open(options: Options, _: &Context) -> Result<Self, Failure> {
        Ok(Self { indexes: Indexes::new(options.index_prefix), no_index: 0 })
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut documents = Vec::with_capacity(batch.len());
        for event in batch {
            match bulk::refusal(&event) {
                Some(reason) => out.reject(&event, reason),
                None => documents.push(event),
            }
        }
        let mut pieces = vec![documents.as_slice()];
        while let Some(piece) = pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            if self.post(piece, out)? == Posted::TooLarge {
                let (first, second) = piece.split_at(piece.len() / 2);
                pieces.extend([second, first]);
            }
        }
        Ok(())
    }
}

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Posted {
    /// Every document has its verdict.
    Judged,
    /// The server takes no body of this size: give it the documents in smaller pieces.
    TooLarge,
}

impl ElasticsearchSink {
    fn post(&mut self, events: &[Event<'_>], out: &mut Exceptions) -> Result<Posted, Failure> {
        let request = bulk::request(&mut self.indexes, events);
        let bytes = request.body.len();
        let response = match http::send(HTTP, &[request])?.pop() {
            Some(Ok(response)) => response,
            Some(Err(CapabilityError::Temporary { reason, after })) => {
                return Ok(all_later(events, &reason, after, out));
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(all_later(events, "the host gave no answer", None, out)),
        };
        let after = retry_after(&response);
        match answer::read(&response, events.len()) {
            Answer::Items(items) => {
                let mut no_index = false;
                for (event, item) in events.iter().zip(items) {
                    match verdict::of(item.status, &item.error) {
                        Verdict::Done => {}
                        Verdict::Later => out.retry(event, item.reason(), after),
                        Verdict::Rejected | Verdict::TooLarge => out.reject(event, item.reason()),
                        Verdict::NoIndex if self.no_index + 1 < NO_INDEX_ANSWERS => {
                            no_index = true;
                            out.retry(event, item.reason(), after);
                        }
                        Verdict::NoIndex => return Err(misconfigured(verdict::NO_INDEX, &item.reason())),
                        Verdict::Misconfigured(advice) => return Err(misconfigured(advice, &item.reason())),
                    }
                }
                self.no_index = if no_index { self.no_index + 1 } else { 0 };
                Ok(Posted::Judged)
            }
            Answer::Incomplete(reason) => Ok(all_later(events, &reason, after, out)),
            Answer::Refused(refused) => match (verdict::of(refused.status, &refused.error), events) {
                (Verdict::TooLarge, [event]) => {
                    out.reject(event, format!("the server takes no document of {bytes} bytes: {}", refused.reason()));
                    Ok(Posted::Judged)
                }
                (Verdict::TooLarge, _) => {
                    let message =
                        "the server takes no bulk of this size, it gets smaller ones: lower `batch.max_bytes`";
                    log::warn(message, &[("bytes", &bytes.to_string())]);
                    Ok(Posted::TooLarge)
                }
                (Verdict::Later, _) => Ok(all_later(events, &refused.reason(), after, out)),
                (Verdict::Misconfigured(advice), _) => Err(misconfigured(advice, &refused.reason())),
                (Verdict::Done | Verdict::Rejected | Verdict::NoIndex, _) => {
                    let advice = "it does not answer as Elasticsearch or OpenSearch do: look at `grants.http.urls`";
                    Err(misconfigured(advice, &refused.reason()))
                }
            },
        }
    }
}

fn all_later(events: &[Event<'_>], reason: &str, after: Option<Duration>, out: &mut Exceptions) -> Posted {
    events.iter().for_each(|event| out.retry(event, reason, after));
    Posted::Judged
}

fn misconfigured(advice: &str, reason: &str) -> Failure {
    Failure::fatal(format!("{advice} (the server says: {reason})"))
}

rayline_sdk::export_sink!(ElasticsearchSink);
