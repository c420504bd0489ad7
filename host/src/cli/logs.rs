//! What the host tells its operator: text on a terminal, JSON elsewhere or on request. Always on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Starts logging. A filter that cannot be read is replaced by `info`, with a word about it.
pub fn init(format: Option<Format>, filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let wrong = parsed.as_ref().err().map(ToString::to_string);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(stderr);
    let terminal = stderr().is_terminal();
    // A logger that is already there (a test's) stays.
    let _ = match format.unwrap_or(if terminal { Format::Text } else { Format::Json }) {
        Format::Text => subscriber.with_ansi(terminal).with_target(false).compact().try_init(),
        Format::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if let Some(reason) = wrong {
        tracing::warn!(filter, reason, "the log filter cannot be read, using `info`");
    }
}
