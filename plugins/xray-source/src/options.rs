//! What the pipeline file says, and what follows from it.

use rayline_sdk::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pending::SECOND;

/// Options of `xray-source`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Look for executions by oneself, since status events are best effort. Without it only what comes on the event queue is
    /// collected. One instance does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<SweepOptions>,
    /// Executions to collect, by their ARNs: put on the event queue once.
    arns: Vec<String>,
    /// When a trace goes out.
    hand_over: HandOver,
    /// What of the executions' input and output is collected. The archive holds what is collected.
    payloads: Payloads,
    /// How many traces an instance asks X-Ray for on one day (UTC). What comes above it waits on the event queue until the
    /// next. Every fetch counts. Absent: no limit.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_traces_per_day: Option<u64>,
    /// For how long a trace is fetched again after it was found, as long as something in it is in progress: `7d` at most,
    /// since X-Ray adds nothing later.
    #[schemars(regex(pattern = "^[0-9]+(s|m|h|d)$"))]
    give_up_after: String,
    /// How long after each fetch the next one comes; the last one repeats.
    #[schemars(length(min = 1))]
    retry_secs: Vec<u64>,
    /// How long after its last known end a trace is fetched once more to see that nothing was added, before it is settled.
    /// Where a part of it is missing (its root, the segment of one of its executions), thirty times as long.
    quiet_secs: u64,
    /// End when all is collected: the event queue is empty, and nothing waits to be fetched again. With a `sweep`, after the
    /// first one that got through in every account. Without it the source reads for ever.
    stop_when_empty: bool,
}

/// Looking for executions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SweepOptions {
    /// How long from the begin of one sweep to the next.
    #[schemars(range(min = 1))]
    pub every_secs: u64,
    /// How far a sweep looks back behind the one before: the services show new things late.
    pub overlap_secs: u64,
    /// How far the first sweep looks back: `30d` at most.
    #[schemars(regex(pattern = "^[0-9]+(s|m|h|d)$"))]
    pub start: String,
    /// Also find executions of EXPRESS state machines, by their traces.
    pub express: bool,
    /// X-Ray filter expressions for other services' traces: `service("checkout") AND fault`. Groups: `group.name = "x"`.
    pub filters: Vec<String>,
}

/// When a trace goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HandOver {
    /// As soon as anything is known of it, and again whenever there is more.
    #[default]
    Early,
    /// Once, when it is settled or given up.
    Final,
}

/// What of input and output is collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payloads {
    /// All.
    #[default]
    Full,
    /// The first 4,096 bytes of each.
    Truncated,
    /// Nothing.
    None,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sweep: None,
            arns: Vec::new(),
            hand_over: HandOver::default(),
            payloads: Payloads::default(),
            max_traces_per_day: None,
            give_up_after: "7d".into(),
            retry_secs: vec![15, 60, 300, 1800, 21_600],
            quiet_secs: 60,
            stop_when_empty: false,
        }
    }
}

impl Default for SweepOptions {
    fn default() -> SweepOptions {
        SweepOptions { every_secs: 300, overlap_secs: 900, start: "24h".into(), express: false, filters: Vec::new() }
    }
}

/// The options as the stage works with them. Times are nanoseconds.
#[derive(Debug, Clone)]
pub struct Plan {
    pub sweep: Option<SweepPlan>,
    pub arns: Vec<String>,
    pub hand_over: HandOver,
    pub payloads: Payloads,
    pub max_traces_per_day: Option<u64>,
    pub timing: Timing,
    pub stop_when_empty: bool,
}

/// When a trace is fetched again, and until when.
#[derive(Debug, Clone)]
pub struct Timing {
    pub give_up_after: u64,
    pub retries: Vec<u64>,
    pub quiet: u64,
}

/// How sweeps go.
#[derive(Debug, Clone)]
pub struct SweepPlan {
    pub every: u64,
    pub overlap: u64,
    pub start: u64,
    pub express: bool,
    pub filters: Vec<String>,
}

impl Options {
    /// What follows from the options, or what is wrong with them.
    pub fn plan(self) -> Result<Plan, Failure> {
        let give_up_after = duration("give_up_after", &self.give_up_after, 7)?;
        if self.retry_secs.is_empty() || self.retry_secs.contains(&0) {
            return Err(Failure::fatal("`retry_secs` needs at least one number, and all of them above 0"));
        }
        let sweep = self.sweep.map(|sweep| {
            let start = duration("sweep.start", &sweep.start, 30)?;
            if sweep.every_secs == 0 {
                return Err(Failure::fatal("`sweep.every_secs` is 0: write how long from one sweep to the next"));
            }
            Ok(SweepPlan {
                every: nanos(sweep.every_secs),
                overlap: nanos(sweep.overlap_secs),
                start,
                express: sweep.express,
                filters: sweep.filters,
            })
        });
        for arn in &self.arns {
            if crate::arn::ExecutionArn::parse(arn).is_none_or(|arn| arn.is_express) {
                return Err(Failure::fatal(format!(
                    "`arns` has {arn:?}, which is not the ARN of an execution of a STANDARD state machine: write \
                     \"arn:aws:states:REGION:ACCOUNT:execution:STATE_MACHINE:NAME\""
                )));
            }
        }
        Ok(Plan {
            sweep: sweep.transpose()?,
            arns: self.arns,
            hand_over: self.hand_over,
            payloads: self.payloads,
            max_traces_per_day: self.max_traces_per_day,
            timing: Timing {
                give_up_after,
                retries: self.retry_secs.into_iter().map(nanos).collect(),
                quiet: nanos(self.quiet_secs),
            },
            stop_when_empty: self.stop_when_empty,
        })
    }
}

/// A duration as people write it, at most so many days.
fn duration(option: &str, text: &str, most_days: u64) -> Result<u64, Failure> {
    let wrong = || Failure::fatal(format!("`{option}` is {text:?}: write a number and s, m, h or d, such as \"24h\""));
    let (unit_at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let number: u64 = text.get(..unit_at).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.saturating_mul(seconds);
    if seconds > most_days * 86_400 {
        return Err(Failure::fatal(format!("`{option}` is {text:?}, and at most \"{most_days}d\"")));
    }
    Ok(nanos(seconds))
}

fn nanos(seconds: u64) -> u64 {
    seconds.saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("90s", Ok(90)),
            ("24h", Ok(86_400)),
            ("7d", Ok(604_800)),
            ("8d", Err("at most")),
            ("7", Err("write a number")),
            ("d", Err("write a number")),
            ("", Err("write a number")),
            ("7 d", Err("write a number")),
            ("99999999999999999999d", Err("write a number")),
            ("9999999999999999d", Err("at most")),
        ] {
            match (duration("x", text, 7), expected) {
                (Ok(read), Ok(seconds)) => assert_eq!(read, nanos(seconds), "{text}"),
                (Err(Failure::Fatal(reason)), Err(part)) => assert!(reason.contains(part), "{text}: {reason}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn wrong_options() {
        for (options, part) in [
            (r#"{"arns":["arn:aws:states:r:1:stateMachine:x"]}"#, "not the ARN"),
            (r#"{"sweep":{"start":"31d"}}"#, "at most \"30d\""),
            (r#"{"sweep":{"every_secs":0}}"#, "every_secs"),
            (r#"{"retry_secs":[]}"#, "retry_secs"),
        ] {
            let options: Options = serde_json::from_str(options).unwrap();
            let Err(Failure::Fatal(reason)) = options.plan() else { panic!("{part}") };
            assert!(reason.contains(part), "{reason}");
        }
        assert!(Options::default().plan().is_ok());
    }
}
