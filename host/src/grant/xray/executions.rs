//! Executions and state machines, as Step Functions answers.

use std::borrow::Borrow;
use std::sync::Arc;

use aws_sdk_sfn::types::{ExecutionStatus, IncludedData};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::accounts::{Accounts, Where};
use super::answers::Answers;
use super::call::read;
use super::failure::{Failure, FailureKind};
use super::flight::{Item, Landing};
use super::pace::Api;
use super::places::Place;
use super::{Answer, Error, ExecutionQuery, Page};

/// What `ListExecutions` gives at most.
const PAGE: i32 = 1000;

/// One page of a list: of state machines, or of executions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'j> {
    #[serde(borrow, default, alias = "stateMachines", alias = "executions")]
    items: Vec<&'j RawValue>,
    next_token: Option<String>,
}

/// An execution by its ARN.
struct Execution(String);

/// All state machines.
struct Machines;

impl Accounts {
    pub(super) async fn describe_executions(&self, executions: Vec<String>, answers: &Answers<Answer>) {
        let mut items = Vec::with_capacity(executions.len());
        for (index, arn) in executions.into_iter().enumerate() {
            match Arn::parse(&arn) {
                Ok(parsed) if parsed.is_undescribed() => answers.put(index, Err(of_express())),
                Ok(parsed) => items.push((parsed.place(), (index, Execution(arn)))),
                Err(error) => answers.put(index, Err(error)),
            }
        }
        self.ask(items, answers).await;
    }

    pub(super) async fn state_machines(&self, places: Vec<super::Place>, answers: &Answers<Answer>) {
        let items = places.into_iter().enumerate();
        let items = items.map(|(index, place)| ((place.account, place.region), (index, Machines)));
        self.ask(items, answers).await;
    }

    pub(super) async fn executions(&self, queries: Vec<ExecutionQuery>, answers: &Answers<Page>) {
        let mut items = Vec::with_capacity(queries.len());
        for (index, query) in queries.into_iter().enumerate() {
            match Arn::parse(&query.state_machine) {
                Ok(parsed) => items.push((parsed.place(), (index, query))),
                Err(error) => answers.put(index, Err(error)),
            }
        }
        self.ask(items, answers).await;
    }
}

impl Item for Execution {
    const API: Api = Api::DescribeExecution;

    fn name(&self) -> String {
        self.0.clone()
    }

    async fn fetch(place: Arc<Place>, items: Vec<(Execution, Landing)>) {
        for (Execution(arn), landing) in items {
            landing.land(place.describe_execution(&arn).await);
        }
    }
}

impl Item for Machines {
    const API: Api = Api::ListStateMachines;

    fn name(&self) -> String {
        String::new()
    }

    async fn fetch(place: Arc<Place>, items: Vec<(Machines, Landing)>) {
        for (Machines, landing) in items {
            landing.land(place.state_machines().await);
        }
    }
}

impl Item for ExecutionQuery {
    const API: Api = Api::ListExecutions;

    fn name(&self) -> String {
        format!("{} {} {:?}", self.state_machine, self.status, self.next)
    }

    async fn fetch(place: Arc<Place>, items: Vec<(ExecutionQuery, Landing)>) {
        for (query, landing) in items {
            landing.land(place.list_executions(&query).await);
        }
    }
}

impl Place {
    /// What is encrypted with a key that is not for us is left out; the rest is for everybody who may ask.
    async fn describe_execution(&self, arn: &str) -> Result<Answer, Failure> {
        match self.describe(arn, None).await {
            Err(failure) if failure.kind == FailureKind::Refused && failure.code.starts_with("Kms") => {
                self.describe(arn, Some(IncludedData::MetadataOnly)).await
            }
            described => described,
        }
    }

    async fn describe(&self, arn: &str, included: Option<IncludedData>) -> Result<Answer, Failure> {
        self.call(Api::DescribeExecution, |capture| {
            let call = self.sfn.describe_execution().execution_arn(arn).set_included_data(included.clone());
            let call = call.customize().interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
    }

    async fn list_executions(&self, query: &ExecutionQuery) -> Result<Page, Failure> {
        let Ok(status) = ExecutionStatus::try_parse(&query.status) else {
            return Err(Failure::new(FailureKind::Invalid, format!("{:?} is no status of an execution", query.status)));
        };
        let answer = self
            .call(Api::ListExecutions, |capture| {
                let call = self
                    .sfn
                    .list_executions()
                    .state_machine_arn(&query.state_machine)
                    .status_filter(status.clone())
                    .max_results(PAGE)
                    .set_next_token(query.next.clone())
                    .customize()
                    .interceptor(capture);
                async move { call.send().await.map(drop).map_err(Failure::from) }
            })
            .await?;
        let listed: Listed<'_> = read(Api::ListExecutions, &answer)?;
        Ok(Page { json: array(&listed.items), date: answer.date, next: listed.next_token })
    }

    /// All pages as one list, with the date of the first.
    pub(super) async fn state_machines(&self) -> Result<Answer, Failure> {
        let (mut all, mut date, mut next) = (Vec::new(), None, None);
        loop {
            let answer = self.list_state_machines(next.clone()).await?;
            let listed: Listed<'_> = read(Api::ListStateMachines, &answer)?;
            all.extend(listed.items.into_iter().map(ToOwned::to_owned));
            let date = *date.get_or_insert(answer.date);
            if listed.next_token.is_none() || listed.next_token == next {
                return Ok(Answer { json: array(&all), date });
            }
            next = listed.next_token;
        }
    }

    async fn list_state_machines(&self, next: Option<String>) -> Result<Answer, Failure> {
        self.call(Api::ListStateMachines, |capture| {
            let call = self.sfn.list_state_machines().max_results(PAGE).set_next_token(next.clone());
            let call = call.customize().interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
    }

    /// The smallest question to Step Functions: whether it may be asked.
    pub(super) async fn try_sfn(&self) -> Result<(), Failure> {
        self.call(Api::ListStateMachines, |capture| {
            let call = self.sfn.list_state_machines().max_results(1).customize().interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
        .map(drop)
    }
}

/// An ARN of Step Functions: `arn:PARTITION:states:REGION:ACCOUNT:KIND:NAME…`.
pub(super) struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn parse(arn: &'a str) -> Result<Arn<'a>, Error> {
        let mut parts = arn.splitn(7, ':');
        let mut part = || parts.next().unwrap_or_default();
        let (scheme, _partition, service) = (part(), part(), part());
        let parsed = Arn { region: part(), account: part(), kind: part(), name: part() };
        let has_all = [parsed.region, parsed.account, parsed.kind, parsed.name].iter().all(|part| !part.is_empty());
        if (scheme, service) == ("arn", "states") && has_all {
            return Ok(parsed);
        }
        Err(Error::Permanent(format!("{arn:?} is no ARN of Step Functions")))
    }

    /// Its account and region.
    pub(super) fn place(&self) -> Where {
        (self.account.to_owned(), self.region.to_owned())
    }

    /// Whether Step Functions says nothing of it: an execution of an EXPRESS state machine, unless a Map Run (whose label
    /// then follows the state machine's name) started it.
    pub(super) fn is_undescribed(&self) -> bool {
        self.kind == "express" && !self.name.split(':').next().is_some_and(|machine| machine.contains('/'))
    }
}

/// What is said of executions that Step Functions does not describe.
pub(super) fn of_express() -> Error {
    Error::Permanent("executions of EXPRESS state machines have no description".to_owned())
}

/// A JSON array.
pub(super) fn array<T: Borrow<RawValue>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(|item| item.borrow().get()).collect();
    format!("[{}]", items.join(","))
}
