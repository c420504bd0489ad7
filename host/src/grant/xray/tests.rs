//! The capability against a server that the tests play, and against a folder.

mod flight;
mod folder;
mod listing;
mod look;
mod places;
mod server;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use serde_json::{Value, json};

use self::server::{Call, Reply, Server};
use super::accounts::Accounts;
use super::answers::Until;
use super::{Error, Place, Xray};
use crate::pipeline::{Account, AccountsGrant};
use crate::stage::Waker;

/// Whose the credentials at hand are.
const HERE: &str = "111122223333";

/// A second account, with a role.
const THERE: &str = "444455556666";

const REGION: &str = "eu-west-1";

/// The account at hand in the region at hand.
async fn here(server: &Server) -> Xray {
    open(server, vec![Account::default()]).await
}

async fn open(server: &Server, accounts: Vec<Account>) -> Xray {
    let credentials = Credentials::new(format!("AKIA{HERE}"), "secret", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(REGION))
        .endpoint_url(&server.url)
        .load()
        .await;
    let grant = AccountsGrant { accounts, ..AccountsGrant::default() };
    Xray::Accounts(Arc::new(Accounts::with(&config, &grant).await.unwrap()))
}

/// An account with a role of this name.
fn account(id: &str, role: &str, regions: &[&str]) -> Account {
    Account {
        id: Some(id.to_owned()),
        role_arn: Some(format!("arn:aws:iam::{id}:role/{role}")),
        external_id: None,
        regions: regions.iter().map(|region| (*region).to_owned()).collect(),
    }
}

fn place(account: &str, region: &str) -> Place {
    Place { account: account.to_owned(), region: region.to_owned() }
}

/// Time enough.
fn long() -> Until {
    within(Duration::from_secs(60))
}

fn within(wait: Duration) -> Until {
    Until::new(Some(wait), Waker::default())
}

fn error(status: u16, code: &str) -> Reply {
    (status, json!({"__type": code, "message": "the service's own words"}))
}

/// A verdict in a word or two.
fn verdict<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Error::Temporary(temporary)) => format!("temporary: {}", temporary.reason),
        Err(Error::Permanent(reason)) => format!("permanent: {reason}"),
        Err(Error::NotFound(reason)) => format!("not found: {reason}"),
        Err(_) => "another error".to_owned(),
    }
}

fn verdicts<T>(results: &[Result<T, Error>]) -> Vec<String> {
    results.iter().map(verdict).collect()
}

fn is_now(date: u64) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    now.abs_diff(date / 1_000_000_000) < 60
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}
