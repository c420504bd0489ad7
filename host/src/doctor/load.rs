//! What a source that collects has before it: the state machines and executions of its accounts, and its own options.

use futures::future::join_all;
use serde::Deserialize;

use super::{Finding, is_shipped, sampling, search, tracing};
use crate::grant::check::in_time;
use crate::grant::xray::look::{Accounts, Latest, Machine, Place};
use crate::pipeline::Stage;

/// Of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The field of the grant.
    pub field: String,
    /// What its stage is told.
    pub plan: Plan,
    /// Each account in each region.
    pub places: Vec<Region>,
}

/// Of one account in one region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// `111122223333 eu-west-1`
    pub title: String,
    /// State machines, by type.
    pub standard: usize,
    /// Those whose executions nobody lists.
    pub express: usize,
    /// STANDARD executions of a day, if they could be counted.
    pub executions: Option<f64>,
}

/// The options of `xray-source` that say how often it asks. Defaults are the plugin's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Absent: it does not look by itself.
    pub sweep: Option<Sweep>,
    /// What it asks X-Ray for on a day.
    pub max_traces_per_day: Option<u64>,
}

/// Looking by itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sweep {
    /// From one to the next.
    pub every_secs: u64,
    /// Also EXPRESS executions, by their traces.
    pub express: bool,
    /// Other services' traces.
    pub filters: Vec<String>,
}

impl Default for Sweep {
    fn default() -> Sweep {
        Sweep { every_secs: 300, express: false, filters: Vec::new() }
    }
}

impl Plan {
    fn finds_by_summaries(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| sweep.express || !sweep.filters.is_empty())
    }
}

/// So many state machines of a place are looked at: each is a call.
const DESCRIBED: usize = 200;

/// The executions of so many are counted. The others are as busy, for all that is known.
const COUNTED: usize = 20;

const DAY: f64 = 86_400.0;

/// Looks at every account and region. Those that cannot be asked at all are left out: `reach` says why.
pub(super) async fn examine(stage: &Stage, field: &str, accounts: &Accounts) -> (Vec<Finding>, Option<Load>) {
    let plan = serde_json::from_value::<Plan>(stage.options.clone()).ok().filter(|_| is_shipped(stage, "xray-source"));
    let finds_by_summaries = plan.as_ref().is_some_and(Plan::finds_by_summaries);
    let looks = accounts.places().iter().map(|place| look(place, field, finds_by_summaries));
    let (findings, places): (Vec<Vec<Finding>>, Vec<Option<Region>>) = join_all(looks).await.into_iter().unzip();
    let places: Vec<Region> = places.into_iter().flatten().collect();
    let load = plan.filter(|_| !places.is_empty()).map(|plan| Load { field: field.to_owned(), plan, places });
    (findings.concat(), load)
}

async fn look(place: &Place, field: &str, finds_by_summaries: bool) -> (Vec<Finding>, Option<Region>) {
    let Ok(title) = in_time(place.title()).await else { return (Vec::new(), None) };
    let subject = format!("{field}: {title}");
    let of_machines = async {
        // Who may not list them cannot be reached, as `reach` says.
        let Ok(machines) = in_time(place.machines()).await else { return (None, None) };
        let (standard, express): (Vec<Machine>, Vec<Machine>) =
            machines.iter().cloned().partition(|machine| machine.kind != "EXPRESS");
        let described: Vec<Machine> = machines.iter().take(DESCRIBED).cloned().collect();
        let (traced, executions) = tokio::join!(in_time(place.traced(&described)), count(place, &standard));
        let found = match traced {
            Ok(traced) => tracing::judge(&subject, &traced, machines.len()),
            Err(reason) => {
                let what = "whether state machines have tracing on";
                Finding::not_checked(&subject, what, &reason, "states:DescribeStateMachine")
            }
        };
        let region = Region { title: title.clone(), standard: standard.len(), express: express.len(), executions };
        (Some(found), Some(region))
    };
    let ((tracing, region), rules, destination) =
        tokio::join!(of_machines, in_time(place.sampling()), in_time(place.keeps()));
    let sampling = match rules {
        Ok(rules) => sampling::judge(&subject, &rules),
        Err(reason) => {
            Finding::not_checked(&subject, "how many executions are traced", &reason, "xray:GetSamplingRules")
        }
    };
    let search = match destination {
        Ok(destination) => search::judge(&subject, &destination, finds_by_summaries),
        Err(reason) => {
            let right = "xray:GetTraceSegmentDestination";
            Finding::not_checked(&subject, "whether Transaction Search is on", &reason, right)
        }
    };
    (tracing.into_iter().chain([sampling, search]).collect(), region)
}

/// About how many executions all of these have in a day, from the latest page of some.
async fn count(place: &Place, machines: &[Machine]) -> Option<f64> {
    let looks = machines.iter().take(COUNTED).map(|machine| in_time(place.latest(machine)));
    let rates: Vec<f64> = join_all(looks).await.into_iter().flatten().map(|latest| rate(&latest)).collect();
    match (rates.len(), machines.len()) {
        (_, 0) => Some(0.0),
        (0, _) => None,
        (counted, all) => Some(rates.iter().sum::<f64>() / counted as f64 * all as f64),
    }
}

/// Executions of the last day. Where the page does not go back so far, at the rate of the page.
fn rate(latest: &Latest) -> f64 {
    let day: Vec<f64> = latest.starts.iter().copied().filter(|start| *start >= latest.at - DAY).collect();
    let count = day.len() as f64;
    if !latest.has_more || day.len() < latest.starts.len() {
        return count;
    }
    let oldest = day.iter().copied().fold(latest.at, f64::min);
    count * DAY / (latest.at - oldest).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_of_a_day() {
        let at = 1_800_000_000.0;
        let every = |secs: f64, count: u32, has_more: bool| {
            rate(&Latest { starts: (1..=count).map(|n| at - secs * f64::from(n)).collect(), has_more, at })
        };
        assert_eq!(every(3600.0, 48, false), 24.0);
        assert_eq!(every(3600.0, 48, true), 24.0, "the page goes back further than a day");
        assert_eq!(every(1.0, 1000, true), 86_400.0);
        assert_eq!(every(1.0, 10, false), 10.0);
        assert_eq!(rate(&Latest { at, ..Latest::default() }), 0.0);
    }

    #[test]
    fn what_options_say() {
        let plan: Plan = serde_json::from_str(r#"{"payloads":"full","sweep":{"start":"24h","express":true}}"#).unwrap();
        assert_eq!(plan.sweep, Some(Sweep { express: true, ..Sweep::default() }));
        assert!(plan.finds_by_summaries());
        let plan: Plan = serde_json::from_str("{}").unwrap();
        assert_eq!(plan, Plan::default());
        assert!(!plan.finds_by_summaries());
    }
}
