//! The host's standard output.

use std::io::Write;

use super::{State, not_granted};
use crate::stage::bindings::capability::Error;
use crate::stage::bindings::console;

impl console::Host for State {
    async fn write(&mut self, binding: String, bytes: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        if !self.grants.0.consoles.contains(&binding) {
            return Ok(Err(not_granted(&binding)));
        }
        // A reader that is slow (a pager) blocks the write, so it gets a thread that may block. The lock keeps the
        // writes of several stages apart.
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&bytes)?;
            stdout.flush()
        })
        .await?;
        Ok(written.map_err(|error| Error::Permanent(format!("standard output cannot be written: {error}"))))
    }
}
