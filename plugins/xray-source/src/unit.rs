//! One trace being worked on, with the messages that ask for it; or an execution whose trace is not known yet.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use rayline_sdk::xray::{Answer, Place};
use serde_json::Value;

use crate::known::Wanted;
use crate::pending::Pending;
use crate::raw::Raw;
use crate::told::Told;
use crate::trace::{Facts, hash};
use crate::verdict::{Situation, TraceState, Verdict};

/// Inputs and outputs of one trace's executions that are kept; of the others it is said that they are not included. One
/// trace can hold hundreds of executions with half a megabyte each, and no queue takes that.
const PAYLOAD_BYTES: usize = 16 << 20;

/// What of events goes into pending work; one that is larger has no input and output there.
const EVENTS_BYTES: usize = 64 << 10;
const EVENT_BYTES: usize = 16 << 10;

/// One trace, or one execution that has none.
#[derive(Default)]
pub struct Unit {
    /// Absent: any account may have it.
    pub place: Option<Place>,
    pub trace: Trace,
    /// By ARN.
    pub executions: BTreeMap<String, Execution>,
    /// The messages that ask for it.
    pub handles: Vec<u64>,
    /// The first of them, for the dead letter.
    pub message: Message,
    pub discovered_at: u64,
    pub give_up_at: u64,
    pub attempt: u32,
    /// Of the fetch before this one.
    pub digest: Option<String>,
    /// Only answers after this confirm that: when it was, or when a message came that asks.
    pub after: u64,
    /// Whether that brought the same as the one before it, and none later: the next that brings the same counts. It is one
    /// answer for two fetches, or a recording, whose date stands still.
    pub is_stale: bool,
    /// A fetch after this time serves it.
    pub since: u64,
    /// Whether an event told that something has begun.
    pub is_begin: bool,
    /// Not asked for before that; on the monotonic clock.
    pub not_before: Duration,
    /// When it was asked for last, as a number: who waits for longest is next.
    pub turn: u64,
    /// Answers in a row that were for the time being.
    pub tries: u32,
    /// Somebody must see to it before it is worth asking again: it does not wait here.
    pub is_barred: bool,
    /// When an answer came last.
    pub moved_at: Duration,
    /// Why a part of it was refused.
    pub refused: Option<String>,
    pub payload_bytes: usize,
}

/// A message as it came.
#[derive(Default, Clone)]
pub struct Message {
    pub attrs: String,
    pub body: Vec<u8>,
}

/// How far its trace is.
#[derive(Default)]
pub enum Trace {
    /// Its executions tell which it is.
    #[default]
    Unresolved,
    Unsampled,
    /// Nobody tells.
    Unknown,
    Wanted(String),
    Absent(String),
    Here {
        id: String,
        answer: Answer,
        facts: Facts,
    },
}

/// One execution of it.
pub struct Execution {
    /// Whether a message names it.
    pub is_listed: bool,
    pub state: State,
    /// What an event said of it: counts where nobody can describe it.
    pub event: Option<Told>,
    /// Whether its description was refused, also where an event stands in.
    pub is_refused: bool,
}

impl Execution {
    pub fn unasked(is_listed: bool) -> Execution {
        Execution { is_listed, state: State::Unasked, event: None, is_refused: false }
    }

    /// What an event said of it, where that is all there is.
    fn only_event(&self) -> Option<&Told> {
        match &self.state {
            State::Told(told) => Some(told).filter(|told| told.date == 0),
            _ => self.event.as_ref(),
        }
    }
}

/// What is known of an execution.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    Unasked,
    Told(Told),
    /// There is no such execution, or not any more.
    Gone,
    Refused,
}

impl State {
    /// When it was told, if it was: the later of two counts.
    fn told_at(&self) -> Option<u64> {
        match self {
            State::Told(told) => Some(told.date),
            State::Unasked | State::Gone | State::Refused => None,
        }
    }
}

impl Unit {
    pub fn trace_id(&self) -> Option<&str> {
        match &self.trace {
            Trace::Wanted(id) | Trace::Absent(id) | Trace::Here { id, .. } => Some(id),
            Trace::Unresolved | Trace::Unsampled | Trace::Unknown => None,
        }
    }

