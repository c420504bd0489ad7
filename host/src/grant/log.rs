//! A stage's own lines in the host's log, and the last words of one that breaks off.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{debug, error, info, trace, warn};

use super::State;
use crate::stage::bindings::log::{self, Level};

/// What a guest said last in the current call. The reason of a trap is made of it, since the trap itself (a bare
/// `unreachable`) says nothing.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Words>>);

/// What a guest said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Words {
    /// Nothing.
    #[default]
    None,
    /// The last line of its standard error.
    Stderr(String),
    /// Its panic hook logged this.
    Panic(String),
}

impl LastWords {
    /// A panic is worth more than what is written after it.
    pub(crate) fn say(&self, words: Words) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!((&*last, &words), (Words::Panic(_), Words::Stderr(_))) {
            *last = words;
        }
    }

    /// Takes what was said since the last time.
    pub(crate) fn take(&self) -> Words {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl log::Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        if level == Level::Error && fields.iter().any(|(key, value)| key == "panic" && value == "true") {
            self.last_words.say(Words::Panic(message.clone()));
        }
        line(self.stage(), self.instance, level, &message, &fields);
        Ok(())
    }
}

/// One event of the host's log. Its name of a stage cannot be forged: only the text comes from the guest.
pub(super) fn line(stage: &str, instance: u64, level: Level, message: &str, fields: &[(String, String)]) {
    let mut text = message.to_owned();
    for (key, value) in fields {
        // Into a string: it cannot fail.
        let _ = write!(text, " {key}={value:?}");
    }
    match level {
        Level::Trace => trace!(target: "stage", stage, instance, "{text}"),
        Level::Debug => debug!(target: "stage", stage, instance, "{text}"),
        Level::Info => info!(target: "stage", stage, instance, "{text}"),
        Level::Warn => warn!(target: "stage", stage, instance, "{text}"),
        Level::Error => error!(target: "stage", stage, instance, "{text}"),
    }
}
