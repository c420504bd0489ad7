//! About how many calls to AWS there will be in a day: what it costs, and whether the limits allow it.
//!
//! These are estimates. What is not known is left out, and said: executions of EXPRESS state machines, how long executions
//! run, how full batches are.

use super::load::{Load, Plan, Region, Sweep};
use super::{Finding, field};
use crate::pipeline::{Capability, Grant, Kind, ObjectsGrant, Pipeline, Stage};

const DAY: f64 = 86_400.0;

/// `xray-source` lists by so many statuses.
const STATUSES: usize = 5;

/// How often an execution and its trace are fetched: when it begins, when it has ended, and once more to see that nothing is
/// added.
const FETCHES: f64 = 3.0;

/// Ids in a call for traces, and messages in a call to SQS, at most.
const IDS: f64 = 5.0;
const BATCH: f64 = 10.0;

/// Messages of an execution on the event queue: two status events, two waits for another fetch.
const MESSAGES: f64 = 4.0;

/// Seconds. How long a poll waits for a first message.
const POLL: f64 = 5.0;

/// Calls a second of ListExecutions that a region of an account takes for long, less what others may need.
const LISTS: f64 = 2.0;

/// A line for each service and stage that asks it.
pub fn examine(pipeline: &Pipeline, loads: &[Load]) -> Vec<Finding> {
    let mut found: Vec<Finding> = loads.iter().flat_map(of_source).collect();
    let groups = loads.iter().map(|load| load.places.len()).sum();
    for stage in &pipeline.stages {
        for (name, grant) in stage.grants.iter().filter(|(_, grant)| !grant.is_local()) {
            found.extend(of_stage(stage, &field(stage, name), grant, groups));
        }
    }
    found
}

/// Step Functions, X-Ray, and the event queue.
fn of_source(load: &Load) -> Vec<Finding> {
    let Load { field, plan, places } = load;
    let subject = format!("{field}: calls a day");
    let sum = |of: fn(&Region) -> usize| places.iter().map(of).sum::<usize>();
    let (standard, express) = (sum(|place| place.standard), sum(|place| place.express));
    let sweeps = plan.sweep.as_ref().map_or(0.0, |sweep| DAY / sweep.every_secs.max(1) as f64);
    let lists = sweeps * (STATUSES * standard) as f64;
    let summaries = plan.sweep.as_ref().map_or(0.0, |sweep| {
        let of_express = if sweep.express { express } else { 0 };
        sweeps * (of_express + sweep.filters.len() * places.len()) as f64
    });
    let counted: Vec<f64> = places.iter().filter_map(|place| place.executions).collect();
    let executions: f64 = counted.iter().sum();
    let fetches = executions * FETCHES;
    let traces = plan.max_traces_per_day.map_or(fetches, |most| fetches.min(most as f64));
    let known = match places.len() - counted.len() {
        0 => String::new(),
        unknown => format!(" ({unknown} accounts and regions could not be counted)"),
    };
    let mut found = vec![
        Finding::ok(
            &subject,
            format!(
                "Step Functions: about {} ListExecutions and {} ListStateMachines of sweeps, and {} DescribeExecution for about \
                 {} STANDARD executions{known}; more for those that run for long",
                number(lists),
                number(sweeps * places.len() as f64),
                number(fetches),
                number(executions),
            ),
        ),
        Finding::ok(
            &subject,
            format!(
                "X-Ray: about {} GetTraceSummaries of sweeps, and {} to {} BatchGetTraces; EXPRESS executions come on top",
                number(summaries),
                number(traces / IDS),
                number(traces),
            ),
        ),
        Finding::ok(
            &subject,
            format!(
                "SQS: about {} to {} for events and waiting work",
                number(executions * MESSAGES * 3.0 / BATCH),
                number(executions * MESSAGES * 3.0),
            ),
        ),
    ];
    found.extend(places.iter().filter_map(|place| too_often(&subject, plan, place)));
    found
}

/// A sweep that cannot be over before the next one.
fn too_often(subject: &str, plan: &Plan, place: &Region) -> Option<Finding> {
    let Sweep { every_secs, .. } = plan.sweep.as_ref()?;
    let lists = STATUSES * place.standard;
    let secs = (lists as f64 / LISTS).ceil();
    (secs > *every_secs as f64).then(|| {
        Finding::warning(
            subject,
            format!(
                "a sweep of {} takes {lists} calls, about {secs} s at {LISTS} a second, and the next begins after {every_secs} s",
                place.title
            ),
            format!("set `sweep.every_secs` to {} or more", (secs * 2.0 / 300.0).ceil() * 300.0),
        )
    })
}

