//! How long to wait before something is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::pipeline::Retry;

/// The waits between tries: exponential, with jitter, for ever. **None is longer than `retry.max_secs`**, whatever the
/// stage asks for: a proxy that says `Retry-After: 86400` must not stop a pipeline for a day.
pub struct Backoff {
    max: Duration,
    waits: ExponentialBackoff,
}

impl Backoff {
    /// Begins with the shortest wait.
    pub fn new(retry: &Retry) -> Backoff {
        Backoff { max: retry.max, waits: backoff(retry.initial, retry.max) }
    }

    /// The next wait: what the stage asks for, else the next longer one.
    pub fn wait(&mut self, asked: Option<Duration>) -> Duration {
        asked.or_else(|| self.waits.next()).unwrap_or(self.max).min(self.max)
    }
}

/// Waits between tries: exponential, with jitter, for ever.
pub fn backoff(initial: Duration, max: Duration) -> ExponentialBackoff {
    // The jitter adds up to as much again.
    let delays = ExponentialBuilder::default().with_min_delay(initial / 2).with_max_delay(max / 2);
    delays.with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_none_is_longer_than_the_longest() {
        let (initial, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut backoff = Backoff::new(&Retry { initial, max, max_attempts: None });
        let waits: Vec<Duration> = std::iter::repeat_with(|| backoff.wait(None)).take(20).collect();
        assert!(waits.iter().all(|wait| (initial / 2..=max).contains(wait)), "{waits:?}");
        assert!(waits.iter().skip(10).all(|wait| *wait >= max / 2), "{waits:?}");
        for (asked, waits) in [(0, 0), (5, 5), (86_400, 60)] {
            assert_eq!(
                backoff.wait(Some(Duration::from_secs(asked))),
                Duration::from_secs(waits),
                "asked for {asked} s"
            );
        }
    }
}
