//! Between events and the flat batch that crosses.
//!
//! Towards a guest each event is copied once, into the batch's buffers. From a guest the buffers are taken over and the
//! events are slices of them. **What a guest returns is believed only after every index is checked.**

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::types::{Batch, Entry};
use crate::event::{Event, Labels, digest};

/// An event that a guest returned, and what it came from.
#[derive(Clone, Debug)]
pub struct Output {
    /// For a transform: index of the input event. For a source: index into the tickets.
    pub origin: u32,
    /// The event.
    pub event: Event,
}

/// Why a batch that a guest returned is refused whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// `labels` names no label set.
    #[error("entry {entry} names label set {labels}, and there are {sets}")]
    Labels {
        /// Which entry.
        entry: usize,
        /// What it names.
        labels: u32,
        /// How many there are.
        sets: usize,
    },
    /// A label set has a key twice.
    #[error("label set {set} has the key `{key}` twice")]
    LabelTwice {
        /// Which set.
        set: usize,
        /// Which key.
        key: String,
    },
    /// `origin` names no input.
    #[error("{what} {index} has origin {origin}, and there are {origins}")]
    Origin {
        /// `entry`, `rejection`, `exception`.
        what: &'static str,
        /// Which one.
        index: usize,
        /// What it names.
        origin: u32,
        /// How many there are.
        origins: usize,
    },
    /// An end lies before the one of the previous entry, behind the buffer, or inside a character.
    #[error("entry {entry} ends at {end} of `{buffer}`, which is {length} bytes long")]
    End {
        /// Which entry.
        entry: usize,
        /// `ids`, `attrs`, `bodies`.
        buffer: &'static str,
        /// Where it is said to end.
        end: u32,
        /// How long the buffer is.
        length: usize,
    },
    /// Bytes behind the last entry.
    #[error("the last entry ends at {end} of `{buffer}`, which is {length} bytes long")]
    Rest {
        /// `ids`, `attrs`, `bodies`.
        buffer: &'static str,
        /// Where the last entry ends.
        end: usize,
        /// How long the buffer is.
        length: usize,
    },
}

/// The events need more than the 4 GiB that a batch can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is larger than 4 GiB")]
pub struct TooLarge;

/// The events as a stage is given them: each one's `origin` is its own index.
pub(crate) fn flatten(events: &[impl AsRef<Event>]) -> Result<Batch, TooLarge> {
    let mut ids = String::with_capacity(events.iter().map(|event| event.as_ref().id.len()).sum());
    let mut attrs = String::with_capacity(events.iter().map(|event| event.as_ref().attrs.len()).sum());
    let mut bodies = Vec::with_capacity(events.iter().map(|event| event.as_ref().body.len()).sum());
    let mut sets = LabelSets::default();
    let mut entries = Vec::with_capacity(events.len());
    for (index, event) in events.iter().map(AsRef::as_ref).enumerate() {
        push_text(&mut ids, &event.id);
        push_text(&mut attrs, &event.attrs);
        bodies.extend_from_slice(&event.body);
        entries.push(Entry {
            labels: sets.index(&event.labels)?,
            origin: offset(index)?,
            time: event.time,
            version: event.version,
            id_end: offset(ids.len())?,
            attr_end: offset(attrs.len())?,
            body_end: offset(bodies.len())?,
        });
    }
    Ok(Batch { label_sets: sets.sets, entries, ids, attrs, bodies })
}

/// The events of a batch that a source returned, each with the index of its ticket.
pub(crate) fn from_source(batch: Batch, tickets: usize) -> Result<Vec<Output>, BadBatch> {
    slice(batch, tickets, |_, own| own)
}

/// The events of a batch that a transform returned. Their attributes are those of their inputs.
pub(crate) fn from_transform(batch: Batch, inputs: &[impl AsRef<Event>]) -> Result<Vec<Output>, BadBatch> {
    slice(batch, inputs.len(), |origin, _| {
        inputs.get(origin as usize).map(|input| input.as_ref().attrs.clone()).unwrap_or_default()
    })
}

