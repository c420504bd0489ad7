//! Builds the flat layout of a batch.

use std::hash::{DefaultHasher, Hasher};

use crate::bindings::types::{Batch, Entry};

/// A batch under construction. The event being written is what the buffers hold beyond the last entry's ends.
pub(crate) struct Flat {
    batch: Batch,
    /// One hash for each label set: comparing these first keeps the search cheap.
    hashes: Vec<u64>,
    /// The label set that was used last.
    recent: usize,
    /// Where the last finished event's body ends.
    body_end: usize,
    broken: Option<&'static str>,
}

/// How far a batch had got.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    entries: usize,
    ids: usize,
    attrs: usize,
    body_end: usize,
}

/// What an event has besides labels and body.
pub(crate) struct Head<'a> {
    pub origin: u32,
    pub attrs: &'a str,
    pub id: &'a str,
    pub time: u64,
    pub version: u64,
}

impl Flat {
    /// An empty batch with room for so many events and so many bytes of bodies.
    pub fn with_capacity(events: usize, body_bytes: usize) -> Flat {
        Flat {
            batch: Batch {
                label_sets: Vec::new(),
                entries: Vec::with_capacity(events),
                ids: String::new(),
                attrs: String::new(),
                bodies: Vec::with_capacity(body_bytes),
            },
            hashes: Vec::new(),
            recent: 0,
            body_end: 0,
            broken: None,
        }
    }

    /// Where the next body is written, after those that are there.
    pub fn body(&mut self) -> &mut Vec<u8> {
        self.batch.bodies.truncate(self.body_end);
        &mut self.batch.bodies
    }

    /// Ends the event whose body has been written.
    pub fn finish(&mut self, label_set: u32, head: &Head<'_>) {
        if self.batch.bodies.len() < self.body_end {
            self.broken = Some("the stage removed earlier events' bytes from the output: only append to body()");
            return;
        }
        self.batch.ids.push_str(head.id);
        self.batch.attrs.push_str(head.attrs);
        self.body_end = self.batch.bodies.len();
        let (id_end, attr_end) = (self.end(self.batch.ids.len()), self.end(self.batch.attrs.len()));
        let body_end = self.end(self.body_end);
        self.batch.entries.push(Entry {
            labels: label_set,
            origin: head.origin,
            time: head.time,
            version: head.version,
            id_end,
            attr_end,
            body_end,
        });
    }

    /// The number of the set with these labels, in this order.
    pub fn label_set<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> u32 {
        // Most events have the labels of the one before.
        if self.has_labels(self.recent, labels.clone()) {
            return self.recent as u32;
        }
        let hash = hash(labels.clone());
        let known = self.batch.label_sets.len();
        for place in (self.recent..known).chain(0..self.recent) {
            if self.hashes.get(place) == Some(&hash) && self.has_labels(place, labels.clone()) {
                self.recent = place;
                return place as u32;
            }
        }
        self.batch.label_sets.push(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
        self.hashes.push(hash);
        self.recent = known;
        known as u32
    }

    pub fn len(&self) -> usize {
        self.batch.entries.len()
    }

    pub fn body_bytes(&self) -> usize {
        self.body_end
    }

    pub fn mark(&self) -> Mark {
        Mark {
            entries: self.batch.entries.len(),
            ids: self.batch.ids.len(),
            attrs: self.batch.attrs.len(),
            body_end: self.body_end,
        }
    }

    /// Forgets the events since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.batch.entries.truncate(mark.entries);
        self.batch.ids.truncate(mark.ids);
        self.batch.attrs.truncate(mark.attrs);
        self.batch.bodies.truncate(mark.body_end);
        self.body_end = mark.body_end;
    }

    /// The batch, or what the stage did wrong.
    pub fn into_batch(mut self) -> Result<Batch, &'static str> {
        self.body();
        self.broken.map_or(Ok(self.batch), Err)
    }

    fn end(&mut self, length: usize) -> u32 {
        u32::try_from(length).unwrap_or_else(|_| {
            self.broken = Some("the output of one call is larger than 4 GiB");
            u32::MAX
        })
    }

    fn has_labels<'a>(&self, place: usize, labels: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let Some(known) = self.batch.label_sets.get(place) else { return false };
        let mut known = known.iter();
        let same = labels.into_iter().all(|(key, value)| known.next().is_some_and(|(k, v)| k == key && v == value));
        same && known.next().is_none()
    }
}

/// Labels come from input, but a collision only costs a comparison: the hash needs no secret.
fn hash<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in labels.flat_map(|(key, value)| [key, value]) {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}
