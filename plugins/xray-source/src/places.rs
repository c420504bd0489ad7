//! The accounts and regions that the binding names.

use std::collections::BTreeSet;
use std::time::Duration;

use rayline_sdk::xray::{self, Place};
use rayline_sdk::{Failure, log};

use crate::XRAY;

/// How long an answer counts. Accounts change with the pipeline file only; what was broken may work again.
const FRESH: Duration = Duration::from_secs(300);
/// The same while credentials of one of them do not work.
const BROKEN: Duration = Duration::from_secs(30);

/// What is known of them.
#[derive(Default)]
pub struct Places {
    known: BTreeSet<Place>,
    /// Why some could not be reached.
    problem: Option<String>,
    asked_at: Option<Duration>,
}

/// Whether a place is the binding's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    Yes,
    No,
    /// It may be one of those whose credentials do not work now.
    Unclear,
}

impl Places {
    /// Asks where that was long ago.
    pub fn refresh(&mut self, now: Duration) -> Result<(), Failure> {
        let keep = if self.problem.is_some() { BROKEN } else { FRESH };
        if self.asked_at.is_some_and(|asked_at| now < asked_at + keep) {
            return Ok(());
        }
        let answers = xray::places(XRAY)?;
        self.asked_at = Some(now);
        let mut problem = None;
        for answer in answers {
            match answer {
                Ok(place) => _ = self.known.insert(place),
                Err(error) => problem = Some(error.to_string()),
            }
        }
        if problem != self.problem {
            match &problem {
                Some(reason) => {
                    log::warn("an account cannot be used: what is to be collected there waits", &[("reason", reason)])
                }
                None => log::info("all accounts can be used again", &[]),
            }
            self.problem = problem;
        }
        Ok(())
    }

    pub fn belongs(&self, place: &Place) -> Belongs {
        match (self.known.contains(place), &self.problem) {
            (true, _) => Belongs::Yes,
            (false, None) => Belongs::No,
            (false, Some(_)) => Belongs::Unclear,
        }
    }

    /// The one that there is: what names no place is from there.
    pub fn only(&self) -> Option<&Place> {
        let mut known = self.known.iter();
        known.next().filter(|_| known.next().is_none() && self.problem.is_none())
    }

    /// Whether there are any, and none whose credentials do not work.
    pub fn are_all_usable(&self) -> bool {
        !self.known.is_empty() && self.problem.is_none()
    }

    /// All that can be used.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.known.iter()
    }
}
