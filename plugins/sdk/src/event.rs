//! What a stage is given: events as views into a flat batch.

use std::rc::Rc;
use std::{fmt, mem};

use serde_json::Value;

use crate::bindings::types;

/// One event. A view: copying it copies no text and no body.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// Its labels: kind, account, region, format.
    pub labels: Labels<'a>,
    /// A small JSON object, or nothing: `message_id`, `sent_at`, `received_at`, `receive_count`, `sender_id`,
    /// `sender_account`, `unresolved`, `object`.
    pub attrs: &'a str,
    /// Stays the same however often the event comes.
    pub id: &'a str,
    /// Its own time, in nanoseconds since 1970-01-01T00:00:00Z. 0: unknown.
    pub time: u64,
    /// A later state of the same id has a higher version.
    pub version: u64,
    /// JSON, unless the label `format` says otherwise.
    pub body: &'a [u8],
    pub(crate) index: u32,
    pub(crate) label_set: u32,
}

impl<'a> Event<'a> {
    /// The value of one label.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.labels.get(key)
    }

    /// The value of one attribute. Reads all of them each time.
    pub fn attr(&self, key: &str) -> Option<Value> {
        match serde_json::from_str(self.attrs).ok()? {
            Value::Object(mut object) => object.remove(key),
            _ => None,
        }
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("labels", &self.labels)
            .field("attrs", &self.attrs)
            .field("id", &self.id)
            .field("time", &self.time)
            .field("version", &self.version)
            .field("body", &String::from_utf8_lossy(self.body))
            .finish()
    }
}

/// The labels of one event. Keys are distinct.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels<'a>(&'a [(String, String)]);

impl<'a> Labels<'a> {
    /// The value of one label.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// All labels, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Events that came in one call.
pub struct Batch {
    /// Without its label sets.
    flat: types::Batch,
    label_sets: Rc<LabelSets>,
}

/// Shared with the output of a transform, which names them again.
pub(crate) type LabelSets = Vec<Vec<(String, String)>>;

impl Batch {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.flat.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flat.entries.is_empty()
    }

    /// The events, in the order in which the host gave them.
    pub fn iter(&self) -> Events<'_> {
        Events { batch: self, next: 0, id_end: 0, attr_end: 0, body_end: 0 }
    }

    /// How many bytes all bodies have.
    pub fn body_bytes(&self) -> usize {
        self.flat.bodies.len()
    }

    pub(crate) fn label_sets(&self) -> &Rc<LabelSets> {
        &self.label_sets
    }

    /// Takes a batch that keeps the rules of the layout, or says which rule it breaks.
    pub(crate) fn new(mut flat: types::Batch) -> Result<Batch, String> {
        let (mut id_end, mut attr_end, mut body_end) = (0, 0, 0);
        for (index, entry) in flat.entries.iter().enumerate() {
            if entry.id_end < id_end || entry.attr_end < attr_end || entry.body_end < body_end {
                return Err(format!("event {index} of the batch ends before it begins"));
            }
            if entry.labels as usize >= flat.label_sets.len() {
                return Err(format!("event {index} of the batch has label set {}, which is not there", entry.labels));
            }
            (id_end, attr_end, body_end) = (entry.id_end, entry.attr_end, entry.body_end);
            if !flat.ids.is_char_boundary(id_end as usize) || !flat.attrs.is_char_boundary(attr_end as usize) {
                return Err(format!("event {index} of the batch ends within a character"));
            }
        }
        let ends = [id_end, attr_end, body_end].map(|end| end as usize);
        if ends != [flat.ids.len(), flat.attrs.len(), flat.bodies.len()] {
            return Err("the last event of the batch does not end where the buffers do".into());
        }
        let label_sets = Rc::new(mem::take(&mut flat.label_sets));
        Ok(Batch { flat, label_sets })
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Event<'a>;
    type IntoIter = Events<'a>;

    fn into_iter(self) -> Events<'a> {
        self.iter()
    }
}

/// The events of a [`Batch`], one after the other.
#[derive(Clone)]
pub struct Events<'a> {
    batch: &'a Batch,
    next: u32,
    id_end: usize,
    attr_end: usize,
    body_end: usize,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let Batch { flat, label_sets } = self.batch;
        let entry = flat.entries.get(self.next as usize)?;
        let (id_end, attr_end, body_end) = (entry.id_end as usize, entry.attr_end as usize, entry.body_end as usize);
        // `Batch::new` has looked at every end: nothing is ever missing here.
        let event = Event {
            labels: Labels(label_sets.get(entry.labels as usize).map_or(&[], Vec::as_slice)),
            attrs: flat.attrs.get(self.attr_end..attr_end).unwrap_or_default(),
            id: flat.ids.get(self.id_end..id_end).unwrap_or_default(),
            time: entry.time,
            version: entry.version,
            body: flat.bodies.get(self.body_end..body_end).unwrap_or_default(),
            index: self.next,
            label_set: entry.labels,
        };
        (self.id_end, self.attr_end, self.body_end) = (id_end, attr_end, body_end);
        self.next += 1;
        Some(event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.flat.entries.len() - self.next as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Events<'_> {}