/// Refuses an origin that is no index of what it refers to.
pub(crate) fn check_origin(what: &'static str, index: usize, origin: u32, origins: usize) -> Result<(), BadBatch> {
    if (origin as usize) < origins { Ok(()) } else { Err(BadBatch::Origin { what, index, origin, origins }) }
}

fn slice(batch: Batch, origins: usize, attrs_of: impl Fn(u32, Bytes) -> Bytes) -> Result<Vec<Output>, BadBatch> {
    let sets = batch.label_sets.into_iter().enumerate().map(labels).collect::<Result<Vec<Labels>, BadBatch>>()?;
    let mut ids = Cuts::text("ids", batch.ids);
    let mut attrs = Cuts::text("attrs", batch.attrs);
    let mut bodies = Cuts::bytes("bodies", batch.bodies);
    let mut outputs = Vec::with_capacity(batch.entries.len());
    for (index, entry) in batch.entries.iter().enumerate() {
        check_origin("entry", index, entry.origin, origins)?;
        let labels = sets.get(entry.labels as usize).ok_or(BadBatch::Labels {
            entry: index,
            labels: entry.labels,
            sets: sets.len(),
        })?;
        let body = bodies.cut(index, entry.body_end)?;
        let id = ids.cut(index, entry.id_end)?;
        let own_attrs = attrs.cut(index, entry.attr_end)?;
        let event = Event {
            labels: labels.clone(),
            id: if id.is_empty() { digest(&body).into() } else { id },
            attrs: attrs_of(entry.origin, own_attrs),
            body,
            time: entry.time,
            version: entry.version,
        };
        outputs.push(Output { origin: entry.origin, event });
    }
    ids.finish()?;
    attrs.finish()?;
    bodies.finish()?;
    Ok(outputs)
}

/// The label sets of a batch, each once.
#[derive(Default)]
struct LabelSets {
    sets: Vec<Vec<(String, String)>>,
    known: HashMap<Labels, u32>,
    last: Option<(Labels, u32)>,
}

impl LabelSets {
    fn index(&mut self, labels: &Labels) -> Result<u32, TooLarge> {
        // Events that were made together share their label set.
        if let Some((last, index)) = &self.last
            && Arc::ptr_eq(last, labels)
        {
            return Ok(*index);
        }
        let index = match self.known.get(labels) {
            Some(index) => *index,
            None => {
                let index = offset(self.sets.len())?;
                self.sets.push(labels.to_vec());
                self.known.insert(labels.clone(), index);
                index
            }
        };
        self.last = Some((labels.clone(), index));
        Ok(index)
    }
}

/// A buffer that is cut into the parts of its entries, from the beginning.
struct Cuts {
    name: &'static str,
    buffer: Bytes,
    is_text: bool,
    end: usize,
}

impl Cuts {
    fn text(name: &'static str, buffer: String) -> Cuts {
        Cuts { name, buffer: buffer.into(), is_text: true, end: 0 }
    }

    fn bytes(name: &'static str, buffer: Vec<u8>) -> Cuts {
        Cuts { name, buffer: buffer.into(), is_text: false, end: 0 }
    }

    fn cut(&mut self, entry: usize, end: u32) -> Result<Bytes, BadBatch> {
        let (from, to) = (self.end, end as usize);
        if from > to || to > self.buffer.len() || self.splits_character(to) {
            return Err(BadBatch::End { entry, buffer: self.name, end, length: self.buffer.len() });
        }
        self.end = to;
        Ok(self.buffer.slice(from..to))
    }

    fn splits_character(&self, at: usize) -> bool {
        self.is_text && self.buffer.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    }

    fn finish(self) -> Result<(), BadBatch> {
        if self.end == self.buffer.len() {
            return Ok(());
        }
        Err(BadBatch::Rest { buffer: self.name, end: self.end, length: self.buffer.len() })
    }
}

fn labels((set, mut pairs): (usize, Vec<(String, String)>)) -> Result<Labels, BadBatch> {
    pairs.sort_unstable();
    let twice = pairs.iter().zip(pairs.iter().skip(1)).find(|((key, _), (next, _))| key == next);
    match twice {
        Some(((key, _), _)) => Err(BadBatch::LabelTwice { set, key: key.clone() }),
        None => Ok(pairs.into()),
    }
}

