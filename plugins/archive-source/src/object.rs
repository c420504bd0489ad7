use std::io::BufRead;

use rayline_message::{Line, Partition};
use rayline_sdk::objects::{self, Download, Object};
use rayline_sdk::{CapabilityError, Failure};

use crate::frames::Frames;
use crate::{OBJECTS, unreadable};

/// A longer message is not read: it would have to be held in memory, several times over. Whatever `archive-sink` wrote is.
const MESSAGE_BYTES: usize = Line::MOST_BYTES;

/// One message in an object.
pub struct Found<'a> {
    pub bytes: &'a [u8],
    /// Its place in the object, from 1.
    pub number: u64,
    /// What the folders that the object lies in say.
    pub partition: &'a Partition,
}

/// An object being read from its beginning.
pub struct OpenObject {
    key: String,
    partition: Partition,
    download: Download,
    frames: Frames,
    number: u64,
}

impl OpenObject {
    pub fn new(object: &Object) -> Result<Self, CapabilityError> {
        Ok(Self {
            key: object.key.clone(),
            partition: Partition::of(&object.key),
            download: objects::open(OBJECTS, &object.key)?,
            frames: Frames::of(&object.key),
            number: 0,
        })
    }

    /// The next message. `None` at the end.
    pub fn next(&mut self) -> Result<Option<Found<'_>>, Failure> {
        while !self.frames.find() {
            if self.frames.ended() {
                return Ok(None);
            }
            if self.frames.unfinished() > MESSAGE_BYTES {
                return Err(Failure::fatal(format!(
                    "object {}: message {} is longer than {MESSAGE_BYTES} bytes; move the object away and start again, \
                     the replay goes on where it was",
                    self.key,
                    self.number + 1
                )));
            }
            let read = match self.download.fill_buf() {
                Ok(bytes) => self.frames.push(bytes),
                Err(error) => {
                    let error = error.downcast().unwrap_or_else(|error| CapabilityError::Permanent(error.to_string()));
                    return Err(unreadable(&self.key, error));
                }
            };
            self.download.consume(read);
        }
        self.number += 1;
        Ok(Some(Found { bytes: self.frames.take(), number: self.number, partition: &self.partition }))
    }
}
