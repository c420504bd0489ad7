//! `elasticsearch-sink`.
//!
//! - `answers`: against `fake`, which answers as a healthy cluster never does.
//! - `real`: against real servers.
//! - `security`: passwords, keys and certificates.

mod answers;
mod fake;
mod real;
mod security;

use std::path::Path;

use crate::harness::{Letter, World, letters};

/// Messages through `flatten` into an index, and into files that say what the index must hold.
fn pipeline(data_dir: &str, source: &str, documents: &str, index: &str) -> String {
    format!(
        r#"
        data_dir = "{data_dir}"
        api.address = "127.0.0.1:0"
        dead_letter.probe_secs = 1

        [sources.in]
        {source}

        [transforms.flatten]
        plugin = "flatten"
        inputs = ["in"]

        [sinks.documents]
        plugin = "file-sink"
        inputs = ["flatten"]
        grants.objects = "file:{documents}"
        options.format = "event"

        [sinks.index]
        plugin = "elasticsearch-sink"
        inputs = ["flatten"]
        retry = {{ initial_secs = 0.05, max_secs = 0.2 }}
        {index}
        "#
    )
}

/// A source that ends with these messages.
fn files(world: &World, folder: &str, messages: &[Vec<u8>]) -> String {
    for (n, message) in messages.iter().enumerate() {
        world.write(&format!("{folder}/{n:04}.json"), message);
    }
    format!("plugin = \"archive-source\"\ngrants.objects = \"file:{folder}\"")
}

/// The dead letters below a folder that a server refused. The samples have messages that `flatten` rejects before.
fn refused(folder: &Path) -> Vec<Letter> {
    letters(folder).into_iter().filter(|letter| letter.reason.starts_with("400: ")).collect()
}
