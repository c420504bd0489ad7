//! How badly the endpoint behaves. What happens to a request depends on the seed, on what is asked and how often it was
//! asked before, not on the order in which requests arrive: so it is the same in each run.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How badly it behaves. Shares are of one.
#[derive(Clone, Debug)]
pub struct Manners {
    pub seed: u64,
    /// Of calls: refused because there are too many.
    pub throttled: f64,
    /// Of calls: an error of the service.
    pub failing: f64,
    /// Of ids: `BatchGetTraces` has not got round to them.
    pub unprocessed: f64,
    /// Of ids that X-Ray does not know: named as unprocessed. The others are left out.
    pub unknown_unprocessed: f64,
    /// Of calls of `BatchGetTraces`: only the first trace, and a token for the rest.
    pub paging: f64,
    /// How many entries a page of a list has at most.
    pub page: usize,
    /// How long each call takes.
    pub latency: Duration,
    /// Calls a second of one API in one account and region; more are throttled.
    pub rate: Option<f64>,
    /// The longest window of `GetTraceSummaries`.
    pub window: Duration,
    /// How long lists lag behind.
    pub list_lag: Duration,
    /// How long the retrieval of traces takes in accounts with Transaction Search.
    pub retrieval: Duration,
}

impl Default for Manners {
    /// A bad day.
    fn default() -> Manners {
        Manners {
            seed: 1,
            throttled: 0.1,
            failing: 0.03,
            unprocessed: 0.1,
            unknown_unprocessed: 0.5,
            paging: 0.2,
            page: 7,
            latency: Duration::from_millis(5),
            rate: None,
            window: Duration::from_secs(6 * 3600),
            list_lag: Duration::from_millis(300),
            retrieval: Duration::from_millis(300),
        }
    }
}

impl Manners {
    /// Nothing goes wrong.
    pub fn good() -> Manners {
        Manners {
            throttled: 0.0,
            failing: 0.0,
            unprocessed: 0.0,
            unknown_unprocessed: 0.0,
            paging: 0.0,
            page: 100,
            latency: Duration::ZERO,
            list_lag: Duration::ZERO,
            retrieval: Duration::ZERO,
            ..Manners::default()
        }
    }

    /// Whether this happens, the `nth` time.
    pub fn is(&self, share: f64, what: &str, nth: u64) -> bool {
        let digest = Sha256::digest(format!("{} {what} {nth}", self.seed));
        let number = digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        (number as f64) < share * (1_u64 << 48) as f64
    }
}

/// How often each thing was asked.
#[derive(Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// How often this came before.
    pub fn nth(&mut self, what: &str) -> u64 {
        let count = self.0.entry(what.to_owned()).or_default();
        *count += 1;
        *count - 1
    }
}
