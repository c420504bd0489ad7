//! From a message to what it asks for.

use std::collections::BTreeMap;

use rayline_message::{Attributes, nanoseconds};
use rayline_sdk::clock;
use rayline_sdk::xray::Place;
use serde::Deserialize;

use crate::arn::{self, TraceMention};
use crate::notice::Message as Said;
use crate::options::Plan;
use crate::outcome::{Outcome, unreadable};
use crate::pending::Pending;
use crate::told::Told;
use crate::trace::at;
use crate::unit::{Execution, Message, Trace, Unit};

/// What the queue says beside a message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Beside {
    #[serde(flatten)]
    pub attributes: Attributes,
    trace_header: Option<String>,
    #[serde(rename = "attributes")]
    pub own: Own,
}

/// The message's own text attributes, as its sender set them.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Own {
    pub account: Option<String>,
    pub region: Option<String>,
}

/// What a message comes to.
pub enum Intake {
    /// One thing to collect.
    Unit(Box<Unit>),
    /// Nothing, or several things.
    Outcome(Outcome),
}

impl Plan {
    /// Takes in a message.
    pub fn intake(&self, message: Message, handle: u64) -> Intake {
        let beside: Beside = serde_json::from_str(&message.attrs).unwrap_or_default();
        let now = clock::now();
        let found_at = beside.attributes.sent_at.as_deref().and_then(nanoseconds).unwrap_or(now).min(now);
        let is_again = beside.attributes.receive_count.is_some_and(|count| count > 1);
        let taken = |mut unit: Unit| {
            if is_again {
                unit.came_again(now);
            }
            Intake::Unit(Box::new(unit))
        };
        let dead = |message, reason| {
            let event = Some(unreadable(message, reason));
            Intake::Outcome(Outcome { event, handles: vec![handle], ..Outcome::default() })
        };
        if let Some(reason) = beside.attributes.unresolved {
            return dead(message, reason);
        }
        match Said::read(&message.body, beside.trace_header.as_deref(), self.payloads) {
            Said::Unreadable(reason) => dead(message, reason.to_owned()),
            Said::Pending(pending) if pending.due_at > now => {
                Intake::Outcome(Outcome { next: vec![*pending], handles: vec![handle], ..Outcome::default() })
            }
            Said::Pending(pending) => taken(self.resume(*pending, message, handle)),
            Said::Notice(mut notice) => {
                let own = beside.own.account.zip(beside.own.region);
                let place = own.map(|(account, region)| Place { account, region }).or(notice.place.take());
                let fresh_trace = |mention: &TraceMention| {
                    let fresh = self.fresh(Vec::new(), Some(mention.id.clone()), found_at);
                    Pending { is_unsampled: !mention.is_sampled, ..fresh }.at(place.clone())
                };
                if let (0, [mention]) = (notice.executions.len(), notice.traces.as_slice()) {
                    let mut unit = self.resume(fresh_trace(mention), message, handle);
                    unit.since = u64::MAX;
                    return taken(unit);
                }
                if let ([_], []) = (notice.executions.as_slice(), notice.traces.as_slice())
                    && let Some((arn, event)) = notice.executions.pop()
                {
                    let mut unit = self.resume(self.fresh(vec![arn], None, found_at), message, handle);
                    unit.tell(event);
                    return taken(unit);
                }
                // Each goes its own way: a message of its own. Of a header beside executions that is not sampled, they
                // tell themselves.
                let has_executions = !notice.executions.is_empty();
                let traces = notice.traces.iter().filter(|mention| mention.is_sampled || !has_executions);
                let traces = traces.map(fresh_trace);
                let executions = notice.executions.into_iter().map(|(arn, _)| self.fresh(vec![arn], None, found_at));
                Intake::Outcome(Outcome {
                    next: executions.chain(traces).collect(),
                    handles: vec![handle],
                    ..Outcome::default()
                })
            }
        }
    }

    /// Work that was found now.
    pub fn fresh(&self, executions: Vec<String>, trace_id: Option<String>, found_at: u64) -> Pending {
        let place = executions.first().and_then(|arn| Some(arn::ExecutionArn::parse(arn)?.place()));
        Pending::fresh(executions, trace_id, found_at, self.timing.give_up_after).at(place)
    }

    /// Goes on with pending work.
    fn resume(&self, pending: Pending, message: Message, handle: u64) -> Unit {
        let give_up_at = match pending.give_up_at {
            0 => pending.discovered_at.saturating_add(self.timing.give_up_after),
            time => time,
        };
        let place = pending.place();
        let mut events = BTreeMap::new();
        for event in pending.events {
            let arn = at(&event, "executionArn").as_str().map(str::to_owned);
            events.extend(arn.zip(Told::read(event.to_string(), 0, self.payloads)));
        }
        let execution = |arn: String| {
            let event = events.remove(&arn);
            (arn, Execution { event, ..Execution::unasked(true) })
        };
        // Only what is at hand from another host may name executions that are none.
        let executions = pending.executions.into_iter().filter(|arn| arn::ExecutionArn::parse(arn).is_some());
        Unit {
            place,
            trace: match pending.trace_id {
                _ if pending.is_unsampled => Trace::Unsampled,
                None => Trace::Unresolved,
                Some(id) => Trace::Wanted(id),
            },
            executions: executions.map(execution).collect(),
            handles: vec![handle],
            message,
            discovered_at: pending.discovered_at,
            give_up_at,
            attempt: pending.attempt,
            digest: pending.digest,
            after: pending.after,
            is_stale: pending.is_stale,
            since: pending.due_at,
            moved_at: clock::monotonic(),
            ..Unit::default()
        }
    }
}

impl Unit {
    /// Whoever had its message before may have handed over something later than any fetch that is known here.
    fn came_again(&mut self, now: u64) {
        (self.since, self.is_stale) = (u64::MAX, false);
        self.after = self.after.max(now);
    }

    /// What an event says of its execution.
    fn tell(&mut self, event: Option<Told>) {
        self.since = u64::MAX;
        if let Some(told) = event {
            (self.since, self.is_begin) = (told.latest, told.is_running);
            for execution in self.executions.values_mut() {
                execution.event = Some(told.clone());
            }
        }
    }
}
