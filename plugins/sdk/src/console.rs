//! The host's standard output.

use crate::CapabilityError;
#[cfg(target_arch = "wasm32")]
use crate::bindings::console as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::console as host;

/// Writes the bytes as they are, and flushes. Writes of several stages do not mix.
pub fn write(binding: &str, bytes: &[u8]) -> Result<(), CapabilityError> {
    Ok(host::write(binding, bytes)?)
}
