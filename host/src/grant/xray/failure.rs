//! Why a call to AWS failed, and what that means.

use std::fmt;
use std::time::Duration;

use aws_sdk_xray::config::http::HttpResponse;
use aws_sdk_xray::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{Error, Temporary};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::grant) struct Failure {
    pub(in crate::grant) kind: FailureKind,
    /// AWS's name for it, if it has one.
    pub(in crate::grant) code: String,
    /// AWS's words. Those of a call that was refused may name roles and servers.
    pub(in crate::grant) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grant) enum FailureKind {
    /// Too many calls.
    Throttled,
    /// No connection, or no answer, in the time that there is for one.
    Hanging,
    /// Unreachable, broken off, credentials that are just being renewed.
    Temporary,
    /// The credentials, or what they may do.
    Refused,
    /// What this call asked for.
    Invalid,
    /// There is no such thing.
    NotFound,
}

/// What AWS's codes hold that speak of too many calls.
const THROTTLED: [&str; 5] = ["Throttl", "TooManyRequests", "LimitExceeded", "RequestLimit", "SlowDown"];

/// What AWS's codes hold that speak of something that is over soon.
const TEMPORARY: [&str; 5] = ["Expired", "ServiceUnavailable", "Internal", "RequestTimeout", "ServiceFailure"];

/// What AWS's codes hold, and the SDK's words where it did not come to a call, that speak of credentials and rights.
const REFUSED: [&str; 9] = [
    "AccessDenied",
    "Unauthorized",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "SignatureDoesNotMatch",
    "Kms",
    "OptInRequired",
    "no providers in chain provided credentials",
];

/// For how long an API of an account and region is left alone that hangs. What waits for one that hangs takes room from others.
pub(super) const AFTER_HANGING: Duration = Duration::from_secs(20);

/// How long to leave those alone that refuse, until somebody has seen to it.
const AFTER_REFUSAL_MS: u32 = 60_000;

impl Failure {
    pub(super) fn new(kind: FailureKind, reason: impl Into<String>) -> Failure {
        Failure { kind, code: String::new(), reason: reason.into() }
    }

    /// As a guest is told. AWS's words about credentials and connections are not for it. What is refused is mended by a
    /// person, and what waits meanwhile is not lost: it is temporary.
    pub(super) fn for_guest(&self) -> Error {
        let temporary = |reason: &str, after_ms| Error::Temporary(Temporary { reason: reason.to_owned(), after_ms });
        match self.kind {
            FailureKind::Throttled => temporary("the account's calls are throttled", None),
            FailureKind::Hanging => {
                let after_ms = u32::try_from(AFTER_HANGING.as_millis()).ok();
                temporary("the service does not answer; the host's log says why", after_ms)
            }
            FailureKind::Temporary => temporary("the service failed; the host's log says why", None),
            FailureKind::Refused => {
                temporary("the account cannot be asked; the host's log says why", Some(AFTER_REFUSAL_MS))
            }
            FailureKind::Invalid => Error::Permanent(self.reason.clone()),
            FailureKind::NotFound => Error::NotFound(self.reason.clone()),
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
                let code = meta.code().unwrap_or_default().to_owned();
                let kind = kind(&code, status);
                let reason = match meta.message() {
                    Some(message) if code.is_empty() => message.to_owned(),
                    Some(message) => format!("{code}: {message}"),
                    None => format!("{code} (HTTP {status})"),
                };
                Failure { kind, code, reason }
            }
            // A role that cannot be assumed is an error of making the request.
            None => {
                let reason = DisplayErrorContext(&error).to_string();
                let is_refused = REFUSED.iter().any(|word| reason.contains(word));
                let is_hanging = match &error {
                    SdkError::TimeoutError(_) => true,
                    SdkError::DispatchFailure(failure) => failure.is_timeout(),
                    _ => false,
                };
                let kind = if is_refused {
                    FailureKind::Refused
                } else if is_hanging {
                    FailureKind::Hanging
                } else {
                    FailureKind::Temporary
                };
                Failure::new(kind, reason)
            }
        }
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
    if holds_one_of(&THROTTLED) || status == 429 {
        FailureKind::Throttled
    } else if holds_one_of(&TEMPORARY) || status >= 500 {
        FailureKind::Temporary
    } else if holds_one_of(&REFUSED) || matches!(status, 401 | 403) {
        FailureKind::Refused
    } else if code.ends_with("DoesNotExist") || code.contains("NotFound") {
        FailureKind::NotFound
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
            ("ThrottledException", 429, FailureKind::Throttled),
            ("ThrottlingException", 400, FailureKind::Throttled),
            ("", 429, FailureKind::Throttled),
            ("KmsThrottlingException", 400, FailureKind::Throttled),
            ("ExpiredTokenException", 403, FailureKind::Temporary),
            ("InternalFailure", 500, FailureKind::Temporary),
            ("", 503, FailureKind::Temporary),
            ("AccessDeniedException", 403, FailureKind::Refused),
            ("AccessDeniedException", 400, FailureKind::Refused),
            ("UnrecognizedClientException", 400, FailureKind::Refused),
            ("KmsAccessDeniedException", 400, FailureKind::Refused),
            ("InvalidRequestException", 400, FailureKind::Invalid),
            ("InvalidArn", 400, FailureKind::Invalid),
            ("StateMachineTypeNotSupported", 400, FailureKind::Invalid),
            ("ExecutionDoesNotExist", 400, FailureKind::NotFound),
            ("ResourceNotFoundException", 404, FailureKind::NotFound),
        ] {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }
}
