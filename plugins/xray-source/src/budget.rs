//! How many traces a day may cost.

use rayline_sdk::log;

use crate::pending::SECOND;

const DAY: u64 = 86_400 * SECOND;

/// What was fetched today (UTC).
pub struct Budget {
    most: Option<u64>,
    day: u64,
    spent: u64,
    told: bool,
}

impl Budget {
    pub fn new(most: Option<u64>) -> Budget {
        Budget { most, day: 0, spent: 0, told: false }
    }

    /// How many may be fetched now; `Err`: none before this time.
    pub fn left(&mut self, now: u64) -> Result<usize, u64> {
        let Some(most) = self.most else { return Ok(usize::MAX) };
        if self.day != now / DAY {
            (self.day, self.spent, self.told) = (now / DAY, 0, false);
        }
        match most.saturating_sub(self.spent) {
            0 => {
                if !self.told {
                    self.told = true;
                    let most = most.to_string();
                    log::warn("max_traces_per_day is reached: what comes now waits until tomorrow", &[("max", &most)]);
                }
                Err((self.day + 1) * DAY)
            }
            left => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
        }
    }

    pub fn spend(&mut self, traces: usize) {
        self.spent += traces as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_own() {
        let mut budget = Budget::new(Some(3));
        assert_eq!(budget.left(DAY + 5), Ok(3));
        budget.spend(2);
        assert_eq!(budget.left(DAY + 6), Ok(1));
        budget.spend(2);
        assert_eq!(budget.left(DAY + 7), Err(2 * DAY));
        assert_eq!(budget.left(2 * DAY), Ok(3));
        assert_eq!(Budget::new(None).left(0), Ok(usize::MAX));
    }
}
