use std::collections::VecDeque;

use rayline_sdk::CapabilityError;
use rayline_sdk::objects::{self, Object};

use crate::OBJECTS;
use crate::selection::Selection;

/// How many objects are asked for at once: what S3 gives.
const PAGE: u32 = 1000;

/// The selected objects, in byte order of their keys.
#[derive(Default)]
pub struct Listing {
    after: Option<String>,
    page: VecDeque<Object>,
    ended: bool,
}

impl Listing {
    /// Those that come after a key.
    pub fn new(after: Option<String>) -> Self {
        Self { after, ..Self::default() }
    }

    pub fn next(&mut self, selection: &Selection) -> Result<Option<Object>, CapabilityError> {
        loop {
            let Some(object) = self.page.pop_front() else {
                if self.ended {
                    return Ok(None);
                }
                self.page = objects::list(OBJECTS, selection.prefix(), self.after.as_deref(), PAGE)?.into();
                match self.page.back() {
                    Some(last) => self.after = Some(last.key.clone()),
                    None => self.ended = true,
                }
                continue;
            };
            // A folder that some tool put there as an object of its own.
            if object.key.ends_with('/') {
                continue;
            }
            let Some(folder) = selection.excluded(&object.key) else { return Ok(Some(object)) };
            let next = self.page.partition_point(|object| object.key.starts_with(folder));
            self.page.drain(..next);
            if self.page.is_empty() {
                // Nothing in the folder is listed: no key in it comes after this.
                self.after = Some(format!("{folder}{}", char::MAX));
            }
        }
    }
}

/// How many objects are selected, counted beside the reading.
#[derive(Default)]
pub struct Count {
    listing: Listing,
    objects: u64,
    complete: bool,
}

impl Count {
    /// Counts about a page more.
    pub fn go_on(&mut self, selection: &Selection) -> Result<(), CapabilityError> {
        for _ in 0..PAGE {
            if self.complete {
                break;
            }
            match self.listing.next(selection)? {
                Some(_) => self.objects += 1,
                None => self.complete = true,
            }
        }
        Ok(())
    }

    /// The number, once it is known.
    pub fn total(&self) -> Option<u64> {
        self.complete.then_some(self.objects)
    }
}
