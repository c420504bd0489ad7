//! Installs templates and policies on Elasticsearch or OpenSearch, where they are missing or different.

use anyhow::bail;
use http::Method;
use serde_json::Value;

use super::mapping::Annotations;
use super::retention::{self, Policies};
use super::server::{Answer, Server, refuse_time_series};
use super::template::{Form, Resource, templates};
use crate::grant::http::Client;
use crate::pipeline::{Auth, HttpGrant};

/// What was found and done on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Product and version.
    pub server: String,
    /// What is there now, in the order in which it was installed.
    pub steps: Vec<Step>,
    /// What this server does not have, and what to do about it.
    pub notes: Vec<String>,
}

/// One thing that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `index template xray-spans`.
    pub title: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of something to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there and different.
    Replaced,
    /// It was there.
    Unchanged,
}

impl Outcome {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Replaced => "replaced",
            Outcome::Unchanged => "unchanged",
        }
    }
}

/// Installs everything on the servers of a grant. With `retention_days` also a policy that keeps every document for so
/// long at least; without it a policy that is there stays.
///
/// # Errors
/// When there is no answer, or a refusal.
pub async fn install(grant: &HttpGrant, prefix: &str, retention_days: Option<u32>) -> anyhow::Result<Report> {
    let client = Client::open(grant).await?;
    if is_serverless(grant) {
        refuse_time_series(&client, prefix).await?;
    }
    let server = find(grant, &client).await?;
    let mut report = Report { server: server.title(), steps: Vec::new(), notes: Vec::new() };
    let policies = match retention_days {
        Some(days) => retain(&server, prefix, days, &mut report).await?,
        None => None,
    };
    let lifecycle = match policies {
        Some(Policies::Lifecycle) => Some(retention::lifecycle(prefix)),
        _ => lifecycle_that_is_there(&server, prefix).await?,
    };
    install_templates(&server, prefix, lifecycle.as_ref(), &mut report).await?;
    if let Some(policies) = policies {
        adopt(&server, prefix, policies, &mut report).await?;
    }
    Ok(report)
}

/// What templates a server has, against those that [`install`] would make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Product and version.
    pub server: String,
    /// Templates that are not there.
    pub missing: Vec<String>,
    /// Templates that are there with another content: of another version, or of somebody's own.
    pub different: Vec<String>,
}

/// Looks what is on the servers of a grant. It changes nothing, but for a document that goes again where nothing else tells
/// what a server is.
///
/// # Errors
/// When there is no answer, or a refusal.
pub async fn state(grant: &HttpGrant, prefix: &str) -> anyhow::Result<State> {
    let client = Client::open(grant).await?;
    if is_serverless(grant) {
        refuse_time_series(&client, prefix).await?;
    }
    let server = find(grant, &client).await?;
    let lifecycle = lifecycle_that_is_there(&server, prefix).await?;
    let mut state = State { server: server.title(), ..State::default() };
    // A server need not have the best type for annotations: any that `install` may have chosen is right.
    let [best, other] =
        server.annotations().map(|annotations| templates(prefix, server.form(), annotations, lifecycle.as_ref()));
    for (best, other) in best.into_iter().zip(other) {
        let found = server.call(Method::GET, &best.path, None).await?;
        match found.body.pointer(&best.place).filter(|_| found.is_ok()) {
            Some(there) if [&best, &other].iter().any(|wanted| is_same(&wanted.body, there, false)) => {}
            Some(_) => state.different.push(best.title),
            None => state.missing.push(best.title),
        }
    }
    Ok(state)
}

/// The server of a grant.
///
/// # Errors
/// When it does not answer, refuses the credentials, or is neither Elasticsearch nor OpenSearch.
pub(super) async fn find<'c>(grant: &HttpGrant, client: &'c Client) -> anyhow::Result<Server<'c>> {
    if is_serverless(grant) { Ok(Server::serverless(client)) } else { Server::find(client).await }
}

fn is_serverless(grant: &HttpGrant) -> bool {
    matches!(&grant.auth, Auth::Aws { service, .. } if service == "aoss")
}

/// What [`install`] would send to a server of each kind, for its development console.
pub fn print(prefix: &str, retention_days: Option<u32>) -> String {
    let lifecycle = retention_days.map(|_| retention::lifecycle(prefix));
    let kinds = [
        ("Elasticsearch 7.8 and newer", Annotations::Flattened, Policies::Lifecycle, lifecycle.as_ref()),
        ("OpenSearch 2.7 and newer", Annotations::FlatObject, Policies::PLUGINS, None),
        ("OpenSearch before 2.7, and Amazon's Elasticsearch 7.10", Annotations::Stored, Policies::OPENDISTRO, None),
    ];
    let mut text = String::new();
    for (title, annotations, policies, lifecycle) in kinds {
        text += &format!("# {title}\n\n");
        let policy = retention_days.map(|days| policies.policy(prefix, days));
        for resource in policy.into_iter().chain(templates(prefix, Form::Composable, annotations, lifecycle)) {
            text += &format!("PUT {}\n{:#}\n\n", resource.path, resource.body);
        }
        // Those that are not there yet have it from their template.
        for (method, path, body) in retention_days.into_iter().flat_map(|_| policies.adoption(prefix)) {
            text += &format!("{method} {path}\n{body:#}\n\n");
        }
    }
    text
}