    /// What names it: its trace, or its execution.
    pub fn subject(&self) -> Option<&str> {
        self.trace_id().or_else(|| self.executions.keys().next().map(String::as_str))
    }

    /// Whether it is about the same: then one fetch does for both.
    pub fn is_same_as(&self, other: &Unit) -> bool {
        if self.place != other.place {
            return false;
        }
        match (self.trace_id(), other.trace_id()) {
            (Some(mine), Some(others)) => mine == others,
            (None, None) => self.executions.keys().eq(other.executions.keys()),
            _ => false,
        }
    }

    /// Takes over the messages of another that is about the same.
    pub fn merge(&mut self, other: Unit) {
        self.handles.extend(other.handles);
        self.discovered_at = self.discovered_at.min(other.discovered_at);
        self.give_up_at = self.give_up_at.max(other.give_up_at);
        self.attempt = self.attempt.max(other.attempt);
        // Which of two was fetched last is not known: that of the later attempt, most likely.
        self.digest =
            if other.attempt >= self.attempt { other.digest.or(self.digest.take()) } else { self.digest.take() };
        self.since = self.since.max(other.since);
        self.after = self.after.max(other.after);
        self.is_stale &= other.is_stale;
        self.is_begin |= other.is_begin;
        for (arn, mut theirs) in other.executions {
            let state = mem::replace(&mut theirs.state, State::Unasked);
            let mine = self.executions.entry(arn.clone()).or_insert_with(|| Execution::unasked(false));
            mine.is_listed |= theirs.is_listed;
            mine.is_refused |= theirs.is_refused;
            // It may have been redriven between two descriptions.
            let is_later = state.told_at() >= mine.state.told_at();
            match state {
                State::Told(told) if is_later => self.told(&arn, told),
                state if mine.state == State::Unasked => mine.state = state,
                _ => {}
            }
            if let Some(event) = theirs.event {
                self.told_by_event(&arn, event);
            }
        }
    }

