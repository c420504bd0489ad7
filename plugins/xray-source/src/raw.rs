//! `rayline.raw/1`: what goes out.

use std::fmt::Write as _;

use rayline_message::rfc3339;
use rayline_sdk::xray::Place;

use crate::verdict::Verdict;

/// One trace with the executions that it holds.
pub struct Raw<'a> {
    pub place: &'a Place,
    /// The `Date` of the service's own answer, in nanoseconds since 1970-01-01T00:00:00Z; 0: none answered.
    pub collected_at: u64,
    pub discovered_at: u64,
    pub verdict: Verdict,
    /// Each is JSON.
    pub executions: Vec<&'a str>,
    /// Is JSON.
    pub trace: Option<&'a str>,
}

impl Raw<'_> {
    /// What the services said goes in byte for byte.
    pub fn to_json(&self) -> String {
        let bytes: usize = self.executions.iter().chain(&self.trace).map(|json| json.len() + 1).sum();
        let mut json = String::with_capacity(bytes + 512);
        json.push_str(r#"{"schema":"rayline.raw/1""#);
        let Place { account, region } = self.place;
        let [collected_at, discovered_at] = [self.collected_at, self.discovered_at].map(rfc3339);
        for (name, text) in [
            ("account_id", Some(account.as_str())),
            ("region", Some(region.as_str())),
            ("collected_at", collected_at.as_deref()),
            ("discovered_at", discovered_at.as_deref()),
            ("verdict", Some(self.verdict.name())),
        ] {
            if let Some(text) = text {
                // Writing to a string does not fail.
                let _ = write!(json, r#","{name}":{}"#, serde_json::Value::from(text));
            }
        }
        json.push_str(r#","executions":["#);
        for (index, execution) in self.executions.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(execution);
        }
        json.push_str(r#"],"trace":"#);
        json.push_str(self.trace.unwrap_or("null"));
        json.push('}');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_goes_out() {
        let place = Place { account: "111122223333".into(), region: "eu-west-1".into() };
        let mut raw = Raw {
            place: &place,
            collected_at: 1_767_225_615_000_000_000,
            discovered_at: 1_767_225_600_000_000_000,
            verdict: Verdict::LimitExceeded,
            executions: vec![r#"{"a":1}"#, "{ }"],
            trace: Some(r#"{"Id":"1"}"#),
        };
        assert_eq!(
            raw.to_json(),
            r#"{"schema":"rayline.raw/1","account_id":"111122223333","region":"eu-west-1","collected_at":"2026-01-01T00:00:15Z","discovered_at":"2026-01-01T00:00:00Z","verdict":"limit_exceeded","executions":[{"a":1},{ }],"trace":{"Id":"1"}}"#
        );
        (raw.collected_at, raw.trace) = (0, None);
        raw.executions.clear();
        assert!(!raw.to_json().contains("collected_at"));
        assert!(raw.to_json().ends_with(r#""executions":[],"trace":null}"#));
    }
}
