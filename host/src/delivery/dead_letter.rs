//! What could not be delivered, durably, with its source message.
//!
//! NDJSON objects. Each object holds every source message once, followed by its letters, one for each event: stage, plugin,
//! reason, and the part or the event itself. An object is durable before any claim of its letters goes.
//!
//! Messages of one body are one only if all else is the same: labels and attributes say whose it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fail::fail_point;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::backoff::backoff;
use super::claim::{Claim, Origin};
use crate::event::{Event, digest};
use crate::grant::objects::Store;

/// Letters that one object holds at most.
const MAX_LETTERS: usize = 1_000;
/// How long the first letter of an object waits for others.
const LINGER: Duration = Duration::from_millis(200);

/// One event, or a part of one, that could not be delivered.
pub struct Letter {
    /// The stage that could not.
    pub stage: Arc<str>,
    /// Its plugin, as the pipeline names it.
    pub plugin: Arc<str>,
    /// What was found, and where.
    pub reason: String,
    /// The event that the stage was given.
    pub event: Event,
    /// The part that is bad; `None`: the event as a whole.
    pub part: Option<Bytes>,
    /// Goes when the letter is durable.
    pub claim: Claim,
}

/// A line of a dead letter object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// A source message. Stands before the letters that name it.
    Message(MessageLine),
    /// One letter.
    Letter(LetterLine),
}

/// A source message in a dead letter object.
#[derive(Debug, Serialize, Deserialize)]
pub struct MessageLine {
    /// Of the body, lower-case hexadecimal.
    pub sha256: String,
    /// The source stage that read it.
    pub source: String,
    /// The event as the source gave it.
    #[serde(flatten)]
    pub event: StoredEvent,
}

/// A letter in a dead letter object.
#[derive(Debug, Serialize, Deserialize)]
pub struct LetterLine {
    /// When it was written (RFC 3339).
    pub at: Timestamp,
    /// The stage that could not deliver it.
    pub stage: String,
    /// Its plugin.
    pub plugin: String,
    /// Why.
    pub reason: String,
    /// SHA-256 of the source message: the last one before it that has this.
    pub message: String,
    /// The bad part, where it is only a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Payload>,
    /// The event that the stage was given, where it is not the source message itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<StoredEvent>,
}

/// An event at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    id: String,
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    attrs: String,
    time: u64,
    version: u64,
    #[serde(flatten)]
    body: Payload,
}

/// Bytes at rest: as text where they are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// UTF-8.
    #[serde(rename = "raw")]
    Text(String),
    /// Anything else.
    #[serde(rename = "raw_base64")]
    Base64(String),
}

impl Payload {
    /// Stores bytes.
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Payload::Text(text.to_owned()),
            Err(_) => Payload::Base64(BASE64.encode(bytes)),
        }
    }

    /// The bytes again; an error when the base64 is broken.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Payload::Text(text) => Ok(text.clone().into_bytes()),
            Payload::Base64(text) => BASE64.decode(text),
        }
    }
}

impl StoredEvent {
    fn new(event: &Event) -> Self {
        StoredEvent {
            id: String::from_utf8_lossy(&event.id).into_owned(),
            labels: event.labels.iter().cloned().collect(),
            attrs: String::from_utf8_lossy(&event.attrs).into_owned(),
            time: event.time,
            version: event.version,
            body: Payload::new(&event.body),
        }
    }

    /// The event again; an error when its base64 is broken.
    pub fn event(&self) -> Result<Event, base64::DecodeError> {
        Ok(Event {
            labels: self.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            id: self.id.clone().into(),
            attrs: self.attrs.clone().into(),
            body: self.body.bytes()?.into(),
            time: self.time,
            version: self.version,
        })
    }
}

/// Puts letters into a store, however long that takes.
pub struct Writer {
    store: Store,
    problem: Problem,
}

/// What keeps letters from being written, if anything: for `/health` and `/metrics`. Stages wait while it lasts.
#[derive(Clone, Default)]
pub struct Problem(Arc<Mutex<Option<String>>>);

impl Problem {
    /// What the store said last.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, problem: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl Writer {
    /// Writes to this store.
    pub fn new(store: Store) -> Writer {
        Writer { store, problem: Problem::default() }
    }

    /// To look at while it writes.
    pub fn problem(&self) -> Problem {
        self.problem.clone()
    }

    /// Writes letters until every sender is gone.
    pub async fn run(self, mut letters: mpsc::Receiver<Letter>) {
        let mut batch = Vec::new();
        while letters.recv_many(&mut batch, MAX_LETTERS).await > 0 {
            let linger = tokio::time::sleep(LINGER);
            tokio::pin!(linger);
            while batch.len() < MAX_LETTERS {
                let room = MAX_LETTERS - batch.len();
                tokio::select! {
                    () = &mut linger => break,
                    more = letters.recv_many(&mut batch, room) => if more == 0 { break },
                }
            }
            self.write(&batch).await;
            batch.drain(..).for_each(|letter| letter.claim.done());
        }
    }

