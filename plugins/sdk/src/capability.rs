//! What the capabilities share.

use std::fmt;
use std::time::Duration;

use crate::Failure;
use crate::bindings::capability::Error;

/// Why a capability call failed.
///
/// `?` makes it a [`Failure`]: what is for the time being is retried, everything else stops the pipeline. A stage that
/// knows better matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapabilityError {
    /// The binding is optional and the pipeline does not grant it, or the stage does not list it in its bindings.
    NotGranted(String),
    /// There is no such object, message or handle.
    NotFound(String),
    /// Somebody else changed it first.
    Conflict(String),
    /// For the time being: throttled, timed out, unreachable.
    Temporary {
        /// What went wrong.
        reason: String,
        /// How long the other side asks to wait.
        after: Option<Duration>,
    },
    /// For good: refused, malformed, too large.
    Permanent(String),
}

impl fmt::Display for CapabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CapabilityError::NotGranted(text) => write!(f, "not granted: {text}"),
            CapabilityError::NotFound(text) => write!(f, "not found: {text}"),
            CapabilityError::Conflict(text) => write!(f, "conflict: {text}"),
            CapabilityError::Temporary { reason: text, .. } | CapabilityError::Permanent(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CapabilityError {}

impl From<CapabilityError> for Failure {
    fn from(error: CapabilityError) -> Failure {
        match error {
            CapabilityError::Temporary { reason, after } => Failure::Retry { reason, after },
            CapabilityError::Conflict(_) => Failure::retry(error.to_string()),
            _ => Failure::Fatal(error.to_string()),
        }
    }
}

/// For `std::io` writers and readers over a capability. The error itself stays inside: [`std::io::Error::downcast`].
impl From<CapabilityError> for std::io::Error {
    fn from(error: CapabilityError) -> std::io::Error {
        std::io::Error::other(error)
    }
}

impl From<Error> for CapabilityError {
    fn from(error: Error) -> CapabilityError {
        match error {
            Error::NotGranted(text) => CapabilityError::NotGranted(text),
            Error::NotFound(text) => CapabilityError::NotFound(text),
            Error::Conflict(text) => CapabilityError::Conflict(text),
            Error::Temporary(temporary) => CapabilityError::Temporary {
                reason: temporary.reason,
                after: temporary.after_ms.map(|ms| Duration::from_millis(ms.into())),
            },
            Error::Permanent(text) => CapabilityError::Permanent(text),
        }
    }
}
