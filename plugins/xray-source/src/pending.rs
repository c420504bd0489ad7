//! `rayline.pending/1`: what is still to be done, as it waits on the event queue. Made and read by this stage only.

use rayline_message::{nanoseconds, rfc3339};
use rayline_sdk::clock;
use rayline_sdk::xray::Place;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// SQS delays no message for longer.
pub const LONGEST_DELAY_SECS: u64 = 900;

/// A message with more executions is sent in parts.
const EXECUTIONS: usize = 500;

/// One trace to fetch, or an execution whose trace is not known. Times are nanoseconds since 1970-01-01T00:00:00Z here and
/// RFC 3339 on the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub schema: Schema,
    /// Absent where only a trace id is known and any account may have it.
    #[serde(default)]
    pub account_id: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub trace_id: Option<String>,
    /// Executions that the trace did not show when it was fetched last.
    #[serde(default)]
    pub executions: Vec<String>,
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub due_at: u64,
    /// How many fetches there were.
    #[serde(default)]
    pub attempt: u32,
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub discovered_at: u64,
    /// What is known by then is the last.
    #[serde(default, serialize_with = "write_time", deserialize_with = "read_time")]
    pub give_up_at: u64,
    /// Of what the last fetch brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Only a fetch after this confirms the last one: its latest answer, by the services' clock, or when a message came that
    /// asks. Documents of an earlier one would not replace what that one brought.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "write_time", deserialize_with = "read_time")]
    pub after: u64,
    /// Whether the last fetch brought the same as the one before it, and none later: the next that brings the same counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_stale: bool,
    /// Its header says that it is not sampled.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_unsampled: bool,
    /// What events said of executions that nobody could describe yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    #[default]
    #[serde(rename = "rayline.pending/1")]
    Pending1,
}

impl Pending {
    /// Work that was found at that time, due now.
    pub fn fresh(executions: Vec<String>, trace_id: Option<String>, discovered_at: u64, give_up_after: u64) -> Pending {
        let now = clock::now();
        let give_up_at = now.saturating_add(give_up_after);
        Pending { trace_id, executions, due_at: now, discovered_at, give_up_at, after: now, ..Pending::default() }
    }

    /// Where its trace and executions are.
    pub fn place(&self) -> Option<Place> {
        Some(Place { account: self.account_id.clone()?, region: self.region.clone()? })
    }

    /// Says where its trace and executions are.
    pub fn at(mut self, place: Option<Place>) -> Pending {
        (self.account_id, self.region) = place.map(|place| (place.account, place.region)).unzip();
        self
    }

    /// How long the queue must delay it. It may come back before it is due: then it is sent again.
    pub fn delay_secs(&self, now: u64) -> u64 {
        self.due_at.saturating_sub(now).div_ceil(SECOND).min(LONGEST_DELAY_SECS)
    }

    /// The same work in messages that a queue can carry.
    pub fn parts(self) -> Vec<Pending> {
        if self.executions.len() <= EXECUTIONS {
            return vec![self];
        }
        let chunks = self.executions.chunks(EXECUTIONS);
        let part = |executions: &[String]| {
            let is_there = |event: &&Value| {
                let arn = event.get("executionArn").and_then(Value::as_str);
                arn.is_some_and(|arn| executions.iter().any(|it| it == arn))
            };
            let events = self.events.iter().filter(is_there).cloned().collect();
            Pending { executions: executions.to_vec(), events, ..self.clone() }
        };
        chunks.map(part).collect()
    }

    /// As it goes on the queue.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

fn is_zero(time: &u64) -> bool {
    *time == 0
}

fn is_false(is: &bool) -> bool {
    !is
}

fn write_time<S: Serializer>(time: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    // Whole seconds are enough, and keep the message small.
    rfc3339(time / SECOND * SECOND).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.as_deref().and_then(nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_goes_on_the_queue() {
        let pending = Pending {
            trace_id: Some("1-65f0c0de-5a1b2c3d4e5f60718293a4b5".into()),
            executions: vec!["arn".into()],
            due_at: 1_767_225_615 * SECOND,
            attempt: 2,
            discovered_at: 1_767_225_600 * SECOND,
            give_up_at: 1_767_830_400 * SECOND,
            digest: Some("00ff".into()),
            ..Pending::default()
        }
        .at(Some(Place { account: "111122223333".into(), region: "eu-west-1".into() }));
        let text = pending.to_json();
        assert_eq!(
            text,
            r#"{"schema":"rayline.pending/1","account_id":"111122223333","region":"eu-west-1","trace_id":"1-65f0c0de-5a1b2c3d4e5f60718293a4b5","executions":["arn"],"due_at":"2026-01-01T00:00:15Z","attempt":2,"discovered_at":"2026-01-01T00:00:00Z","give_up_at":"2026-01-08T00:00:00Z","digest":"00ff"}"#
        );
        assert_eq!(serde_json::from_str::<Pending>(&text).unwrap(), pending);
        let more = Pending {
            after: 1_767_225_601 * SECOND,
            is_unsampled: true,
            events: vec![serde_json::json!({ "executionArn": "arn" })],
            ..pending
        };
        let text = more.to_json();
        let end = r#","after":"2026-01-01T00:00:01Z","is_unsampled":true,"events":[{"executionArn":"arn"}]}"#;
        assert!(text.ends_with(end), "{text}");
        assert_eq!(serde_json::from_str::<Pending>(&text).unwrap(), more);
        assert!(serde_json::from_str::<Pending>(&text.replace("pending/1", "pending/2")).is_err());
    }

    #[test]
    fn delays() {
        for (due, now, expected) in [(100, 100, 0), (90, 100, 0), (101, 100, 1), (100_000, 100, 900)] {
            let pending = Pending { due_at: due * SECOND, ..Pending::default() };
            assert_eq!(pending.delay_secs(now * SECOND), expected);
        }
        let pending = Pending { due_at: 100 * SECOND + 1, ..Pending::default() };
        assert_eq!(pending.delay_secs(100 * SECOND), 1, "never before it is due");
    }

    #[test]
    fn parts() {
        let pending = Pending { executions: (0..1001).map(|n| n.to_string()).collect(), ..Pending::default() };
        let lengths: Vec<_> = pending.parts().iter().map(|part| part.executions.len()).collect();
        assert_eq!(lengths, [500, 500, 1]);
    }
}