    /// Writes one object; returns only when it is durable.
    async fn write(&self, letters: &[Letter]) {
        let now = Timestamp::now();
        let content = render(letters, now);
        let key = format!(
            "{}-{}.ndjson",
            now.strftime("year=%Y/month=%m/day=%d/%H%M%S%.3f"),
            digest(&content).get(..16).unwrap_or_default()
        );
        fail_point!("in-dead-letter-write", |_| crate::failpoint::stay("in-dead-letter-write"));
        for wait in backoff(Duration::from_secs(1), Duration::from_secs(60)) {
            match self.store.put(&key, content.clone()).await {
                Ok(()) => {
                    warn!(object = key, letters = letters.len(), "events went to the dead letter");
                    self.problem.set(None);
                    return;
                }
                Err(error) => {
                    error!(object = key, %error, wait_secs = wait.as_secs(), "cannot write the dead letter, trying again");
                    self.problem.set(Some(error.to_string()));
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn render(letters: &[Letter], at: Timestamp) -> Vec<u8> {
    let mut content = Vec::new();
    let mut line = |line: &Line| {
        // Strings, numbers and maps with string keys: cannot fail.
        let _ = serde_json::to_writer(&mut content, line);
        content.push(b'\n');
    };
    for (origin, letters) in by_message(letters) {
        let sha256 = digest(&origin.event.body);
        line(&Line::Message(MessageLine {
            sha256: sha256.clone(),
            source: origin.source.to_string(),
            event: StoredEvent::new(&origin.event),
        }));
        for letter in letters {
            let is_other = letter.part.is_none() && letter.event != origin.event;
            line(&Line::Letter(LetterLine {
                at,
                stage: letter.stage.to_string(),
                plugin: letter.plugin.to_string(),
                reason: letter.reason.clone(),
                message: sha256.clone(),
                part: letter.part.as_deref().map(Payload::new),
                event: is_other.then(|| StoredEvent::new(&letter.event)),
            }));
        }
    }
    content
}

/// Each source message with its letters, in the order of the first of them.
fn by_message(letters: &[Letter]) -> Vec<(&Origin, Vec<&Letter>)> {
    let mut messages: Vec<(&Origin, Vec<&Letter>)> = Vec::new();
    // Many letters are about parts of one message, which is compared once.
    let mut places: HashMap<*const Origin, usize> = HashMap::new();
    let mut alike: HashMap<(&str, &Event), usize> = HashMap::new();
    for letter in letters {
        let Some(origin) = letter.claim.origin() else { continue };
        let place = *places.entry(std::ptr::from_ref(origin)).or_insert_with(|| {
            *alike.entry((&*origin.source, &origin.event)).or_insert_with(|| {
                messages.push((origin, Vec::new()));
                messages.len() - 1
            })
        });
        if let Some((_, letters)) = messages.get_mut(place) {
            letters.push(letter);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::budget::Budget;
    use crate::delivery::claim::Ticket;
    use crate::event::Labels;

    fn event(id: &str, body: &[u8]) -> Event {
        Event {
            labels: Arc::from([("account".to_owned(), "111122223333".to_owned())]),
            id: id.to_owned().into(),
            attrs: r#"{"message_id":"m1"}"#.into(),
            body: body.to_vec().into(),
            time: 5,
            version: 2,
        }
    }

    #[test]
    fn an_object_holds_each_message_once_and_gives_events_back() {
        let (settle, _settled) = mpsc::unbounded_channel();
        let source = event("m", b"not \xff text");
        let claim = Claim::new("inbox".into(), source.clone(), Budget::new(1).charge(0), Ticket::new(1, settle));
        let letter = |event: &Event, part: Option<&[u8]>| Letter {
            stage: "index".into(),
            plugin: "elasticsearch-sink".into(),
            reason: "no".into(),
            event: event.clone(),
            part: part.map(Bytes::copy_from_slice),
            claim: claim.clone(),
        };
        let derived = event("d", b"{}");
        let lines = lines(&[letter(&source, None), letter(&source, Some(b"{")), letter(&derived, None)]);
        let [Line::Message(message), Line::Letter(whole), Line::Letter(part), Line::Letter(other)] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(message.event.event().unwrap().body, source.body);
        assert_eq!(message.event.event().unwrap().labels, source.labels);
        assert!(whole.event.is_none() && whole.part.is_none() && whole.message == message.sha256);
        assert_eq!(part.part, Some(Payload::Text("{".into())));
        assert_eq!(other.event.as_ref().unwrap().event().unwrap().version, 2);
    }

    #[test]
    fn messages_of_one_body_keep_what_makes_them_different() {
        let (settle, _settled) = mpsc::unbounded_channel();
        let read = |source: &str, event: &Event| {
            let ticket = Ticket::new(1, settle.clone());
            Claim::new(source.into(), event.clone(), Budget::new(1).charge(0), ticket)
        };
        let letter = |claim: &Claim| Letter {
            stage: "flatten".into(),
            plugin: "flatten".into(),
            reason: "no".into(),
            event: claim.origin().unwrap().event.clone(),
            part: None,
            claim: claim.clone(),
        };
        let first = event("m", b"{}");
        let labels: Labels = Arc::from([("account".to_owned(), "444455556666".to_owned())]);
        let relabelled = Event { labels, ..first.clone() };
        let claims = [read("inbox", &first), read("other", &first), read("inbox", &relabelled), read("inbox", &first)];
        let mut letters: Vec<Letter> = claims.iter().map(letter).collect();
        // A transform that passes the message on with another label.
        letters.push(Letter { event: relabelled, ..letter(&claims[0]) });
        let told: Vec<String> = lines(&letters)
            .into_iter()
            .map(|line| match line {
                Line::Message(message) => {
                    format!("{} {}", message.source, message.event.event().unwrap().label("account").unwrap())
                }
                Line::Letter(letter) => match letter.event {
                    None => "letter".to_owned(),
                    Some(event) => format!("letter {}", event.event().unwrap().label("account").unwrap()),
                },
            })
            .collect();
        assert_eq!(
            told,
            [
                "inbox 111122223333",
                "letter",
                "letter",
                "letter 444455556666",
                "other 111122223333",
                "letter",
                "inbox 444455556666",
                "letter"
            ]
        );
    }

    fn lines(letters: &[Letter]) -> Vec<Line> {
        let content = render(letters, Timestamp::UNIX_EPOCH);
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}
