//! When a trace is complete, when it goes out, and when it is fetched again. Pure: all that is decided follows from what is
//! passed in.

use crate::options::Timing;
use crate::pending::SECOND;

/// What is said of a trace when it goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is in progress, and two fetches agree.
    Settled,
    /// More may come, or was missing at the end.
    Partial,
    /// X-Ray took no more for it.
    LimitExceeded,
    /// It was not traced: the executions are all there is.
    Unsampled,
    /// Nothing came, neither of the trace nor, if that is all there is, of the execution.
    NotFound,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Settled => "settled",
            Verdict::Partial => "partial",
            Verdict::LimitExceeded => "limit_exceeded",
            Verdict::Unsampled => "unsampled",
            Verdict::NotFound => "not_found",
        }
    }
}

/// What became of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceState {
    /// Its header says that it is not sampled, or the execution has none.
    Unsampled,
    /// Only an event tells of the execution, and events name no trace.
    Unknown,
    /// X-Ray has nothing of it, or not yet.
    Absent,
    Here {
        is_in_progress: bool,
        limit_exceeded: bool,
        /// A part that should be there is not.
        is_incomplete: bool,
    },
}

/// All that a decision follows from. Times are nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub trace: TraceState,
    /// Whether any execution was described.
    pub is_described: bool,
    /// Whether any execution is running.
    pub is_running: bool,
    /// Whether an execution is not answered for: refused, or not known to the service.
    pub is_refused: bool,
    /// Whether the description of one was refused, also where an event stands in.
    pub is_stood_in: bool,
    /// Whether this fetch brought what the one before did, and counts as another.
    pub is_confirmed: bool,
    /// When the last part of it ended, or it was discovered.
    pub latest_end: u64,
    pub attempt: u32,
    pub give_up_at: u64,
    pub now: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Fetch again then. What is known goes out before if it is new.
    Again { due_at: u64 },
    /// This is the last.
    Last(Verdict),
}

/// What Step Functions and X-Ray show late, they show within a day.
const NEVER_SEEN: u64 = 24 * 3600 * SECOND;

/// An event can be quicker than what DescribeExecution knows.
const TOLD_EARLY: u64 = 15 * 60 * SECOND;

/// How much longer than usual a trace must be quiet where a part of it is missing: X-Ray may still get it.
const INCOMPLETE: u64 = 30;

impl Situation {
    pub fn decide(&self, timing: &Timing) -> Decision {
        use Verdict::*;
        let is_over = self.now >= self.give_up_at;
        let is_old = self.now >= self.latest_end.saturating_add(NEVER_SEEN);
        let again = Decision::Again { due_at: self.due(timing) };
        match self.trace {
            TraceState::Unknown | TraceState::Absent if !self.is_described => {
                if is_over || is_old {
                    Decision::Last(NotFound)
                } else {
                    again
                }
            }
            TraceState::Unsampled => match (self.is_running, is_over) {
                (false, _) => Decision::Last(Unsampled),
                (true, true) => Decision::Last(Partial),
                (true, false) => again,
            },
            TraceState::Unknown => {
                let is_early = self.is_stood_in || self.now < self.latest_end.saturating_add(TOLD_EARLY);
                match self.is_running {
                    true if is_over => Decision::Last(Partial),
                    false if is_over || !is_early => Decision::Last(NotFound),
                    _ => again,
                }
            }
            TraceState::Absent => match self.is_running {
                true if is_over => Decision::Last(Partial),
                false if is_over || is_old => Decision::Last(NotFound),
                _ => again,
            },
            TraceState::Here { is_in_progress, limit_exceeded, is_incomplete } => {
                // What is full stays as it is, also what is in progress in it.
                let is_at_rest = !self.is_running && !self.is_refused && (!is_in_progress || limit_exceeded);
                let is_quiet = self.now >= self.quiet_at(timing, is_incomplete && !limit_exceeded);
                match (limit_exceeded, is_at_rest && self.is_confirmed) {
                    (true, true) => Decision::Last(LimitExceeded),
                    (false, true) if is_quiet || is_over => Decision::Last(Settled),
                    _ if !is_over => again,
                    (true, false) if !self.is_running => Decision::Last(LimitExceeded),
                    _ => Decision::Last(Partial),
                }
            }
        }
    }