    /// What is asked for, as far as it is known.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            place: self.place.as_ref(),
            trace_id: self.trace_id(),
            executions: self.executions.keys().map(String::as_str).collect(),
            since: if self.attempt > 0 { self.since.max(self.after) } else { self.since },
            is_begin: self.is_begin,
        }
    }

    /// An execution is told of.
    pub fn told(&mut self, arn: &str, mut told: Told) {
        let before = self.executions.get(arn).map(|execution| &execution.state);
        if let Some(State::Told(before)) = before {
            self.payload_bytes = self.payload_bytes.saturating_sub(before.json.len());
        }
        if self.payload_bytes + told.json.len() > PAYLOAD_BYTES {
            told.drop_payloads();
        }
        self.payload_bytes += told.json.len();
        if let Some(execution) = self.executions.get_mut(arn) {
            execution.state = State::Told(told);
        }
    }

    /// An event tells of an execution. The latest counts.
    fn told_by_event(&mut self, arn: &str, event: Told) {
        let Some(execution) = self.executions.get_mut(arn) else { return };
        let order = |told: &Told| (told.latest, !told.is_running);
        if execution.only_event().is_some_and(|before| order(before) >= order(&event)) {
            return;
        }
        match &execution.state {
            State::Told(told) if told.date == 0 => self.told(arn, event),
            _ => execution.event = Some(event),
        }
    }

    /// Nobody can describe an execution: what an event said of it must do.
    pub fn not_told(&mut self, arn: &str, state: State) {
        let Some(execution) = self.executions.get_mut(arn) else { return };
        execution.is_refused = state == State::Refused;
        match execution.event.take() {
            Some(event) => self.told(arn, event),
            None => execution.state = state,
        }
    }

    /// Nothing more is asked: what events said stands for descriptions, and there is no trace.
    pub fn stop_asking(&mut self) {
        let unasked = self.executions.iter().filter(|(_, execution)| execution.state == State::Unasked);
        let unasked: Vec<String> = unasked.map(|(arn, _)| arn.clone()).collect();
        for arn in unasked {
            self.not_told(&arn, State::Refused);
        }
        self.resolve();
        if let Trace::Wanted(id) = &mut self.trace {
            self.trace = Trace::Absent(mem::take(id));
        }
    }

    pub fn is_unasked(&self) -> bool {
        self.executions.values().any(|execution| execution.state == State::Unasked)
    }

    /// Once its executions are asked for, they tell which trace it is.
    pub fn resolve(&mut self) {
        if !matches!(self.trace, Trace::Unresolved) || self.is_unasked() {
            return;
        }
        let mention = self.all_told().find_map(|told| told.trace.clone());
        self.trace = match mention {
            Some(mention) if mention.is_sampled => Trace::Wanted(mention.id),
            Some(_) => Trace::Unsampled,
            // A description that names no trace has none; an event never names one.
            None if self.all_told().any(|told| told.date > 0) => Trace::Unsampled,
            None => Trace::Unknown,
        };
    }

    fn all_told(&self) -> impl Iterator<Item = &Told> {
        self.executions.values().filter_map(|execution| match &execution.state {
            State::Told(told) => Some(told),
            _ => None,
        })
    }

    fn facts(&self) -> Option<&Facts> {
        match &self.trace {
            Trace::Here { facts, .. } => Some(facts),
            _ => None,
        }
    }

    /// Whether anything is known that can go out.
    pub fn has_something(&self) -> bool {
        self.facts().is_some() || self.all_told().next().is_some()
    }

    /// The same wherever and whenever the same was fetched.
    pub fn new_digest(&self) -> String {
        let trace = self.facts().map_or(0, |facts| facts.digest);
        let told = self.executions.iter().filter_map(|(arn, execution)| match &execution.state {
            State::Told(told) => Some(hash(&[arn.as_bytes(), told.state.as_bytes()])),
            _ => None,
        });
        format!("{:016x}", told.fold(trace, u64::wrapping_add))
    }

    /// Whether this fetch brought what the one before did.
    pub fn is_repeated(&self, digest: &str) -> bool {
        self.digest.as_deref() == Some(digest)
    }

    /// Whether all of it was answered later.
    pub fn is_later(&self) -> bool {
        self.known_at() > self.after
    }

    pub fn situation(&self, digest: &str, now: u64) -> Situation {
        let in_trace = |arn: &String| self.facts().is_some_and(|facts| facts.executions.contains(arn));
        let is_untraced =
            |(arn, execution): (&String, &Execution)| matches!(execution.state, State::Told(_)) && !in_trace(arn);
        let trace = match &self.trace {
            Trace::Unsampled => TraceState::Unsampled,
            Trace::Unresolved | Trace::Unknown => TraceState::Unknown,
            Trace::Wanted(_) | Trace::Absent(_) => TraceState::Absent,
            Trace::Here { facts, .. } => TraceState::Here {
                is_in_progress: facts.is_in_progress,
                limit_exceeded: facts.limit_exceeded,
                is_incomplete: facts.has_gap || self.executions.iter().any(is_untraced),
            },
        };
        let ends = self.all_told().filter_map(|told| told.end).chain(self.facts().map(|facts| facts.latest_end));
        Situation {
            trace,
            is_described: self.all_told().next().is_some(),
            is_running: self.all_told().any(|told| told.is_running),
            is_refused: self.executions.values().any(|it| it.is_listed && it.state == State::Refused),
            is_stood_in: self.executions.values().any(|it| it.is_listed && it.is_refused),
            is_confirmed: self.is_repeated(digest) && (self.is_later() || self.is_stale || now >= self.give_up_at),
            latest_end: ends.max().filter(|end| *end > 0).unwrap_or(self.discovered_at),
            attempt: self.attempt,
            give_up_at: self.give_up_at,
            now,
        }
    }

    /// The `Date` of the earliest of the answers: what happened since, not all of them know. 0: nobody answered.
    pub fn known_at(&self) -> u64 {
        self.dates().min().unwrap_or(0)
    }

    /// The `Date` of the latest of them.
    pub fn answered_at(&self) -> u64 {
        self.dates().max().unwrap_or(0)
    }

    /// The `Date` of each answer.
    fn dates(&self) -> impl Iterator<Item = u64> {
        let trace = match &self.trace {
            Trace::Here { answer, .. } => Some(answer.date),
            _ => None,
        };
        self.all_told().map(|told| told.date).chain(trace).filter(|date| *date > 0)
    }

    /// The trace's `Date`; where there is none, the latest of the descriptions.
    pub fn collected_at(&self) -> u64 {
        match &self.trace {
            Trace::Here { answer, .. } => answer.date,
            _ => self.answered_at(),
        }
    }

    /// What goes out. `None`: nobody knows where it is.
    pub fn to_raw(&self, verdict: Verdict) -> Option<String> {
        let bare: Vec<String> = match verdict {
            // All that is known is its name.
            Verdict::NotFound if !self.has_something() => {
                let arns = self.executions.keys();
                arns.map(|arn| serde_json::json!({ "executionArn": arn }).to_string()).collect()
            }
            _ => Vec::new(),
        };
        let told = self.all_told().map(|told| told.json.as_str());
        let raw = Raw {
            place: self.place.as_ref()?,
            collected_at: self.collected_at(),
            discovered_at: self.discovered_at,
            verdict,
            executions: told.chain(bare.iter().map(String::as_str)).collect(),
            trace: match &self.trace {
                Trace::Here { answer, .. } => Some(&answer.json),
                _ => None,
            },
        };
        Some(raw.to_json())
    }

    /// What remains to be done. Executions that the trace shows are found there again.
    pub fn to_pending(&self, due_at: u64) -> Pending {
        let in_trace = |arn: &String| self.facts().is_some_and(|facts| facts.executions.contains(arn));
        let listed = self.executions.iter().filter(|(_, execution)| execution.is_listed);
        Pending {
            trace_id: self.trace_id().map(str::to_owned),
            executions: listed.map(|(arn, _)| arn).filter(|arn| !in_trace(arn)).cloned().collect(),
            due_at,
            attempt: self.attempt,
            discovered_at: self.discovered_at,
            give_up_at: self.give_up_at,
            digest: self.digest.clone(),
            after: self.after,
            is_stale: self.is_stale,
            is_unsampled: matches!(self.trace, Trace::Unsampled) && self.executions.is_empty(),
            events: self.only_events(),
            ..Pending::default()
        }
        .at(self.place.clone())
    }

    /// What nobody but events said: it comes only once.
    fn only_events(&self) -> Vec<Value> {
        let mut room = EVENTS_BYTES;
        let mut events = Vec::new();
        for event in self.executions.values().filter_map(Execution::only_event) {
            let mut event = event.clone();
            if event.json.len() > EVENT_BYTES {
                event.drop_payloads();
            }
            if let Some(left) = room.checked_sub(event.json.len())
                && let Ok(event) = serde_json::from_str(&event.json)
            {
                room = left;
                events.push(event);
            }
        }
        events
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        let trace = match &self.trace {
            Trace::Here { answer, .. } => answer.json.len(),
            _ => 0,
        };
        trace + self.payload_bytes + self.message.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Payloads;
    use crate::pending::SECOND;

    #[test]
    fn what_confirms_a_fetch() {
        for (date, after, is_stale, now, expected, why) in [
            (20, 10, false, 30, true, "later than the one before"),
            (10, 10, false, 30, false, "the same answer"),
            (10, 15, false, 30, false, "answered before somebody asked"),
            (10, 15, true, 30, true, "as late as it gets"),
            (10, 15, false, 100, true, "it is given up"),
        ] {
            let told = Told::read(r#"{"executionArn":"a","status":"SUCCEEDED"}"#.into(), date * SECOND, Payloads::Full);
            let execution = Execution { state: State::Told(told.unwrap()), ..Execution::unasked(true) };
            let mut unit = Unit { after: after * SECOND, is_stale, give_up_at: 100 * SECOND, ..Unit::default() };
            unit.executions.insert("a".into(), execution);
            let digest = unit.new_digest();
            assert!(!unit.situation(&digest, now * SECOND).is_confirmed, "{why}: of the first");
            unit.digest = Some(digest.clone());
            assert_eq!(unit.situation(&digest, now * SECOND).is_confirmed, expected, "{why}");
            unit.merge(Unit::default());
            assert!(!unit.is_stale, "{why}: somebody asks anew");
        }
    }
}
