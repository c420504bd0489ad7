//! HTTP to the server that a binding names. The host knows the address and the credentials.
//!
//! `binding` is always the name that the stage's bindings list.

use crate::CapabilityError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::http as host;
pub use crate::bindings::http::{Method, Request, Response};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::http as host;

/// Sends requests, several at once, and waits for all of them: one answer each, in their order. Any status is an answer.
///
/// # Errors
///
/// The binding is not granted. An error inside is about one request: [`CapabilityError::Temporary`] where no whole
/// answer came (what was asked for may have been done).
pub fn send(binding: &str, requests: &[Request]) -> Result<Vec<Result<Response, CapabilityError>>, CapabilityError> {
    let answers = host::send(binding, requests)?;
    Ok(answers.into_iter().map(|answer| answer.map_err(CapabilityError::from)).collect())
}
