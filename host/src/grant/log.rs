//! A stage's own lines in the host's log, and the last words of one that breaks off.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, trace, warn};

use super::State;
use crate::stage::bindings::log::{self, Level};

/// Where the lines of one instance go: those that it logs, and those of its standard output and error.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Inner>);

struct Inner {
    stage: String,
    instance: u64,
    state: Mutex<Told>,
}

/// What an instance said so far.
struct Told {
    last: Words,
    second: Instant,
    lines: u32,
    left_out: u32,
}

/// What a guest said last in the current call. The reason of a trap is made of it, since the trap itself (a bare
/// `unreachable`) says nothing.
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

/// An instance that says more in a second is cut short: a line for each event of a fast pipeline would fill the disk.
const LINES_PER_SECOND: u32 = 100;

/// A longer line is cut.
pub(super) const LINE_BYTES: usize = 16 << 10;

impl Journal {
    pub(super) fn new(stage: &str, instance: u64) -> Journal {
        let told = Told { last: Words::None, second: Instant::now(), lines: 0, left_out: 0 };
        Journal(Arc::new(Inner { stage: stage.to_owned(), instance, state: Mutex::new(told) }))
    }

    /// Takes what was said last since the last time.
    pub(crate) fn last_words(&self) -> Words {
        std::mem::take(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner).last)
    }

    /// A panic is worth more than what is written after it.
    pub(super) fn remember(&self, words: Words) {
        let last = &mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner).last;
        if !matches!((&*last, &words), (Words::Panic(_), Words::Stderr(_))) {
            *last = words;
        }
    }

    /// Writes one line, with the stage's name, which comes from the pipeline and not from the guest.
    pub(super) fn line(&self, level: Level, text: &str) {
        let left_out = match self.0.state.lock().unwrap_or_else(PoisonError::into_inner).admit() {
            Some(left_out) => left_out,
            None => return,
        };
        let Inner { stage, instance, .. } = &*self.0;
        if left_out > 0 {
            warn!(target: "stage", stage, instance, "{left_out} lines were left out: more than {LINES_PER_SECOND} in a second");
        }
        let text = text.get(..text.floor_char_boundary(LINE_BYTES)).unwrap_or(text);
        // A line feed in it would begin a line of the host's own log, which a guest could forge.
        let text = text.replace(|c: char| c.is_control() && c != '\t', " ");
        match level {
            Level::Trace => trace!(target: "stage", stage, instance, "{text}"),
            Level::Debug => debug!(target: "stage", stage, instance, "{text}"),
            Level::Info => info!(target: "stage", stage, instance, "{text}"),
            Level::Warn => warn!(target: "stage", stage, instance, "{text}"),
            Level::Error => error!(target: "stage", stage, instance, "{text}"),
        }
    }
}

impl Told {
    /// Whether one more line may be written; if so, how many were left out before it.
    fn admit(&mut self) -> Option<u32> {
        let mut left_out = 0;
        if self.second.elapsed() >= Duration::from_secs(1) {
            left_out = std::mem::take(&mut self.left_out);
            self.second = Instant::now();
            self.lines = 0;
        }
        if self.lines >= LINES_PER_SECOND {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(left_out)
    }
}

impl log::Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        if level == Level::Error && fields.iter().any(|(key, value)| key == "panic" && value == "true") {
            self.journal.remember(Words::Panic(message.clone()));
        }
        let mut text = message;
        for (key, value) in &fields {
            // Into a string: it cannot fail.
            let _ = write!(text, " {key}={value:?}");
        }
        self.journal.line(level, &text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_short_and_counted() {
        let mut told = Told { last: Words::None, second: Instant::now(), lines: 0, left_out: 0 };
        let admitted = (0..500).filter(|_| told.admit().is_some()).count();
        assert_eq!(admitted, LINES_PER_SECOND as usize);
        told.second = Instant::now() - Duration::from_secs(2);
        assert_eq!(told.admit(), Some(500 - LINES_PER_SECOND));
    }

    #[test]
    fn a_panic_is_not_lost_in_what_is_written_after_it() {
        let journal = Journal::new("flatten", 0);
        journal.remember(Words::Stderr("before".to_owned()));
        journal.remember(Words::Panic("panicked at src/lib.rs:1:2: no".to_owned()));
        journal.remember(Words::Stderr("after".to_owned()));
        assert_eq!(journal.last_words(), Words::Panic("panicked at src/lib.rs:1:2: no".to_owned()));
        assert_eq!(journal.last_words(), Words::None);
    }
}
