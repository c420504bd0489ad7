//! What `rayline doctor` asks an account in one region: what decides whether there will be traces, and how many.

use aws_sdk_sfn::types::IncludedData;
use futures::{StreamExt, stream};
use serde::Deserialize;

pub(crate) use super::accounts::Accounts;
use super::call::read;
use super::failure::Failure;
use super::pace::{AT_ONCE, Api};
pub(crate) use super::places::Place;
pub(crate) use super::retrieval::Destination;

/// A state machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    #[serde(rename = "stateMachineArn")]
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `STANDARD` or `EXPRESS`
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
}

/// A rule that says which requests are traced.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SamplingRule {
    #[serde(rename = "RuleName")]
    pub(crate) name: String,
    /// That of the least one that fits counts.
    pub(crate) priority: i64,
    /// So many each second, whatever the rate.
    pub(crate) reservoir_size: f64,
    /// Of the others: 0 to 1.
    pub(crate) fixed_rate: f64,
    pub(crate) service_name: String,
    pub(crate) service_type: String,
    pub(crate) host: String,
    #[serde(rename = "HTTPMethod")]
    pub(crate) http_method: String,
    #[serde(rename = "URLPath")]
    pub(crate) url_path: String,
    #[serde(rename = "ResourceARN")]
    pub(crate) resource_arn: String,
}

/// The latest executions of a state machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Latest {
    /// When they started, in seconds since the epoch.
    pub(crate) starts: Vec<f64>,
    /// Whether there are older ones.
    pub(crate) has_more: bool,
    /// When Step Functions said so.
    pub(crate) at: f64,
}

/// How many executions are looked at: a page.
const PAGE: i32 = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    #[serde(default)]
    tracing_configuration: Option<Tracing>,
}

#[derive(Deserialize)]
struct Tracing {
    #[serde(default)]
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules {
    #[serde(default)]
    sampling_rule_records: Vec<Record>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sampling_rule: SamplingRule,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Executions {
    executions: Vec<Started>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    start_date: f64,
}

/// AWS's words where it does not answer.
type Looked<T> = Result<T, String>;

impl Place {
    /// Account and region, as one reads them.
    pub(crate) async fn title(&self) -> Looked<String> {
        let account = self.account().await.map_err(|failure| failure.to_string())?;
        Ok(format!("{account} {}", self.region()))
    }

    /// Every state machine.
    pub(crate) async fn machines(&self) -> Looked<Vec<Machine>> {
        let answer = self.state_machines().await.map_err(|failure| failure.to_string())?;
        serde_json::from_str(&answer.json).map_err(|error| error.to_string())
    }

    /// Whether each of these state machines has tracing on. One that was deleted meanwhile is left out.
    pub(crate) async fn traced(&self, machines: &[Machine]) -> Looked<Vec<(Machine, bool)>> {
        let calls: Vec<_> = machines.iter().map(|machine| self.is_traced(machine)).collect();
        let answers: Vec<Looked<Option<bool>>> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        let mut traced = Vec::with_capacity(machines.len());
        for (machine, answer) in machines.iter().zip(answers) {
            traced.extend(answer?.map(|is_traced| (machine.clone(), is_traced)));
        }
        Ok(traced)
    }

    async fn is_traced(&self, machine: &Machine) -> Looked<Option<bool>> {
        let described = self
            .call(Api::DescribeStateMachine, |capture| {
                let call = self.sfn.describe_state_machine().state_machine_arn(&machine.arn);
                // The definition may be encrypted with a key that is not for us.
                let call = call.included_data(IncludedData::MetadataOnly).customize().interceptor(capture);
                async move { call.send().await.map(drop).map_err(Failure::from) }
            })
            .await
            .and_then(|answer| read::<Described>(Api::DescribeStateMachine, &answer));
        match described {
            Ok(described) => Ok(Some(described.tracing_configuration.is_some_and(|tracing| tracing.enabled))),
            Err(failure) if failure.code.contains("StateMachineDoesNotExist") => Ok(None),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// Every rule.
    pub(crate) async fn sampling(&self) -> Looked<Vec<SamplingRule>> {
        let (mut rules, mut next) = (Vec::new(), None);
        loop {
            let answered = self
                .call(Api::GetSamplingRules, |capture| {
                    let call = self.xray.get_sampling_rules().set_next_token(next.clone());
                    let call = call.customize().interceptor(capture);
                    async move { call.send().await.map(drop).map_err(Failure::from) }
                })
                .await
                .and_then(|answer| read::<Rules>(Api::GetSamplingRules, &answer));
            let Rules { sampling_rule_records, next_token } = answered.map_err(|failure| failure.to_string())?;
            rules.extend(sampling_rule_records.into_iter().map(|record| record.sampling_rule));
            if next_token.is_none() || next_token == next {
                return Ok(rules);
            }
            next = next_token;
        }
    }

    /// Where traces go.
    pub(crate) async fn keeps(&self) -> Looked<Destination> {
        self.destination().await.map_err(|failure| failure.to_string())
    }

    /// The latest executions of a STANDARD state machine.
    pub(crate) async fn latest(&self, machine: &Machine) -> Looked<Latest> {
        let answer = self
            .call(Api::ListExecutions, |capture| {
                let call = self.sfn.list_executions().state_machine_arn(&machine.arn).max_results(PAGE);
                let call = call.customize().interceptor(capture);
                async move { call.send().await.map(drop).map_err(Failure::from) }
            })
            .await
            .map_err(|failure| failure.to_string())?;
        let listed: Executions = read(Api::ListExecutions, &answer).map_err(|failure| failure.to_string())?;
        Ok(Latest {
            starts: listed.executions.into_iter().map(|execution| execution.start_date).collect(),
            has_more: listed.next_token.is_some(),
            at: answer.date as f64 / 1e9,
        })
    }
}
