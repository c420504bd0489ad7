use std::collections::VecDeque;

use rayline_sdk::CapabilityError;
use rayline_sdk::objects::{self, Object};

use crate::OBJECTS;
use crate::selection::Selection;

/// How many objects are asked for at once: what S3 gives.
const PAGE: u32 = 1000;

/// So many objects the host is told of before they are opened, and again when half of them have been.
const AHEAD: usize = 64;

/// The selected objects, in byte order of their keys.
#[derive(Default)]
pub struct Listing {
    after: Option<String>,
    page: VecDeque<Object>,
    ended: bool,
    /// How many more are opened before the host is told which come next.
    told: usize,
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
            if is_no_message(&object) {
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

impl Listing {
    /// The next object, which is going to be opened: the host is told of those behind it.
    pub fn next_to_open(&mut self, selection: &Selection) -> Result<Option<Object>, CapabilityError> {
        let next = self.next(selection)?;
        self.told = self.told.saturating_sub(1);
        if let Some(object) = &next
            && self.told == 0
        {
            let coming =
                self.page.iter().filter(|object| !is_no_message(object) && selection.excluded(&object.key).is_none());
            let keys = std::iter::once(object).chain(coming).map(|object| object.key.clone());
            let keys: Vec<String> = keys.take(AHEAD).collect();
            objects::read_ahead(OBJECTS, &keys)?;
            self.told = keys.len().min(AHEAD / 2);
        }
        Ok(next)
    }
}

/// How the names of objects begin that `rayline validate` and `rayline doctor` write, and where they may not delete leave
/// behind.
const PROBE: &str = "rayline-validate-";

/// Whether some tool put it there to show a folder, or a check to see whether it can.
fn is_no_message(object: &Object) -> bool {
    let name = object.key.rsplit('/').next().unwrap_or_default();
    name.is_empty() || name.starts_with(PROBE)
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
