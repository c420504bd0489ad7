//! Pauses a stage that finds nearly every event bad.
//!
//! A broken build or a wrong index template makes every event "guilty", and a dead letter must not swallow a queue.
//! When over a share of the last events of a stage trapped, or were rejected by a sink, the stage pauses: it holds what it
//! has (so back-pressure reaches the source) and tries one event now and then. The first that passes resumes it.
//! A transform's own rejections do not count: anyone can send junk.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many of the last events count.
const WINDOW: usize = 1_000;
/// With fewer, no verdict.
const AT_LEAST: usize = 100;

/// One stage's breaker, shared by its instances.
pub struct Breaker {
    max_ratio: f64,
    probe_every: Duration,
    state: Mutex<State>,
    paused: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    window: VecDeque<bool>,
    bad: usize,
    next_probe: Option<Instant>,
}

impl Breaker {
    /// `max_ratio`: share of bad events over which the stage pauses. `probe_every`: how often it tries one event then.
    pub fn new(max_ratio: f64, probe_every: Duration) -> Self {
        Breaker { max_ratio, probe_every, state: Mutex::default(), paused: watch::channel(false).0 }
    }

    /// Counts events; returns whether the stage is paused now.
    pub fn record(&self, good: usize, bad: usize) -> bool {
        let mut state = self.state();
        for verdict in std::iter::repeat_n(false, good.min(WINDOW)).chain(std::iter::repeat_n(true, bad.min(WINDOW))) {
            if state.window.len() == WINDOW && state.window.pop_front() == Some(true) {
                state.bad -= 1;
            }
            state.window.push_back(verdict);
            state.bad += usize::from(verdict);
        }
        let seen = state.window.len();
        if bad > 0 && !self.is_paused() && seen >= AT_LEAST && state.bad as f64 > self.max_ratio * seen as f64 {
            state.next_probe = Some(Instant::now() + self.probe_every);
            self.paused.send_replace(true);
        }
        self.is_paused()
    }

    /// Whether the stage is paused.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// For waiting until it is no longer, or is.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// When the next event may be tried; `None` when not paused.
    pub fn next_probe(&self) -> Option<Instant> {
        self.state().next_probe
    }

    /// Takes the right to try one event now; false when another instance has it or it is too early.
    pub fn take_probe(&self) -> bool {
        let mut state = self.state();
        match state.next_probe {
            Some(at) if at <= Instant::now() => {
                state.next_probe = Some(Instant::now() + self.probe_every);
                true
            }
            _ => false,
        }
    }

    /// A tried event passed: forget what was and go on.
    pub fn resume(&self) {
        *self.state() = State::default();
        self.paused.send_replace(false);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_over_half_of_at_least_a_hundred() {
        let breaker_of = |max_ratio: f64, runs: &[(usize, usize)]| {
            let breaker = Breaker::new(max_ratio, Duration::from_secs(60));
            runs.iter().map(|(good, bad)| breaker.record(*good, *bad)).collect::<Vec<_>>()
        };
        let breaker = |runs: &[(usize, usize)]| breaker_of(0.5, runs);
        assert_eq!(breaker(&[(0, 99), (0, 1)]), [false, true]);
        assert_eq!(breaker(&[(50, 50), (0, 1)]), [false, true]);
        assert_eq!(breaker(&[(1000, 0), (0, 500), (0, 1)]), [false, false, true]);
        assert_eq!(breaker(&[(900, 0), (0, 100), (500, 0), (0, 300)]), [false; 4]);
        assert_eq!(breaker_of(0.9, &[(10, 90), (0, 1)]), [false, true]);
        assert_eq!(breaker_of(1.0, &[(0, 2_000)]), [false], "never");
    }

    #[tokio::test(start_paused = true)]
    async fn one_event_is_tried_now_and_then() {
        let breaker = Breaker::new(0.5, Duration::from_secs(60));
        assert!(breaker.record(0, 100));
        assert!(!breaker.take_probe());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(breaker.take_probe());
        assert!(!breaker.take_probe(), "one instance at a time");
        breaker.resume();
        assert!(!breaker.is_paused());
        assert!(!breaker.record(0, 99), "what was is forgotten");
    }
}