    /// When it is fetched again: later after each fetch. Once nothing is in progress, as soon as that can be confirmed.
    fn due(&self, timing: &Timing) -> u64 {
        let after = |attempt: usize| {
            timing.retries.get(attempt).or(timing.retries.last()).copied().unwrap_or(15 * SECOND).max(SECOND)
        };
        let due = match self.trace {
            TraceState::Here { is_in_progress: false, limit_exceeded, is_incomplete }
                if !self.is_running && !self.is_refused =>
            {
                // Looked at now and then while a part of it is missing.
                let attempt = if is_incomplete && !limit_exceeded { self.attempt as usize } else { 0 };
                let quiet_at = self.quiet_at(timing, is_incomplete && !limit_exceeded);
                let soon = self.now.saturating_add(after(attempt));
                if is_incomplete && self.now < quiet_at {
                    soon.min(quiet_at.max(self.now + SECOND))
                } else {
                    soon.max(quiet_at)
                }
            }
            _ => self.now.saturating_add(after(self.attempt as usize)),
        };
        due.min(self.give_up_at.max(self.now + SECOND))
    }

    fn quiet_at(&self, timing: &Timing, is_incomplete: bool) -> u64 {
        let quiet = if is_incomplete { timing.quiet.saturating_mul(INCOMPLETE) } else { timing.quiet };
        self.latest_end.saturating_add(quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600 * SECOND;
    const DAY: u64 = 86_400 * SECOND;

    fn timing() -> Timing {
        Timing { give_up_after: 7 * DAY, retries: [15, 60, 300].map(|secs| secs * SECOND).into(), quiet: 60 * SECOND }
    }

    fn here(is_in_progress: bool, limit_exceeded: bool, is_incomplete: bool) -> TraceState {
        TraceState::Here { is_in_progress, limit_exceeded, is_incomplete }
    }

    /// An execution that ended ten minutes ago, fetched for the second time, with the same result.
    fn situation(trace: TraceState) -> Situation {
        Situation {
            trace,
            is_described: true,
            is_running: false,
            is_refused: false,
            is_stood_in: false,
            is_confirmed: true,
            latest_end: NOW - 600 * SECOND,
            attempt: 1,
            give_up_at: NOW + DAY,
            now: NOW,
        }
    }

    #[test]
    fn decisions() {
        use Verdict::*;
        let again = |secs: u64| Decision::Again { due_at: NOW + secs * SECOND };
        let last = Decision::Last;
        let base = situation(here(false, false, false));
        let complete = here(false, false, false);
        let cases: Vec<(&str, Situation, Decision)> = vec![
            ("complete and confirmed", base, last(Settled)),
            ("complete for the first time", Situation { is_confirmed: false, ..base }, again(15)),
            ("complete and still warm", Situation { latest_end: NOW - 20 * SECOND, ..base }, again(40)),
            (
                "complete for the first time and still warm",
                Situation { latest_end: NOW, is_confirmed: false, attempt: 0, ..base },
                again(60),
            ),
            ("complete at last: confirmed soon", Situation { is_confirmed: false, attempt: 9, ..base }, again(15)),
            ("in progress", situation(here(true, false, false)), again(60)),
            ("in progress for long", Situation { attempt: 9, ..situation(here(true, false, false)) }, again(300)),
            (
                "in progress, near the end",
                Situation { attempt: 9, give_up_at: NOW + 100 * SECOND, ..situation(here(true, false, false)) },
                again(100),
            ),
            (
                "in progress at the end",
                Situation { give_up_at: NOW, ..situation(here(true, false, false)) },
                last(Partial),
            ),
            ("running", Situation { is_running: true, ..base }, again(60)),
            ("running at the end", Situation { is_running: true, give_up_at: NOW, ..base }, last(Partial)),
            ("a part is missing", situation(here(false, false, true)), again(60)),
            (
                "a part is missing for long",
                Situation { latest_end: NOW - 1800 * SECOND, ..situation(here(false, false, true)) },
                last(Settled),
            ),
            (
                "never twice the same at the end",
                Situation { is_confirmed: false, give_up_at: NOW, ..base },
                last(Partial),
            ),
            ("one refused", Situation { is_refused: true, ..base }, again(60)),
            ("full", situation(here(true, true, true)), last(LimitExceeded)),
            ("full, running", Situation { is_running: true, ..situation(here(true, true, true)) }, again(60)),
            (
                "full, for the first time",
                Situation { is_confirmed: false, ..situation(here(false, true, true)) },
                again(15),
            ),
            ("unsampled", situation(TraceState::Unsampled), last(Unsampled)),
            (
                "unsampled, once is enough",
                Situation { is_confirmed: false, ..situation(TraceState::Unsampled) },
                last(Unsampled),
            ),
            ("unsampled, running", Situation { is_running: true, ..situation(TraceState::Unsampled) }, again(60)),
            (
                "unsampled, running at the end",
                Situation { is_running: true, give_up_at: NOW, ..situation(TraceState::Unsampled) },
                last(Partial),
            ),
            ("only an event knows it", situation(TraceState::Unknown), again(60)),
            (
                "only an event knows it, for a while",
                Situation { latest_end: NOW - 900 * SECOND, ..situation(TraceState::Unknown) },
                last(NotFound),
            ),
            (
                "an event stands in for what is refused",
                Situation { latest_end: NOW - DAY, is_stood_in: true, ..situation(TraceState::Unknown) },
                again(60),
            ),
            (
                "an event stands in for what is refused, at the end",
                Situation { give_up_at: NOW, is_stood_in: true, ..situation(TraceState::Unknown) },
                last(NotFound),
            ),
            ("absent", situation(TraceState::Absent), again(60)),
            ("absent for a day", Situation { latest_end: NOW - DAY, ..situation(TraceState::Absent) }, last(NotFound)),
            ("absent at the end", Situation { give_up_at: NOW, ..situation(TraceState::Absent) }, last(NotFound)),
            (
                "absent, running for days",
                Situation { is_running: true, latest_end: NOW - 2 * DAY, ..situation(TraceState::Absent) },
                again(60),
            ),
            (
                "nothing known at all",
                Situation { is_described: false, is_refused: true, ..situation(TraceState::Unknown) },
                again(60),
            ),
            (
                "nothing known at all, at the end",
                Situation { is_described: false, give_up_at: NOW, ..situation(TraceState::Unknown) },
                last(NotFound),
            ),
            (
                "a trace alone that is not sampled",
                Situation { is_described: false, ..situation(TraceState::Unsampled) },
                last(Unsampled),
            ),
            ("a trace alone", Situation { is_described: false, ..situation(complete) }, last(Settled)),
        ];
        for (name, situation, expected) in cases {
            assert_eq!(situation.decide(&timing()), expected, "{name}");
        }
    }

    /// Whatever comes, it ends at the cap, and the next fetch is always later.
    #[test]
    fn always_ends() {
        let states = [TraceState::Unsampled, TraceState::Unknown, TraceState::Absent]
            .into_iter()
            .chain((0..8).map(|n| here(n & 1 > 0, n & 2 > 0, n & 4 > 0)));
        for trace in states {
            for bits in 0..32 {
                let mut it = Situation {
                    is_described: bits & 1 > 0,
                    is_running: bits & 2 > 0,
                    is_refused: bits & 4 > 0,
                    is_confirmed: bits & 8 > 0,
                    is_stood_in: bits & 16 > 0,
                    attempt: 0,
                    give_up_at: NOW + 7 * DAY,
                    ..situation(trace)
                };
                while let Decision::Again { due_at } = it.decide(&timing()) {
                    assert!(due_at > it.now && due_at <= it.give_up_at, "{it:?}");
                    it = Situation { now: due_at, attempt: it.attempt + 1, ..it };
                }
            }
        }
    }
}
