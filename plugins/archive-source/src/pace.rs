use std::num::NonZeroU32;
use std::time::Duration;

/// Time that passed unused is made up for, up to this: readings come in steps.
const CREDIT: Duration = Duration::from_millis(100);

/// A limit of messages a second.
pub struct Pace {
    interval: Duration,
    /// When the next message is due.
    next: Duration,
}

impl Pace {
    pub fn new(per_sec: NonZeroU32, now: Duration) -> Self {
        Self { interval: Duration::from_secs(1) / per_sec.get(), next: now }
    }

    /// How many messages are due, at least one, or how long to wait for the first: in whole milliseconds, as the host
    /// waits.
    pub fn due(&mut self, now: Duration) -> Result<usize, Duration> {
        self.next = self.next.max(now.saturating_sub(CREDIT));
        match now.checked_sub(self.next) {
            None => {
                let wait = self.next.saturating_sub(now).as_nanos().div_ceil(1_000_000);
                Err(Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)))
            }
            Some(late) => {
                let more = late.as_nanos().checked_div(self.interval.as_nanos()).unwrap_or_default();
                Ok(usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1))
            }
        }
    }

    /// So many were passed on.
    pub fn spent(&mut self, messages: usize) {
        self.next += self.interval * u32::try_from(messages).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(NonZeroU32::new(100).unwrap(), ms(5000));
        for (now, expected) in [
            (5000, Ok(1)),
            (5000, Err(ms(10))),
            (5010, Ok(1)),
            (5045, Ok(3)),
            (5046, Err(ms(4))),
            (5049, Err(ms(1))),
            (9000, Ok(11)),
        ] {
            let due = pace.due(ms(now));
            assert_eq!(due, expected, "at {now}");
            pace.spent(due.unwrap_or(0));
        }
    }
}