/// What comes of a queue or a bucket being there at all. `groups` accounts and regions are collected from, if any are known.
fn of_stage(stage: &Stage, field: &str, grant: &Grant, groups: usize) -> Option<Finding> {
    let subject = format!("{field}: calls a day");
    match (grant, stage.kind) {
        (grant, Kind::Source) if grant.capability() == Capability::Queue => {
            let polls = DAY / POLL * f64::from(stage.instances.min);
            Some(Finding::ok(
                &subject,
                format!(
                    "SQS: about {} receives while nothing comes, for each host; ten messages are a receive, a delete, and a renewal \
                     for each minute or so that they are held",
                    number(polls)
                ),
            ))
        }
        (grant, Kind::Sink) if grant.capability() == Capability::Queue => Some(Finding::ok(
            &subject,
            "SQS: a request for each 64 KB of what is sent, and an S3 PutObject for each message that is too large; each \
             execution's trace is sent two or three times until it is complete",
        )),
        (Grant::Objects(ObjectsGrant::S3(_)), Kind::Sink) => {
            let batches = DAY / stage.batch.timeout.as_secs_f64().max(1.0);
            let by_place = stage.batch.group_by.iter().any(|label| label == "account" || label == "region");
            let words = match groups {
                0 if by_place => format!("S3: up to {} PutObject for each account and region", number(batches)),
                groups => {
                    let groups = if by_place { groups.max(1) } else { 1 };
                    format!("S3: up to {} PutObject", number(batches * groups as f64))
                }
            };
            Some(Finding::ok(
                &subject,
                format!("{words} and host; more where batches fill before {} s", stage.batch.timeout.as_secs_f64()),
            ))
        }
        _ => None,
    }
}

/// Two digits say enough: `8,600`.
fn number(value: f64) -> String {
    let digits = value.abs().max(1.0).log10().floor();
    let unit = 10_f64.powf((digits - 1.0).max(0.0));
    let rounded = ((value / unit).round() * unit) as u64;
    let text = rounded.to_string();
    let mut grouped = String::new();
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && (text.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn numbers() {
        for (value, text) in [(0.0, "0"), (0.4, "0"), (7.2, "7"), (17_280.0, "17,000"), (1_234_567.0, "1,200,000")] {
            assert_eq!(number(value), text);
        }
    }

    fn load(standard: usize, every_secs: u64, executions: Option<f64>) -> Load {
        let region = Region { title: "111122223333 eu-west-1".to_owned(), standard, express: 2, executions };
        let sweep = Some(Sweep { every_secs, express: true, filters: vec!["fault".to_owned()] });
        Load { field: "f".to_owned(), plan: Plan { sweep, max_traces_per_day: None }, places: vec![region] }
    }

    #[test]
    fn calls_of_a_source() {
        let found = of_source(&load(10, 300, Some(1_000.0)));
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "ok       f: calls a day: Step Functions: about 14,000 ListExecutions and 290 ListStateMachines of sweeps, and 3,000 \
             DescribeExecution for about 1,000 STANDARD executions; more for those that run for long",
            "ok       f: calls a day: X-Ray: about 860 GetTraceSummaries of sweeps, and 600 to 3,000 BatchGetTraces; EXPRESS \
             executions come on top",
            "ok       f: calls a day: SQS: about 1,200 to 12,000 for events and waiting work",
        ];
        assert_eq!(lines, expected);
        let unknown = of_source(&load(10, 300, None));
        assert!(unknown[0].words.contains("(1 accounts and regions could not be counted)"), "{unknown:?}");
        let mut bounded = load(10, 300, Some(1_000.0));
        bounded.plan.max_traces_per_day = Some(100);
        assert!(of_source(&bounded)[1].words.contains("20 to 100 BatchGetTraces"));
    }

    #[test]
    fn sweeps_that_overtake_each_other() {
        assert_eq!(of_source(&load(120, 300, None)).len(), 3);
        let found = of_source(&load(130, 300, None));
        let last = found.last().unwrap();
        assert_eq!(last.level, Level::Warning);
        let expected = "a sweep of 111122223333 eu-west-1 takes 650 calls, about 325 s at 2 a second, and the next begins after \
                        300 s";
        assert_eq!(
            (last.words.as_str(), last.fix.as_deref()),
            (expected, Some("set `sweep.every_secs` to 900 or more"))
        );
    }
}
