//! What becomes of a unit: whether it goes out, what waits on the queue, and which messages are deleted then.

use rayline_message::{Attributes, Message as RawMessage, transport};
use rayline_sdk::xray::Place;
use rayline_sdk::{SourceEvent, SourceOutput, clock};

use crate::desk::Tools;
use crate::intake::{Beside, Own};
use crate::options::{HandOver, Plan};
use crate::pending::Pending;
use crate::recent::Key;
use crate::unit::{Message, Trace, Unit};
use crate::verdict::{Decision, Verdict};

/// What is to be done with a unit's messages.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Goes out first.
    pub event: Option<Event>,
    /// Sent next.
    pub next: Vec<Pending>,
    /// Deleted last.
    pub handles: Vec<u64>,
    /// What was fetched, by this or another unit: where that does not become safe, nothing here is done.
    pub subject: Option<Key>,
}

/// What goes out.
#[derive(Debug)]
pub enum Event {
    Raw {
        place: Place,
        collected_at: u64,
        body: String,
    },
    /// A message as it came, which a later stage rejects for this reason.
    Unreadable {
        attrs: String,
        body: Vec<u8>,
        reason: String,
    },
}

impl Outcome {
    /// What becomes of a unit that is asked for in full.
    pub fn decide(mut unit: Unit, tools: &mut Tools<'_>) -> Outcome {
        let now = clock::now();
        let digest = unit.new_digest();
        let situation = unit.situation(&digest, now);
        let decision = situation.decide(&tools.plan.timing);
        let verdict = match decision {
            Decision::Last(verdict) => Some(verdict),
            Decision::Again { .. } => {
                let is_new = !unit.is_repeated(&digest) && unit.has_something();
                (is_new && tools.plan.hand_over == HandOver::Early).then_some(Verdict::Partial)
            }
        };
        let due_at = match decision {
            Decision::Last(_) => None,
            Decision::Again { due_at } => Some(due_at),
        };
        let known_at = unit.known_at();
        // Where nobody describes an execution, each message tells what nothing else does: none is served by another.
        let named = unit.place.as_ref().zip(unit.subject()).filter(|_| !situation.is_stood_in);
        let subject = named.map(|(place, subject)| {
            let arns = unit.executions.keys().map(String::as_str);
            tools.known.fetched(place, subject, arns, known_at, due_at)
        });
        let event = verdict.map(|verdict| {
            Event::raw(&unit, verdict).unwrap_or_else(|| {
                let reason = match (&unit.trace, &unit.refused) {
                    (Trace::Unsampled, _) => "the trace is not sampled, and nothing says in which account".to_owned(),
                    (_, Some(refused)) => format!("no account of the binding that answered has this trace: {refused}"),
                    (_, None) => "no account of the binding has this trace".to_owned(),
                };
                unreadable(unit.message.clone(), reason)
            })
        });
        unit.is_stale = unit.is_repeated(&digest) && !unit.is_later();
        unit.digest = Some(digest);
        unit.after = unit.after.max(unit.answered_at());
        unit.attempt += 1;
        let next = due_at.into_iter().flat_map(|due_at| unit.to_pending(due_at).parts()).collect();
        Outcome { event, next, handles: unit.handles, subject }
    }

    /// A unit's work waits on the queue until then.
    pub fn put_off(unit: Unit, due_at: u64) -> Outcome {
        Outcome { next: unit.to_pending(due_at).parts(), handles: unit.handles, ..Outcome::default() }
    }

    /// The same for want of answers: what is known of its executions goes out before. Once there was a fetch, what that
    /// brought has more.
    pub fn unanswered(mut unit: Unit, due_at: u64, plan: &Plan) -> Outcome {
        let mut pending = unit.to_pending(due_at);
        unit.stop_asking();
        let digest = unit.new_digest();
        let is_new = unit.attempt == 0 && unit.has_something() && unit.digest.as_ref() != Some(&digest);
        let event = is_new.then_some(Verdict::Partial).filter(|_| plan.hand_over == HandOver::Early);
        let event = event.and_then(|verdict| Event::raw(&unit, verdict));
        if event.is_some() {
            pending.digest = Some(digest);
            pending.after = pending.after.max(unit.answered_at());
        }
        Outcome { event, next: pending.parts(), handles: unit.handles, ..Outcome::default() }
    }
}

/// A message that nothing can be done with goes on as it came: a later stage rejects it, and it is not lost.
pub fn unreadable(message: Message, reason: String) -> Event {
    Event::Unreadable { attrs: message.attrs, body: message.body, reason }
}

impl Event {
    /// `None`: nobody knows where it is.
    fn raw(unit: &Unit, verdict: Verdict) -> Option<Event> {
        let place = unit.place.clone()?;
        Some(Event::Raw { place, collected_at: unit.collected_at(), body: unit.to_raw(verdict)? })
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Event::Raw { body, .. } => body.len(),
            Event::Unreadable { attrs, body, .. } => attrs.len() + body.len(),
        }
    }

    /// Adds it to what was read.
    pub fn push(&self, ticket: u64, received_at: Option<String>, out: &mut SourceOutput) {
        match self {
            Event::Raw { place, collected_at, body } => {
                // The credentials vouch for the account. The message that asked for it is another: nothing of it goes on.
                let sender_account = Some(place.account.clone());
                let attributes = Attributes { received_at, sender_account, ..Attributes::default() };
                let labels = [("kind", "raw"), ("account", &place.account), ("region", &place.region)];
                let attrs = attributes.to_json();
                let time = *collected_at;
                let event = SourceEvent { labels: &labels, attrs: &attrs, time, ..SourceEvent::default() };
                out.push(ticket, &event, body.as_bytes());
            }
            Event::Unreadable { attrs, body, reason } => {
                let beside: Beside = serde_json::from_str(attrs).unwrap_or_default();
                let unresolved = Some(reason.clone());
                let attributes = Attributes { received_at, unresolved, object: None, ..beside.attributes };
                let Own { account, region } = beside.own;
                let sent_at = attributes.sent_at.as_deref();
                let payload = transport::unpack(body);
                let read = RawMessage::new(payload, account.as_deref(), region.as_deref(), sent_at);
                let labels: Vec<_> = read.labels().collect();
                let attrs = attributes.to_json();
                let event = SourceEvent { labels: &labels, attrs: &attrs, time: read.time, ..SourceEvent::default() };
                out.push(ticket, &event, &read.payload);
            }
        }
    }
}
