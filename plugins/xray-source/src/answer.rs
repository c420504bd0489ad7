//! What the services' answers do to a unit.

use std::time::Duration;

use rayline_sdk::xray::{Answer, TraceQuery};
use rayline_sdk::{CapabilityError, clock, log};

use crate::arn::ExecutionArn;
use crate::outcome::Outcome;
use crate::pending::Pending;
use crate::trace::Facts;
use crate::unit::{Execution, State, Trace, Unit};

/// Longest time between two questions about one thing that was not answered.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Unit {
    /// What a trace's accounts answered; that of one account if it is known.
    pub fn fetched(&mut self, answers: Vec<(TraceQuery, Result<Answer, CapabilityError>)>) -> Option<Outcome> {
        let mut elsewhere = Vec::new();
        let mut waits = None;
        let mut absent = None;
        for (TraceQuery { place, id }, answer) in answers {
            match answer {
                Ok(answer) if !matches!(self.trace, Trace::Here { .. }) => {
                    let facts = Facts::read(&answer.json);
                    for arn in &facts.executions {
                        let is_standard = ExecutionArn::parse(arn).is_some_and(|arn| !arn.is_express);
                        if is_standard && !self.executions.contains_key(arn) {
                            self.executions.insert(arn.clone(), Execution::unasked(false));
                        }
                    }
                    self.place = Some(place);
                    self.trace = Trace::Here { id, answer, facts };
                }
                // Another account has a part of it too: that is a message of its own.
                Ok(_) => {
                    elsewhere.push(
                        Pending { trace_id: Some(id), executions: Vec::new(), ..self.to_pending(clock::now()) }
                            .at(Some(place)),
                    );
                }
                Err(CapabilityError::NotFound(_)) => absent = Some(id),
                Err(error @ (CapabilityError::Temporary { .. } | CapabilityError::Conflict(_))) => waits = Some(error),
                Err(error) => {
                    let reason = error.to_string();
                    log::error("a trace was refused", &[("trace", &id), ("reason", &reason)]);
                    self.refused = Some(reason);
                    absent = Some(id);
                }
            }
        }
        match (&self.trace, waits, absent) {
            (Trace::Here { .. }, ..) => self.moved(),
            (_, Some(error), _) => self.wait(&error),
            (_, None, Some(id)) => {
                self.moved();
                self.trace = Trace::Absent(id);
            }
            (_, None, None) => {}
        }
        (!elsewhere.is_empty()).then(|| Outcome { next: elsewhere, ..Outcome::default() })
    }

    pub fn moved(&mut self) {
        (self.tries, self.is_barred, self.moved_at) = (0, false, clock::monotonic());
    }

    pub fn wait(&mut self, error: &CapabilityError) {
        let asked = match error {
            CapabilityError::Temporary { after, .. } => *after,
            _ => None,
        };
        if asked == Some(Duration::ZERO) {
            // Under way: no failure, and asked for again after all others.
            return;
        }
        let backoff = Duration::from_secs(1 << self.tries.min(5));
        self.tries += 1;
        self.refused = Some(error.to_string());
        self.is_barred = asked.is_some_and(|asked| asked > LONGEST_WAIT);
        self.not_before = clock::monotonic() + asked.unwrap_or(backoff).min(LONGEST_WAIT);
    }

    pub fn refuse(&mut self, arn: &str, reason: &str) {
        log::error("an execution cannot be described", &[("execution", arn), ("reason", reason)]);
        self.refused = Some(reason.to_owned());
        self.not_told(arn, State::Refused);
    }
}
