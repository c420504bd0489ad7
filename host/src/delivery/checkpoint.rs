//! Where a source goes on after a restart.
//!
//! A reading's checkpoint is saved only when its own tickets, and all handed out before, are settled as done.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use fail::fail_point;
use tokio::time::Instant;

use crate::stage::Settlement;

/// The readings of one source instance that are not settled yet, in order.
#[derive(Default)]
pub struct Readings {
    open: VecDeque<Reading>,
    first: u64,
    by_ticket: HashMap<u64, u64>,
    /// Something was released and must come again: no later checkpoint is safe any more.
    released: bool,
}

struct Reading {
    at: Instant,
    unsettled: usize,
    released: bool,
    checkpoint: Option<String>,
}

impl Readings {
    /// A reading was handed out. Returns its checkpoint at once when nothing is owed for it.
    pub fn add(&mut self, tickets: &[u64], checkpoint: Option<String>) -> Option<String> {
        let number = self.first + self.open.len() as u64;
        self.by_ticket.extend(tickets.iter().map(|ticket| (*ticket, number)));
        self.open.push_back(Reading { at: Instant::now(), unsettled: tickets.len(), released: false, checkpoint });
        self.advance()
    }

    /// A ticket was settled. Returns the checkpoint that is now safe to save, if it moved.
    pub fn settle(&mut self, settled: Settlement) -> Option<String> {
        let number = self.by_ticket.remove(&settled.ticket)?;
        let reading = self.open.get_mut(usize::try_from(number - self.first).ok()?)?;
        reading.unsettled -= 1;
        reading.released |= !settled.done;
        self.advance()
    }

    /// Since when the oldest unsettled reading waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.open.front().map(|reading| reading.at)
    }

    /// Whether everything that was handed out is settled as done.
    pub fn all_done(&self) -> bool {
        self.open.is_empty() && !self.released
    }

    /// A released ticket must come again, so no checkpoint at or after its reading is ever safe.
    fn advance(&mut self) -> Option<String> {
        let mut safe = None;
        while let Some(reading) = self.open.pop_front_if(|reading| reading.unsettled == 0) {
            self.first += 1;
            self.released |= reading.released;
            if !self.released {
                safe = reading.checkpoint.or(safe);
            }
        }
        safe
    }
}

/// The file that holds one source instance's checkpoint.
pub struct CheckpointFile(PathBuf);

impl CheckpointFile {
    /// `DATA_DIR/checkpoints/PIPELINE/SOURCE-INSTANCE`.
    pub fn new(data_dir: &Path, pipeline: &str, source: &str, instance: u32) -> Self {
        CheckpointFile(data_dir.join("checkpoints").join(pipeline).join(format!("{source}-{instance}")))
    }

    /// The last one saved, if any.
    pub fn load(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces it, durably: a crash leaves the old one or the new one, whole.
    pub fn save(&self, checkpoint: &str) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let new = self.0.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(checkpoint.as_bytes())?;
        file.sync_all()?;
        fail_point!("before-checkpoint-rename", |_| crate::failpoint::stay("before-checkpoint-rename"));
        fs::rename(&new, &self.0)?;
        fs::File::open(folder)?.sync_all()
    }

    /// A finished source begins anew the next time.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_waits_for_all_before_it() {
        let done = |ticket| Settlement { ticket, done: true };
        let mut readings = Readings::default();
        assert_eq!(readings.add(&[], Some("a".into())), Some("a".into()));
        assert_eq!(readings.add(&[1, 2], Some("b".into())), None);
        assert_eq!(readings.add(&[3], Some("c".into())), None);
        assert_eq!(readings.add(&[4], Some("d".into())), None);
        assert_eq!(readings.settle(done(3)), None);
        assert_eq!(readings.settle(done(2)), None);
        assert!(!readings.all_done());
        assert_eq!(readings.settle(done(1)), Some("c".into()));
        assert_eq!(readings.settle(Settlement { ticket: 4, done: false }), None);
        assert_eq!(readings.add(&[], Some("e".into())), None, "what was released must come again");
        assert_eq!(readings.settle(done(9)), None);
        assert!(!readings.all_done());
    }

    #[test]
    fn nothing_is_kept_of_what_was_released() {
        let mut readings = Readings::default();
        assert!(readings.all_done());
        for ticket in 0..100 {
            assert_eq!(readings.add(&[ticket], Some(ticket.to_string())), None);
            assert_eq!(readings.settle(Settlement { ticket, done: ticket != 1 }), (ticket == 0).then(|| "0".into()));
            assert_eq!((readings.open.len(), readings.by_ticket.len()), (0, 0));
        }
        assert!(!readings.all_done());
    }

    #[test]
    fn a_file_is_replaced_whole_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = CheckpointFile::new(folder.path(), "replay", "archive", 0);
        assert_eq!(file.load().unwrap(), None);
        file.save("one").unwrap();
        file.save("two").unwrap();
        assert_eq!(file.load().unwrap().as_deref(), Some("two"));
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.load().unwrap(), None);
    }
}
