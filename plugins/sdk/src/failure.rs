//! Why a call failed.

use std::io;
use std::time::Duration;

use crate::CapabilityError;
use crate::bindings::types;

/// Why a call failed, and what the host should do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// For the time being: the host calls again with the same events.
    Retry {
        /// What went wrong, for the log and the metrics.
        reason: String,
        /// How long to wait. `None`: the host's own backoff decides.
        after: Option<Duration>,
    },
    /// For good, and because of these events: they go to the dead letter. From `open` it is the same as [`Failure::Fatal`].
    Reject(String),
    /// For good, whatever the events: the configuration or the stage is wrong. The pipeline stops.
    Fatal(String),
}

impl Failure {
    /// Try again later, when the host thinks fit.
    pub fn retry(reason: impl Into<String>) -> Failure {
        Failure::Retry { reason: reason.into(), after: None }
    }

    /// Try again after a while.
    pub fn retry_after(reason: impl Into<String>, after: Duration) -> Failure {
        Failure::Retry { reason: reason.into(), after: Some(after) }
    }

    /// These events can never be processed.
    pub fn reject(reason: impl Into<String>) -> Failure {
        Failure::Reject(reason.into())
    }

    /// Nothing can be processed.
    pub fn fatal(reason: impl Into<String>) -> Failure {
        Failure::Fatal(reason.into())
    }
}

/// What an event holds cannot be read: the event is rejected.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::Reject(error.to_string())
    }
}

/// From reading or writing an object: what the capability said, as [`CapabilityError`] becomes a failure. Anything else
/// is about what was read: the event is rejected.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.downcast::<CapabilityError>() {
            Ok(error) => error.into(),
            Err(error) => Failure::Reject(error.to_string()),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> types::Failure {
        match failure {
            Failure::Retry { reason, after } => types::Failure::Retry(later(reason, after)),
            Failure::Reject(reason) => types::Failure::Reject(reason),
            Failure::Fatal(reason) => types::Failure::Fatal(reason),
        }
    }
}

pub(crate) fn later(reason: String, after: Option<Duration>) -> types::Later {
    types::Later { reason, after_ms: after.map(millis) }
}

/// Whole milliseconds, as many as fit.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
