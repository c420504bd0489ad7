//! How many calls of a stage may be in flight.
//!
//! Between `instances.min` and `max` the limit is moved as TCP moves its window (and as Vector's adaptive request
//! concurrency does): one more after a window of good calls, half after one that asked for another try. Calls that take
//! much longer than they did are what an overloaded server shows before it refuses: then it is one less.
//!
//! A window is as many good calls as the limit. It counts only if a call had to wait for its turn in it: a stage with
//! little to do says nothing of what its server can take.

use std::time::Duration;

/// Windows this much slower than the best one are a server that has enough.
const SLOWER: f64 = 2.0;
/// What a slow window moves the best one towards itself: a server that is slower for good is learned anew.
const FORGET: f64 = 0.1;

/// How many calls may be in flight, and what was seen that says so. Pure: no clock, no lock.
#[derive(Debug)]
pub struct Limit {
    min: u32,
    max: u32,
    calls: u32,
    /// Counts the halvings. What began before the last one says nothing of the limit since.
    era: u32,
    /// Seconds of a call in the best window.
    best: Option<f64>,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    good: u32,
    seconds: f64,
    wanted: bool,
}

/// How a call ended, as far as it says something of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen {
    /// It was answered, after this time.
    Good(Duration),
    /// It asked for another try, for itself or for some of its events.
    Refused,
}

impl Limit {
    /// Begins with `min` calls.
    pub fn new(min: u32, max: u32) -> Limit {
        Limit { min, max, calls: min, era: 0, best: None, window: Window::default() }
    }

    /// How many calls may be in flight now.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// The present era, for [`Limit::record`].
    pub fn era(&self) -> u32 {
        self.era
    }

    /// A call had to wait for its turn.
    pub fn want(&mut self) {
        self.window.wanted = true;
    }

    /// Moves the limit by a call that began in `era`.
    pub fn record(&mut self, era: u32, seen: Seen) {
        if era != self.era {
            return;
        }
        match seen {
            Seen::Refused => {
                self.calls = (self.calls / 2).max(self.min);
                self.era = self.era.wrapping_add(1);
                self.window = Window::default();
            }
            Seen::Good(time) => {
                self.window.good += 1;
                self.window.seconds += time.as_secs_f64();
                if self.window.good >= self.calls {
                    let window = std::mem::take(&mut self.window);
                    if window.wanted {
                        self.judge(window.seconds / f64::from(window.good));
                    }
                }
            }
        }
    }

    /// A whole window took `seconds` a call.
    fn judge(&mut self, seconds: f64) {
        let best = self.best.map_or(seconds, |best| best.min(seconds));
        if seconds <= best * SLOWER {
            self.best = Some(best);
            self.calls = (self.calls + 1).min(self.max);
        } else {
            self.best = Some(best + (seconds - best) * FORGET);
            self.calls = (self.calls - 1).max(self.min);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a limit between `min` and `max` whole windows of calls that take so many milliseconds; 0 is a refusal.
    /// Returns the limit after each.
    fn limits(min: u32, max: u32, windows: &[u64]) -> Vec<u32> {
        let mut limit = Limit::new(min, max);
        let mut seen = Vec::new();
        for millis in windows {
            give(&mut limit, *millis);
            seen.push(limit.calls());
        }
        seen
    }

    fn give(limit: &mut Limit, millis: u64) {
        limit.want();
        let era = limit.era();
        match millis {
            0 => limit.record(era, Seen::Refused),
            _ => (0..limit.calls()).for_each(|_| limit.record(era, Seen::Good(Duration::from_millis(millis)))),
        }
    }

    #[test]
    fn one_more_after_each_good_window_up_to_the_most() {
        assert_eq!(limits(1, 4, &[10, 10, 20, 10, 10]), [2, 3, 4, 4, 4]);
        assert_eq!(limits(2, 2, &[10, 100, 0]), [2, 2, 2]);
    }

    #[test]
    fn half_after_a_refusal_down_to_the_least() {
        assert_eq!(limits(1, 8, &[10, 10, 10, 10, 10, 10, 10, 0, 0, 0, 0, 10]), [2, 3, 4, 5, 6, 7, 8, 4, 2, 1, 1, 2]);
        assert_eq!(limits(3, 8, &[10, 0]), [4, 3]);
    }

    #[test]
    fn one_less_when_calls_take_longer_than_twice_the_best() {
        assert_eq!(limits(1, 8, &[50, 60, 90, 120, 120, 60]), [2, 3, 4, 3, 2, 3]);
        assert_eq!(limits(1, 8, &[100, 50, 101, 100]), [2, 3, 2, 3], "the best counts, not the first");
    }

    #[test]
    fn a_server_that_is_slower_for_good_is_learned_anew() {
        let mut limit = Limit::new(1, 8);
        (0..10).for_each(|_| give(&mut limit, 10));
        assert_eq!(limit.calls(), 8);
        (0..6).for_each(|_| give(&mut limit, 100));
        assert_eq!(limit.calls(), 2);
        (0..10).for_each(|_| give(&mut limit, 100));
        assert_eq!(limit.calls(), 8);
    }

    #[test]
    fn calls_of_one_outage_count_once() {
        let mut limit = Limit::new(1, 16);
        (0..15).for_each(|_| give(&mut limit, 10));
        let era = limit.era();
        (0..16).for_each(|_| limit.record(era, Seen::Refused));
        assert_eq!(limit.calls(), 8);
        (0..16).for_each(|_| limit.record(era, Seen::Good(Duration::from_millis(10))));
        limit.want();
        let era = limit.era();
        (0..7).for_each(|_| limit.record(era, Seen::Good(Duration::from_millis(10))));
        assert_eq!(limit.calls(), 8, "what began before the halving is no part of the new window");
    }

    #[test]
    fn without_anybody_waiting_nothing_moves() {
        let mut limit = Limit::new(1, 8);
        (0..100).for_each(|n| limit.record(0, Seen::Good(Duration::from_millis(n))));
        assert_eq!(limit.calls(), 1);
        limit.want();
        limit.record(0, Seen::Good(Duration::from_millis(500)));
        assert_eq!(limit.calls(), 2, "the quick calls before are no measure");
    }
}
