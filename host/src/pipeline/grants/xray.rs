//! The grant of X-Ray and Step Functions: accounts and regions, or recorded traces.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;

use super::sqs::{ACCOUNT, account};
use super::{Url, example, file, no_address};
use crate::pipeline::Capability;
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report, Value};
use crate::pipeline::fields::{Fields, Key, Word, string, wrong_type};

/// Whose traces: `"file:FOLDER"`, or a table that may name accounts.
#[derive(Clone, Debug, PartialEq)]
pub enum XrayGrant {
    /// Recorded ones: `ACCOUNT/REGION/{executions,traces}/*.json` and `ACCOUNT/REGION/state-machines.json`.
    Folder(PathBuf),
    /// Those of AWS, or of what speaks like it.
    Accounts(Box<AccountsGrant>),
}

/// `{ accounts, endpoint_urls }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountsGrant {
    /// At least one. Where the file names none: the credentials and the region at hand.
    pub accounts: Vec<Account>,
    /// Other servers than Amazon's own.
    pub endpoints: Endpoints,
}

/// `{ id, role_arn, external_id, regions }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// What the credentials must turn out to be of. Default: the account of `role_arn`, else any.
    pub id: Option<String>,
    /// The role that is assumed with the credentials at hand. Default: these are used themselves.
    pub role_arn: Option<String>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Where to look. Empty: the region at hand.
    pub regions: Vec<String>,
}

/// `{ xray, sfn, sts }`: for VPC endpoints without private names. `{region}` in an address stands for the region. What is
/// missing comes from where aws-config looks (`AWS_ENDPOINT_URL_XRAY` and the like), else it is Amazon's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Of X-Ray.
    pub xray: Option<String>,
    /// Of Step Functions.
    pub sfn: Option<String>,
    /// Of STS, which says whose credentials these are, and where roles are assumed.
    pub sts: Option<String>,
}

/// As the pipeline file has it.
impl fmt::Display for XrayGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = match self {
            XrayGrant::Folder(path) => return path.display().fmt(f),
            XrayGrant::Accounts(grant) => grant,
        };
        match grant.accounts.as_slice() {
            [one] => match &one.id {
                Some(id) => write!(f, "X-Ray of {id}"),
                None => f.write_str("X-Ray of the account at hand"),
            },
            several => write!(f, "X-Ray of {} accounts", several.len()),
        }
    }
}

const KEYS: &[Key] = &[
    Key { name: "accounts", example: ACCOUNTS },
    Key { name: "endpoint_urls", example: "{ xray = \"https://xray.example.com\" }" },
];

const ACCOUNTS: &str = "[{ id = \"111122223333\", regions = [\"eu-west-1\"] }]";

const OF_ACCOUNT: &[Key] = &[
    Key { name: "id", example: ACCOUNT },
    Key { name: "role_arn", example: ROLE },
    Key { name: "external_id", example: "\"my-external-id\"" },
    Key { name: "regions", example: REGIONS },
];

const ROLE: &str = "\"arn:aws:iam::111122223333:role/rayline\"";
const REGIONS: &str = "[\"eu-west-1\"]";
const REGION: &str = "\"eu-west-1\"";

const SERVICES: &[Key] = &[
    Key { name: "xray", example: "\"https://xray.example.com\"" },
    Key { name: "sfn", example: "\"https://states.example.com\"" },
    Key { name: "sts", example: "\"https://sts.example.com\"" },
];

