//! How far the sweeps have come: the checkpoint.

use std::collections::BTreeMap;

use rayline_message::{nanoseconds, rfc3339};
use rayline_sdk::xray::Place;
use serde::{Deserialize, Serialize};

/// For each account and region the time before which everything was found. By the services' clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(BTreeMap<String, String>);

impl Watermark {
    /// In nanoseconds since 1970-01-01T00:00:00Z. `None`: there was no sweep yet.
    pub fn of(&self, place: &Place) -> Option<u64> {
        nanoseconds(self.0.get(&name(place))?)
    }

    /// Sweeps got through. It never goes back.
    pub fn moved<'a>(&mut self, swept: impl Iterator<Item = (&'a Place, u64)>) {
        for (place, time) in swept {
            if self.of(place).is_none_or(|before| before < time)
                && let Some(text) = rfc3339(time)
            {
                self.0.insert(name(place), text);
            }
        }
    }
}

fn name(place: &Place) -> String {
    format!("{}/{}", place.account, place.region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_by_account_and_never_back() {
        let place = |account: &str| Place { account: account.into(), region: "r".into() };
        let (a, b) = (place("1"), place("2"));
        let second = 1_000_000_000;
        let mut mark = Watermark::default();
        mark.moved([(&a, 100 * second)].into_iter());
        mark.moved([(&a, 50 * second), (&b, 60 * second)].into_iter());
        assert_eq!((mark.of(&a), mark.of(&b), mark.of(&place("3"))), (Some(100 * second), Some(60 * second), None));
        let text = serde_json::to_string(&mark).unwrap();
        assert_eq!(text, r#"{"1/r":"1970-01-01T00:01:40Z","2/r":"1970-01-01T00:01:00Z"}"#);
        assert_eq!(serde_json::from_str::<Watermark>(&text).unwrap(), mark);
    }
}
