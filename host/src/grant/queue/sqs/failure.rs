//! Why a call to SQS failed, and what that means.

use std::fmt;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

use crate::stage::bindings::capability::{Error, Temporary};

/// Why a call, or one entry of a batch, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    /// AWS's words.
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Throttled, timed out, unreachable, credentials that are just being renewed.
    Temporary,
    /// The queue or the credentials: every call fails so.
    Refused,
    /// What this call asked for.
    Invalid,
}

/// What AWS's codes hold that speak of something that is over soon: throttling in all its spellings, credentials that
/// expired between two renewals, trouble of its own.
const TEMPORARY: [&str; 8] = [
    "Throttl",
    "TooManyRequests",
    "OverLimit",
    "SlowDown",
    "Expired",
    "ServiceUnavailable",
    "Internal",
    "RequestTimeout",
];

/// What AWS's codes hold that every call will be told.
const REFUSED: [&str; 10] = [
    "NonExistentQueue",
    "QueueDoesNotExist",
    "AccessDenied",
    "Unauthorized",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidAddress",
    "Kms",
    "KMS.",
];

impl Failure {
    /// Of one entry of a batch.
    pub(super) fn of_entry(error: &BatchResultErrorEntry) -> Failure {
        let kind = if error.sender_fault() { kind(error.code(), 400) } else { FailureKind::Temporary };
        Failure { kind, reason: format!("{}: {}", error.code(), error.message().unwrap_or("no reason given")) }
    }

    pub(super) fn invalid(reason: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Invalid, reason: reason.into() }
    }

    pub(super) fn temporary(reason: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Temporary, reason: reason.into() }
    }

    /// As a guest is told of one message. AWS's words for what every call is told may name the queue: they are not for it.
    pub(super) fn for_guest(self) -> Error {
        match self.kind {
            FailureKind::Temporary => {
                let reason = "the queue failed; the host's log says why".to_owned();
                Error::Temporary(Temporary { reason, after_ms: None })
            }
            FailureKind::Refused => Error::Permanent("the queue cannot be used; the host's log says why".to_owned()),
            FailureKind::Invalid => Error::Permanent(self.reason),
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Failure {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        match error.as_service_error().map(ProvideErrorMetadata::meta) {
            Some(meta) => {
                let code = meta.code().unwrap_or_default();
                let reason = format!("{code}: {}", meta.message().unwrap_or("no reason given"));
                Failure { kind: kind(code, status), reason }
            }
            None => Failure::temporary(DisplayErrorContext(&error).to_string()),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Failure {
        Failure::invalid(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What a code of AWS means, with the status of the answer.
fn kind(code: &str, status: u16) -> FailureKind {
    let holds_one_of = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if holds_one_of(&TEMPORARY) || status >= 500 || status == 429 {
        FailureKind::Temporary
    } else if holds_one_of(&REFUSED) || matches!(status, 401 | 403) {
        FailureKind::Refused
    } else {
        FailureKind::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_codes_mean() {
        for (code, status, expected) in [
            ("RequestThrottled", 403, FailureKind::Temporary),
            ("ThrottlingException", 400, FailureKind::Temporary),
            ("KMS.ThrottlingException", 400, FailureKind::Temporary),
            ("ExpiredToken", 403, FailureKind::Temporary),
            ("RequestExpired", 400, FailureKind::Temporary),
            ("InternalError", 500, FailureKind::Temporary),
            ("", 503, FailureKind::Temporary),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, FailureKind::Refused),
            ("AccessDenied", 403, FailureKind::Refused),
            ("InvalidClientTokenId", 403, FailureKind::Refused),
            ("KMS.AccessDeniedException", 400, FailureKind::Refused),
            ("SignatureDoesNotMatch", 403, FailureKind::Refused),
            ("InvalidParameterValue", 400, FailureKind::Invalid),
            ("AWS.SimpleQueueService.BatchRequestTooLong", 400, FailureKind::Invalid),
            ("ReceiptHandleIsInvalid", 404, FailureKind::Invalid),
        ] {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }
}
