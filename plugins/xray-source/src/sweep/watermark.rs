//! How far the sweeps have come: the checkpoint.

use std::collections::BTreeMap;

use rayline_message::{nanoseconds, rfc3339};
use rayline_sdk::xray::Place;
use serde::{Deserialize, Serialize};

/// What is looked for, each by a service of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Executions, in the lists of Step Functions.
    Executions,
    /// Traces, in the summaries of X-Ray.
    Traces,
}

/// For each account and region the time before which everything was found. By the services' clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(BTreeMap<String, String>);

impl Watermark {
    /// In nanoseconds since 1970-01-01T00:00:00Z. `None`: there was no sweep yet.
    pub fn of(&self, place: &Place, service: Service) -> Option<u64> {
        nanoseconds(self.0.get(&name(place, service))?)
    }

    /// Sweeps got through. It never goes back.
    pub fn moved<'a>(&mut self, service: Service, swept: impl Iterator<Item = (&'a Place, u64)>) {
        for (place, time) in swept {
            if self.of(place, service).is_none_or(|before| before < time)
                && let Some(text) = rfc3339(time)
            {
                self.0.insert(name(place, service), text);
            }
        }
    }
}

fn name(place: &Place, service: Service) -> String {
    let traces = if service == Service::Traces { "/traces" } else { "" };
    format!("{}/{}{traces}", place.account, place.region)
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
        mark.moved(Service::Executions, [(&a, 100 * second)].into_iter());
        mark.moved(Service::Executions, [(&a, 50 * second), (&b, 60 * second)].into_iter());
        let of = |place: &Place| mark.of(place, Service::Executions).map(|time| time / second);
        assert_eq!([of(&a), of(&b), of(&place("3"))], [Some(100), Some(60), None]);
        assert_eq!(mark.of(&a, Service::Traces), None);
        mark.moved(Service::Traces, [(&a, 10 * second)].into_iter());
        let text = serde_json::to_string(&mark).unwrap();
        let expected =
            r#"{"1/r":"1970-01-01T00:01:40Z","1/r/traces":"1970-01-01T00:00:10Z","2/r":"1970-01-01T00:01:00Z"}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Watermark>(&text).unwrap(), mark);
    }
}
