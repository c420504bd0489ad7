//! Which traces this instance fetched lately and when it will fetch them again, so that a hundred events of one trace cost
//! one fetch and not a hundred.

use rayline_sdk::xray::Place;

use crate::pending::SECOND;
use crate::recent::{Key, Recent};

/// How many traces, and how many executions, are remembered: some 100 bytes each.
const ENTRIES: usize = 16_384;

/// What is due so soon is waited for.
const SOON: u64 = 60 * SECOND;

/// A `Date` has whole seconds, and the services are not quite of one mind.
const SLACK: u64 = 2 * SECOND;

/// What was fetched lately.
pub struct Known {
    seed: u64,
    subjects: Recent<Fetch>,
    /// Which subject an execution is part of.
    subject_of: Recent<Key>,
}

#[derive(Debug, Clone, Copy)]
struct Fetch {
    /// By the services' clock.
    at: u64,
    /// Absent: it was the last.
    due_at: Option<u64>,
}

/// What a message asks for.
pub struct Wanted<'a> {
    pub place: Option<&'a Place>,
    pub trace_id: Option<&'a str>,
    pub executions: Vec<&'a str>,
    /// A fetch after this time serves it.
    pub since: u64,
    /// Whether it tells that something has begun: then no earlier fetch was the last.
    pub is_begin: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A fetch since then has it all: nothing more.
    Served,
    /// It is fetched at that time anyway: wait for it.
    Align(u64),
    Work,
}

impl Known {
    pub fn new(seed: u64) -> Known {
        Known { seed, subjects: Recent::new(ENTRIES), subject_of: Recent::new(ENTRIES) }
    }

    pub fn arrival(&self, wanted: &Wanted<'_>, now: u64) -> Arrival {
        let Some(subject) = self.subject(wanted) else { return Arrival::Work };
        let Some(fetch) = self.subjects.get(subject) else { return Arrival::Work };
        let covered = wanted.executions.iter().all(|arn| self.subject_of.get(self.execution(arn)) == Some(&subject));
        if covered && fetch.at > wanted.since.saturating_add(SLACK) && !(wanted.is_begin && fetch.due_at.is_none()) {
            return Arrival::Served;
        }
        match fetch.due_at {
            Some(due_at) if due_at > now && due_at <= now + SOON => Arrival::Align(due_at),
            _ => Arrival::Work,
        }
    }

    /// Remembers a fetch of a trace, or of an execution that has none, with all executions that it brought.
    pub fn fetched<'a>(
        &mut self,
        place: &Place,
        subject: &str,
        executions: impl Iterator<Item = &'a str>,
        at: u64,
        due_at: Option<u64>,
    ) {
        let subject = self.named(place, subject);
        self.subjects.set(subject, Fetch { at, due_at });
        for arn in executions {
            self.subject_of.set(self.execution(arn), subject);
        }
    }

    /// Whether the last fetch of this execution was after that time.
    pub fn is_settled(&self, arn: &str, since: u64) -> bool {
        let fetch = self.subject_of.get(self.execution(arn)).and_then(|subject| self.subjects.get(*subject));
        fetch.is_some_and(|fetch| fetch.due_at.is_none() && fetch.at > since.saturating_add(SLACK))
    }

    fn subject(&self, wanted: &Wanted<'_>) -> Option<Key> {
        match (wanted.place, wanted.trace_id) {
            (Some(place), Some(id)) => Some(self.named(place, id)),
            _ => self.subject_of.get(self.execution(wanted.executions.first()?)).copied(),
        }
    }

    fn named(&self, place: &Place, subject: &str) -> Key {
        Key::new(self.seed, (&place.account, &place.region, subject))
    }

    fn execution(&self, arn: &str) -> Key {
        Key::new(self.seed, arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals() {
        use Arrival::*;
        let place = Place { account: "1".into(), region: "r".into() };
        let second = |n: u64| n * SECOND;
        let mut known = Known::new(1);
        known.fetched(&place, "open", ["a", "b"].into_iter(), second(100), Some(second(160)));
        known.fetched(&place, "later", ["c"].into_iter(), second(100), Some(second(9000)));
        known.fetched(&place, "last", ["d"].into_iter(), second(100), None);
        for (trace_id, executions, since, is_begin, expected) in [
            (Some("open"), vec![], 90, false, Served),
            (Some("open"), vec!["a", "b"], 90, false, Served),
            (Some("open"), vec!["a", "x"], 90, false, Align(second(160))),
            (Some("open"), vec![], 99, false, Align(second(160))),
            (None, vec!["b"], 90, false, Served),
            (None, vec!["b"], 105, false, Align(second(160))),
            (None, vec!["x"], 90, false, Work),
            (None, vec!["c"], 105, false, Work),
            (None, vec!["c"], 90, false, Served),
            (None, vec!["d"], 90, false, Served),
            (None, vec!["d"], 90, true, Work),
            (None, vec!["d"], 105, false, Work),
            (None, vec!["a"], 90, true, Served),
            (Some("new"), vec![], 0, false, Work),
            (None, vec![], 0, false, Work),
        ] {
            let since = second(since);
            let text = format!("{trace_id:?} {executions:?} {since} {is_begin}");
            let wanted = Wanted { place: Some(&place), trace_id, executions, since, is_begin };
            assert_eq!(known.arrival(&wanted, second(110)), expected, "{text}");
        }
        assert!(known.is_settled("d", second(90)) && !known.is_settled("d", second(99)));
        assert!(!known.is_settled("a", second(90)) && !known.is_settled("x", 0));
    }
}
