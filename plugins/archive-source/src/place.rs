use rayline_sdk::log;
use serde::{Deserialize, Serialize};

use crate::Options;

/// How far the replay is: its checkpoint.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// What is replayed. Of something else, nothing has been read yet.
    options: Options,
    /// How many objects have been read to their ends.
    pub done: u64,
    /// The last of them.
    pub after: Option<String>,
    /// The object being read.
    key: Option<String>,
    /// How many of its messages have been read.
    pub messages: u64,
}

impl Place {
    /// Goes on at a checkpoint, if it is of the same replay and that has not ended.
    pub fn resume(checkpoint: Option<&str>, options: Options) -> Self {
        // How fast makes no other replay.
        let start = Self { options: Options { rate_per_sec: None, ..options }, ..Self::default() };
        let Some(checkpoint) = checkpoint.filter(|text| !text.is_empty()) else { return start };
        match serde_json::from_str::<Self>(checkpoint) {
            Ok(place) if place.options == start.options => place,
            _ => {
                log::info("the checkpoint is of another replay: starting at the first object", &[]);
                start
            }
        }
    }

    /// Text for [`Place::resume`]. A replay that has ended leaves none behind: run again, it begins again.
    pub fn checkpoint(&self, ended: bool) -> String {
        if ended { String::new() } else { serde_json::to_string(self).unwrap_or_default() }
    }

    /// An object is read from its beginning, unless it is the one that was being read.
    pub fn enter(&mut self, key: &str) {
        if self.key.as_deref() != Some(key) {
            self.key = Some(key.to_owned());
            self.messages = 0;
        }
    }

    /// An object has been read to its end.
    pub fn leave(&mut self, key: String) {
        self.done += 1;
        self.after = Some(key);
        self.key = None;
        self.messages = 0;
    }
}
