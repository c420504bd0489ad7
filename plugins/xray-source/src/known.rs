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
    /// Which subject an execution is part of, and which fetch of it brought it last.
    subject_of: Recent<(Key, u64)>,
    fetches: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fetch {
    /// The earliest of its answers, by the services' clock.
    at: u64,
    /// In whole seconds, as on the queue. Absent: it was the last.
    due_at: Option<u64>,
    number: u64,
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
    /// What was fetched of this subject, or is soon, has it all: nothing more, once that is safe.
    Served(Key),
    /// Its trace is fetched at that time anyway: wait for it.
    Align(u64),
    Work,
}

impl Known {
    pub fn new(seed: u64) -> Known {
        Known { seed, subjects: Recent::new(ENTRIES), subject_of: Recent::new(ENTRIES), fetches: 0 }
    }

    pub fn arrival(&self, wanted: &Wanted<'_>, now: u64) -> Arrival {
        let Some(subject) = self.subject(wanted) else { return Arrival::Work };
        let Some(fetch) = self.subjects.get(subject) else { return Arrival::Work };
        // Nothing is known of what an earlier fetch brought and the last one did not.
        let brought = Some(&(subject, fetch.number));
        let covered = wanted.executions.iter().all(|arn| self.subject_of.get(self.execution(arn)) == brought);
        let soon = fetch.due_at.filter(|due_at| (now + 1..=now + SOON).contains(due_at));
        let is_new_enough = fetch.at > wanted.since.saturating_add(SLACK);
        let is_served = match fetch.due_at {
            Some(_) => is_new_enough || soon.is_some(),
            None => is_new_enough && !wanted.is_begin,
        };
        match soon {
            _ if covered && is_served => Arrival::Served(subject),
            Some(due_at) => Arrival::Align(due_at),
            None => Arrival::Work,
        }
    }

    /// Remembers a fetch of a trace, or of an execution that has none, with all executions that it brought. Returns what
    /// [`Known::forget`] is called with where what was fetched does not become safe.
    pub fn fetched<'a>(
        &mut self,
        place: &Place,
        subject: &str,
        executions: impl Iterator<Item = &'a str>,
        at: u64,
        due_at: Option<u64>,
    ) -> Key {
        let subject = self.named(place, subject);
        let due_at = due_at.map(|time| time / SECOND * SECOND);
        self.fetches += 1;
        let number = self.fetches;
        self.subjects.set(subject, Fetch { at, due_at, number });
        for arn in executions {
            self.subject_of.set(self.execution(arn), (subject, number));
        }
        subject
    }

    /// Nothing that asks for it is served by what was fetched.
    pub fn forget(&mut self, subject: Key) {
        self.subjects.remove(subject);
    }

    /// Whether the last fetch of this execution was after that time.
    pub fn is_settled(&self, arn: &str, since: u64) -> bool {
        let Some((subject, number)) = self.subject_of.get(self.execution(arn)) else { return false };
        self.subjects.get(*subject).is_some_and(|fetch| {
            fetch.number == *number && fetch.due_at.is_none() && fetch.at > since.saturating_add(SLACK)
        })
    }

    fn subject(&self, wanted: &Wanted<'_>) -> Option<Key> {
        match (wanted.place, wanted.trace_id) {
            (Some(place), Some(id)) => Some(self.named(place, id)),
            _ => self.subject_of.get(self.execution(wanted.executions.first()?)).map(|(subject, _)| *subject),
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
        let [open, later, last] = ["open", "later", "last"].map(|subject| known.named(&place, subject));
        for (trace_id, executions, since, is_begin, expected) in [
            (Some("open"), vec![], 90, false, Served(open)),
            (Some("open"), vec!["a", "b"], 90, false, Served(open)),
            (Some("open"), vec!["a", "x"], 90, false, Align(second(160))),
            (Some("open"), vec![], 99, false, Served(open)),
            (None, vec!["b"], 90, false, Served(open)),
            (None, vec!["b"], 105, false, Served(open)),
            (None, vec!["x"], 90, false, Work),
            (None, vec!["c"], 105, false, Work),
            (None, vec!["c"], 90, false, Served(later)),
            (None, vec!["d"], 90, false, Served(last)),
            (None, vec!["d"], 90, true, Work),
            (None, vec!["d"], 105, false, Work),
            (None, vec!["a"], 90, true, Served(open)),
            (Some("new"), vec![], 0, false, Work),
            (None, vec![], 0, false, Work),
        ] {
            let since = second(since);
            let text = format!("{trace_id:?} {executions:?} {since} {is_begin}");
            let wanted = Wanted { place: Some(&place), trace_id, executions, since, is_begin };
            assert_eq!(known.arrival(&wanted, second(110)), expected, "{text}");
        }
        // What is due now is not served by itself.
        let wanted =
            |since| Wanted { place: Some(&place), trace_id: Some("open"), executions: vec![], since, is_begin: false };
        assert_eq!(known.arrival(&wanted(second(160)), second(160)), Work);
        known.fetched(&place, "open", ["a"].into_iter(), second(161), Some(second(190) + 5));
        assert_eq!(known.arrival(&wanted(second(190)), second(190) + 1), Work);
        known.fetched(&place, "open", ["a"].into_iter(), second(191), None);
        known.forget(open);
        assert_eq!(known.arrival(&wanted(second(190)), second(192)), Work);
        assert!(known.is_settled("d", second(90)) && !known.is_settled("d", second(99)));
        assert!(!known.is_settled("a", second(90)) && !known.is_settled("x", 0));
        // The second part of what was fetched as a whole before: the last fetch did not bring it.
        known.fetched(&place, "parts", ["e", "f"].into_iter(), second(100), Some(second(160)));
        known.fetched(&place, "parts", ["e"].into_iter(), second(160), None);
        let part = |executions| Wanted { trace_id: Some("parts"), executions, ..wanted(second(100)) };
        assert_eq!(known.arrival(&part(vec!["f"]), second(161)), Work);
        assert_eq!(known.arrival(&part(vec!["e"]), second(161)), Served(known.named(&place, "parts")));
        assert!(!known.is_settled("f", second(90)) && known.is_settled("e", second(90)));
    }
}