/// Ids and attributes are slices of checked text; what is not UTF-8 all the same becomes the replacement character.
fn push_text(text: &mut String, part: &[u8]) {
    match std::str::from_utf8(part) {
        Ok(part) => text.push_str(part),
        Err(_) => text.push_str(&String::from_utf8_lossy(part)),
    }
}

fn offset(value: usize) -> Result<u32, TooLarge> {
    u32::try_from(value).map_err(|_| TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, attrs: &str, body: &str, labels: &[(&str, &str)]) -> Event {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        Event {
            labels: labels.into(),
            id: Bytes::copy_from_slice(id.as_bytes()),
            attrs: Bytes::copy_from_slice(attrs.as_bytes()),
            body: Bytes::copy_from_slice(body.as_bytes()),
            time: 7,
            version: 3,
        }
    }

    fn three() -> Vec<Event> {
        vec![
            event("a", "{}", "{\"n\":1}", &[("account", "1")]),
            event("é", "", "", &[("account", "2")]),
            event("c", "{\"x\":1}", "tail", &[("account", "1")]),
        ]
    }

    #[test]
    fn a_batch_keeps_every_part_of_every_event() {
        let events = three();
        let batch = flatten(&events).unwrap();
        assert_eq!(batch.label_sets.len(), 2, "equal label sets cross once");
        let outputs = from_source(batch, 3).unwrap();
        for (index, (output, event)) in outputs.iter().zip(&events).enumerate() {
            assert_eq!(output.origin as usize, index);
            assert_eq!(output.event.labels, event.labels);
            assert_eq!(output.event.id, event.id);
            assert_eq!(output.event.attrs, event.attrs);
            assert_eq!(output.event.body, event.body);
            assert_eq!((output.event.time, output.event.version), (7, 3));
        }
        assert_eq!(outputs.len(), 3);
    }

    #[test]
    fn attributes_follow_the_input_through_a_transform() {
        let inputs = three();
        let mut batch = flatten(&inputs).unwrap();
        for entry in &mut batch.entries {
            entry.origin = 2;
        }
        let outputs = from_transform(batch, &inputs).unwrap();
        assert!(outputs.iter().all(|output| output.event.attrs == "{\"x\":1}"));
    }

    #[test]
    fn an_event_without_id_gets_the_digest_of_its_body() {
        let outputs = from_source(flatten(&[event("", "", "abc", &[])]).unwrap(), 1).unwrap();
        assert_eq!(outputs[0].event.id, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_batch_that_breaks_a_rule_is_refused_whole() {
        type Damage = fn(&mut Batch);
        let cases: [(&str, Damage); 9] = [
            ("entry 1 names label set 2, and there are 2", |b| b.entries[1].labels = 2),
            ("entry 2 has origin 3, and there are 3", |b| b.entries[2].origin = 3),
            ("entry 1 ends at 4 of `bodies`, which is 11 bytes long", |b| b.entries[1].body_end = 4),
            ("entry 2 ends at 12 of `bodies`, which is 11 bytes long", |b| b.entries[2].body_end = 12),
            ("the last entry ends at 10 of `bodies`, which is 11 bytes long", |b| b.entries[2].body_end = 10),
            ("entry 1 ends at 2 of `ids`, which is 4 bytes long", |b| b.entries[1].id_end = 2),
            ("entry 0 ends at 4294967295 of `attrs`, which is 9 bytes long", |b| b.entries[0].attr_end = u32::MAX),
            ("the last entry ends at 0 of `ids`, which is 4 bytes long", |b| b.entries.clear()),
            ("label set 0 has the key `account` twice", |b| {
                b.label_sets[0].push(("account".to_owned(), "9".to_owned()));
            }),
        ];
        for (expected, damage) in cases {
            let mut batch = flatten(&three()).unwrap();
            damage(&mut batch);
            assert_eq!(from_source(batch, 3).unwrap_err().to_string(), expected);
        }
    }
}