/// Reads an `xray` grant.
pub(super) fn read(field: &str, node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<XrayGrant> {
    match &node.value {
        Value::String(_) => {
            let word = string(field, node, "\"file:recorded\"", report)?;
            let path = file(&word, folder);
            if path.is_none() {
                no_address(Capability::Xray, &Url { field: field.to_owned(), word }, report);
            }
            path.map(XrayGrant::Folder)
        }
        Value::Table(_) => {
            let table = Fields::open(field.to_owned(), node, KEYS, report)?;
            let accounts = accounts(&table, report);
            let endpoints = endpoints(&table, report);
            Some(XrayGrant::Accounts(Box::new(AccountsGrant { accounts: accounts?, endpoints: endpoints? })))
        }
        _ => {
            let wanted = "a table, which may have `accounts`, or the address of a folder";
            wrong_type(field, node, wanted, example(Capability::Xray), report);
            None
        }
    }
}

fn accounts(table: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<Account>> {
    let Some(node) = table.node("accounts") else { return Some(vec![Account::default()]) };
    let field = table.field("accounts");
    let items = match &node.value {
        Value::List(items) if !items.is_empty() => items,
        Value::List(_) => {
            let diagnostic = Diagnostic::new(field, node.span.clone(), "no account is named");
            report.add(diagnostic.write(node.span.clone(), ACCOUNTS));
            return None;
        }
        _ => {
            wrong_type(&field, node, "a list of tables", ACCOUNTS, report);
            return None;
        }
    };
    let mut seen = BTreeSet::new();
    // All of them are read, to report all that is wrong.
    let read: Vec<Option<Account>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| one(&format!("{field}[{index}]"), item, &mut seen, report))
        .collect();
    read.into_iter().collect()
}

/// Reads one account. `seen` has the pairs of account and region of those before it.
fn one(
    field: &str,
    node: &Node,
    seen: &mut BTreeSet<(Option<String>, String)>,
    report: &mut Report<'_>,
) -> Option<Account> {
    let table = Fields::open(field.to_owned(), node, OF_ACCOUNT, report)?;
    let before = report.diagnostics.len();
    let id = table.node("id").and_then(|node| account(&table.field("id"), node, report));
    let role = table.string("role_arn", report).and_then(|word| role(&table, &word, id.as_deref(), report));
    let external_id = table.string("external_id", report).map(|word| word.text.to_owned());
    if let (Some(entry), None) = (table.table.entry("external_id"), table.table.entry("role_arn")) {
        let diagnostic = Diagnostic::new(
            table.field("external_id"),
            entry.key_span.clone(),
            "only where a role is assumed is there an `external_id`, and `role_arn` is not there",
        );
        report.add(diagnostic.remove_key(report.text, table.table, entry, ""));
    }
    let id = id.or_else(|| role.as_ref().map(|role| role.account.clone()));
    let regions = regions(&table, id.as_deref(), seen, report);
    (report.diagnostics.len() == before).then(|| Account {
        id,
        role_arn: role.map(|role| role.arn),
        external_id,
        regions,
    })
}

struct Role {
    arn: String,
    account: String,
}

/// Takes a role's ARN apart: `arn:PARTITION:iam::ACCOUNT:role/NAME`.
fn role(table: &Fields<'_>, word: &Word<'_>, id: Option<&str>, report: &mut Report<'_>) -> Option<Role> {
    let found = match word.text.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, role]
            if !partition.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()) =>
        {
            Some((*account).to_owned())
        }
        _ => None,
    };
    let say = |message: String| Diagnostic::new(table.field("role_arn"), word.span.clone(), message);
    let Some(account) = found else {
        let example = match id {
            Some(id) => format!("\"arn:aws:iam::{id}:role/rayline\""),
            None => ROLE.to_owned(),
        };
        let message = format!("{} is no ARN of a role", report.quote(word.span));
        report.add(say(message).write(word.span.clone(), example));
        return None;
    };
    if let Some(id) = id
        && id != account
    {
        let message = format!("{} is a role of another account than `id` says", report.quote(word.span));
        report.add(say(message).write(word.span.clone(), format!("\"{}\"", word.text.replacen(&account, id, 1))));
        return None;
    }
    Some(Role { arn: word.text.to_owned(), account })
}

fn regions(
    table: &Fields<'_>,
    id: Option<&str>,
    seen: &mut BTreeSet<(Option<String>, String)>,
    report: &mut Report<'_>,
) -> Vec<String> {
    let field = table.field("regions");
    let Some(words) = table.strings("regions", report) else {
        // The region at hand has a name, which is not known here; twice it is the same.
        if table.node("regions").is_none() && !seen.insert((id.map(str::to_owned), String::new())) {
            let message = "an account before this one is the same, in the same region";
            let diagnostic = Diagnostic::new(&table.path, table.table.span.clone(), message);
            report.add(diagnostic.add_key(report.text, table.table, "regions", "regions", REGIONS));
        }
        return Vec::new();
    };
    if let (Some(node), true) = (table.node("regions"), words.is_empty()) {
        let diagnostic = Diagnostic::new(&field, node.span.clone(), "no region is named");
        report.add(diagnostic.write(node.span.clone(), REGIONS));
    }
    for (index, word) in words.iter().enumerate() {
        let quoted = report.quote(word.span).to_owned();
        let say = |message: String| Diagnostic::new(format!("{field}[{index}]"), word.span.clone(), message);
        if !is_region(word.text) {
            let meant = word.text.trim().to_lowercase();
            let instead = if is_region(&meant) { format!("\"{meant}\"") } else { REGION.to_owned() };
            report.add(say(format!("{quoted} is no region")).write(word.span.clone(), instead));
        } else if !seen.insert((id.map(str::to_owned), word.text.to_owned())) {
            let message = match id {
                Some(id) => format!("{quoted} of the account {id} is named twice"),
                None => format!("{quoted} of the account at hand is named twice"),
            };
            report.add(say(message).help("name each account and region once"));
        }
    }
    words.into_iter().map(|word| word.text.to_owned()).collect()
}

/// `eu-west-1`, `us-gov-east-1`, and what AWS may yet think of: it becomes part of a host's name.
fn is_region(text: &str) -> bool {
    let is_label = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.contains('-') && text.split('-').all(is_label)
}

fn endpoints(table: &Fields<'_>, report: &mut Report<'_>) -> Option<Endpoints> {
    let Some(node) = table.node("endpoint_urls") else { return Some(Endpoints::default()) };
    let table = Fields::open(table.field("endpoint_urls"), node, SERVICES, report)?;
    let before = report.diagnostics.len();
    let mut one = |name: &str| {
        let word = table.string(name, report)?;
        let parsed = word.text.replace("{region}", "region").parse::<Uri>().ok();
        let is_server = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("https" | "http"))
                && uri.query().is_none()
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        if !is_server {
            let quoted = report.quote(word.span);
            let message = format!("{quoted} is no address of a server; it begins with `https://` or `http://`");
            let example = SERVICES.iter().find(|key| key.name == name).map_or("", |key| key.example);
            let diagnostic = Diagnostic::new(table.field(name), word.span.clone(), message);
            report.add(diagnostic.write(word.span.clone(), example));
        }
        Some(word.text.to_owned())
    };
    let endpoints = Endpoints { xray: one("xray"), sfn: one("sfn"), sts: one("sts") };
    (report.diagnostics.len() == before).then_some(endpoints)
}
