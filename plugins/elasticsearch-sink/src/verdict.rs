//! What becomes of a document, by what the server said of it, or of the bulk that it was in.

use crate::answer::Cause;

/// The most of a server's explanation that is kept, in bytes.
const MAX_REASON_BYTES: usize = 600;

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is there, or a later version of it is.
    Done,
    /// Not now.
    Later,
    /// Never: the document is wrong for its index, or its index takes no documents any more.
    Rejected,
    /// The server takes no body of this size.
    TooLarge,
    /// Its index is not there. Either it was deleted while the bulk was on its way, and the next bulk makes it again, or
    /// the server may not make it: some say no more than this in both cases.
    NoIndex,
    /// Nothing will pass until a person has done this.
    Misconfigured(&'static str),
}

/// What to do about a server that does not make the month's index.
pub const NO_INDEX: &str = "the server does not create the month's index: let its setting `action.auto_create_index` allow it, and run `rayline setup elasticsearch`";

/// By the HTTP status and the exception that explains it.
pub fn of(status: u16, error: &Cause<'_>) -> Verdict {
    match status {
        200..=299 | 409 => Verdict::Done,
        413 => Verdict::TooLarge,
        // The cluster has as many shards as it may, and the month's index cannot be made. The document is not to blame.
        400 if error.kind == "validation_exception" => Verdict::Later,
        401 => Verdict::Misconfigured("the server wants to know who this is: look at `grants.http.auth`"),
        403 if error.kind == "cluster_block_exception" => blocked(&error.reason),
        403 => Verdict::Misconfigured(
            "the server does not allow this: look at `grants.http.auth`, and let its user write to and create the indexes",
        ),
        404 if error.kind == "index_not_found_exception" && is_forbidden_to_create(&error.reason) => {
            Verdict::Misconfigured(NO_INDEX)
        }
        404 if error.kind == "index_not_found_exception" => Verdict::NoIndex,
        408 | 429 | 500..=599 => Verdict::Later,
        _ => Verdict::Rejected,
    }
}

/// A block on everything, or on what a full disk holds up, passes. One that somebody set on an index (an old month made
/// read-only, or closed) stays: its late documents must not hold up all others.
fn blocked(reason: &str) -> Verdict {
    let set_on_the_index = ["/index write (api)", "/index read-only (api)", "/index closed"];
    if set_on_the_index.iter().any(|block| reason.contains(block)) { Verdict::Rejected } else { Verdict::Later }
}

fn is_forbidden_to_create(reason: &str) -> bool {
    ["auto_create_index", "auto creation"].iter().any(|text| reason.contains(text))
}

/// The text without line breaks, and not longer than a log line should be.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= MAX_REASON_BYTES {
        return line;
    }
    let mut end = MAX_REASON_BYTES;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", line.get(..end).unwrap_or_default())
}
