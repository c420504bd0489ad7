//! One trace being worked on, with the messages that ask for it; or an execution whose trace is not known yet.

use std::collections::BTreeMap;
use std::time::Duration;

use rayline_sdk::xray::{Answer, Place};

use crate::known::Wanted;
use crate::pending::Pending;
use crate::raw::Raw;
use crate::told::Told;
use crate::trace::{Facts, hash};
use crate::verdict::{Situation, TraceState, Verdict};

/// Inputs and outputs of one trace's executions that are kept; of the others it is said that they are not included. One
/// trace can hold hundreds of executions with half a megabyte each, and no queue takes that.
const PAYLOAD_BYTES: usize = 16 << 20;

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
    /// A fetch after this time serves it.
    pub since: u64,
    /// Whether an event told that something has begun.
    pub is_begin: bool,
    /// Not asked for before that; on the monotonic clock.
    pub not_before: Duration,
    /// Answers in a row that were for the time being.
    pub tries: u32,
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
        self.is_begin |= other.is_begin;
        for (arn, theirs) in other.executions {
            match self.executions.get_mut(&arn) {
                Some(mine) => {
                    mine.is_listed |= theirs.is_listed;
                    mine.event = mine.event.take().or(theirs.event);
                    if mine.state == State::Unasked {
                        mine.state = theirs.state;
                    }
                }
                None => _ = self.executions.insert(arn, theirs),
            }
        }
    }

    /// What is asked for, as far as it is known.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            place: self.place.as_ref(),
            trace_id: self.trace_id(),
            executions: self.executions.keys().map(String::as_str).collect(),
            since: self.since,
            is_begin: self.is_begin,
            is_continued: self.attempt > 0,
        }
    }

    /// An execution is told of.
    pub fn told(&mut self, arn: &str, mut told: Told) {
        if self.payload_bytes + told.json.len() > PAYLOAD_BYTES {
            told.drop_payloads();
        }
        self.payload_bytes += told.json.len();
        if let Some(execution) = self.executions.get_mut(arn) {
            execution.state = State::Told(told);
        }
    }

    /// Nobody can describe an execution: what an event said of it must do.
    pub fn not_told(&mut self, arn: &str, state: State) {
        let Some(execution) = self.executions.get_mut(arn) else { return };
        match execution.event.take() {
            Some(event) => self.told(arn, event),
            None => execution.state = state,
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
            is_same: self.digest.as_deref() == Some(digest),
            latest_end: ends.max().filter(|end| *end > 0).unwrap_or(self.discovered_at),
            attempt: self.attempt,
            give_up_at: self.give_up_at,
            now,
        }
    }

    /// The `Date` of the latest answer: the trace's if there is one, since that is asked for last.
    pub fn collected_at(&self) -> u64 {
        match &self.trace {
            Trace::Here { answer, .. } => answer.date,
            _ => self.all_told().map(|told| told.date).max().unwrap_or(0),
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
            ..Pending::default()
        }
        .at(self.place.clone())
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