/// Installs a policy of the kind that the server has, if it has any.
async fn retain(server: &Server<'_>, prefix: &str, days: u32, report: &mut Report) -> anyhow::Result<Option<Policies>> {
    for &policies in server.policies() {
        let resource = policies.policy(prefix, days);
        let found = server.call(Method::GET, &resource.path, None).await?;
        if found.is_unknown_path() {
            continue;
        }
        let mut path = resource.path.clone();
        if let (Some(number), Some(term)) = (found.body.get("_seq_no"), found.body.get("_primary_term")) {
            path += &format!("?if_seq_no={number}&if_primary_term={term}");
        }
        match put(server, &resource, &path, &found, report).await? {
            Ok(()) => return Ok(Some(policies)),
            Err(answer) if answer.is_unknown_path() => {}
            Err(answer) => return Err(refusal(&resource, &answer)),
        }
    }
    report.notes.push(format!(
        "this server has no lifecycle policies: run `rayline prune PIPELINE --older-than-days {days}` once a day instead"
    ));
    Ok(None)
}

/// Has the indices that are already there follow the policy as it is now.
async fn adopt(server: &Server<'_>, prefix: &str, policies: Policies, report: &mut Report) -> anyhow::Result<()> {
    let mut left_out = Vec::new();
    for (method, path, body) in policies.adoption(prefix) {
        let answer = server.call(method, &path, Some(&body)).await?;
        if !answer.is_ok() && answer.status != 404 {
            bail!("indices that are already there do not take the policy: {}", answer.reason());
        }
        left_out = retention::left_out(&answer.body);
    }
    if !left_out.is_empty() {
        report.notes.push(format!(
            "these indices do not follow the policy as it is now; run this again later, or look at them: {}",
            left_out.join(", ")
        ));
    }
    Ok(())
}

/// The lifecycle setting of an earlier run, so that one without `retention_days` does not take it away.
async fn lifecycle_that_is_there(server: &Server<'_>, prefix: &str) -> anyhow::Result<Option<Value>> {
    let Some(resource) = templates(prefix, server.form(), Annotations::Stored, None).into_iter().next() else {
        return Ok(None);
    };
    let found = server.call(Method::GET, &resource.path, None).await?;
    let template = found.body.pointer(&resource.place);
    let settings = template.and_then(|it| it.pointer("/template/settings").or_else(|| it.get("settings")));
    Ok(settings.and_then(|settings| settings.pointer("/index/lifecycle")).cloned())
}

async fn install_templates(
    server: &Server<'_>,
    prefix: &str,
    lifecycle: Option<&Value>,
    report: &mut Report,
) -> anyhow::Result<()> {
    'types: for annotations in server.annotations() {
        for resource in templates(prefix, server.form(), annotations, lifecycle) {
            if report.steps.iter().any(|step| step.title == resource.title) {
                continue;
            }
            let found = server.call(Method::GET, &resource.path, None).await?;
            match put(server, &resource, &resource.path, &found, report).await? {
                Ok(()) => {}
                Err(answer)
                    if annotations != Annotations::Stored && answer.reason().contains("No handler for type") =>
                {
                    continue 'types;
                }
                Err(answer) => return Err(refusal(&resource, &answer)),
            }
        }
        if annotations == Annotations::Stored {
            report.notes.push(
                "this server has no type for `xray.annotations`: search `xray.annotation_kv` for `key=value`"
                    .to_owned(),
            );
        }
        return Ok(());
    }
    Ok(())
}

/// Puts a resource on the server, unless it is what was found there; or the server's refusal.
async fn put(
    server: &Server<'_>,
    resource: &Resource,
    path: &str,
    found: &Answer,
    report: &mut Report,
) -> anyhow::Result<Result<(), Answer>> {
    let there = found.body.pointer(&resource.place).filter(|_| found.is_ok());
    let outcome = match there {
        Some(there) if is_same(&resource.body, there, false) => Outcome::Unchanged,
        Some(_) => Outcome::Replaced,
        None => Outcome::Created,
    };
    if outcome != Outcome::Unchanged {
        let answer = server.call(Method::PUT, path, Some(&resource.body)).await?;
        if !answer.is_ok() {
            return Ok(Err(answer));
        }
    }
    report.steps.push(Step { title: resource.title.clone(), outcome });
    Ok(Ok(()))
}

fn refusal(resource: &Resource, answer: &Answer) -> anyhow::Error {
    anyhow::anyhow!("the server refuses the {}: {}", resource.title, answer.reason())
}

/// Whether the server has what is wanted. It gives numbers and booleans back as texts, and adds defaults of its own;
/// but a mapping has to be this one, without fields of an earlier version.
fn is_same(wanted: &Value, there: &Value, exactly: bool) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => {
            let is_there = |(key, value): (&String, &Value)| {
                there.get(key).is_some_and(|it| is_same(value, it, exactly || key == "mappings"))
            };
            (!exactly || wanted.len() == there.len()) && wanted.iter().all(is_there)
        }
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len()
                && wanted.iter().zip(there).all(|(wanted, there)| is_same(wanted, there, exactly))
        }
        _ => text(wanted) == text(there),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
