//! Lets as many calls of a stage through as its limit says.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::concurrency::{Limit, Seen};

/// One stage's gate, shared by its workers.
pub struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    limit: Limit,
    in_flight: u32,
}

/// The right to have one call in flight. Given back on drop.
pub struct Permit {
    gate: Arc<Gate>,
    era: u32,
}

impl Gate {
    /// A gate with this limit.
    pub fn new(limit: Limit) -> Arc<Gate> {
        Arc::new(Gate { state: Mutex::new(State { limit, in_flight: 0 }), changed: Notify::new() })
    }

    /// Waits for the right to call.
    pub async fn enter(self: &Arc<Gate>) -> Permit {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.in_flight < state.limit.calls() {
                    state.in_flight += 1;
                    return Permit { gate: self.clone(), era: state.limit.era() };
                }
                state.limit.want();
            }
            changed.await;
        }
    }

    /// Calls in flight, and how many there may be.
    pub fn level(&self) -> (u32, u32) {
        let state = self.state();
        (state.in_flight, state.limit.calls())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// How the call ended: the next ones may be more or fewer.
    pub fn record(&self, seen: Seen) {
        self.gate.state().limit.record(self.era, seen);
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.state().in_flight -= 1;
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_open(gate: &Arc<Gate>) -> bool {
        timeout(Duration::from_secs(1), gate.enter()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_the_limit_says() {
        let gate = Gate::new(Limit::new(1, 3));
        let first = gate.enter().await;
        assert!(!is_open(&gate).await);
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await }
        });
        tokio::task::yield_now().await;
        first.record(Seen::Good(Duration::from_millis(10)));
        let second = waiting.await.unwrap();
        assert_eq!(gate.level(), (2, 2), "a good call with another waiting");
        assert!(!is_open(&gate).await);

        second.record(Seen::Refused);
        assert_eq!(gate.level(), (2, 1));
        drop(second);
        assert!(!is_open(&gate).await, "one is still in flight, and no more may be");
        drop(first);
        assert!(is_open(&gate).await);
        assert_eq!(gate.level(), (0, 1), "what is dropped is given back");
    }
}
