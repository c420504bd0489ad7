//! The grant of a queue of Amazon SQS.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use super::objects::{self, ObjectsGrant, S3Grant};
use super::queue::{LONGEST_HOLD, hold_at_least};
use super::{Aws, Url, aws};
use crate::pipeline::diagnostic::Diagnostic;
use crate::pipeline::document::{Node, Report, Value, join};
use crate::pipeline::fields::{Fields, string, wrong_type};

/// `"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"` or
/// `{ url, region, role_arn, external_id, claim_check, accounts, visibility_secs, max_hold_secs }`.
#[derive(Clone, Debug, PartialEq)]
pub struct SqsGrant {
    /// The queue's URL, as AWS gives it.
    pub url: String,
    /// Scheme, host and port of `url`: where the requests go.
    pub endpoint: String,
    /// Region and role. The region that the host's name says comes first.
    pub aws: Aws,
    /// Where the bodies are that are too large for the queue.
    pub claim_check: Option<S3Grant>,
    /// The accounts of known senders: by SenderId up to its `:` (of a role: its unique id, `AROA…`).
    pub accounts: BTreeMap<String, String>,
    /// How long a received message stays invisible unless its holder says again that it has it: whole seconds. Default:
    /// what the queue says.
    pub visibility: Option<Duration>,
    /// How long a message may stay received altogether before it goes back. Default 12 hours, which is SQS's limit.
    pub max_hold: Duration,
}

impl SqsGrant {
    /// Where the bodies are that are too large: with the queue's role where the claim check names none, and in the queue's
    /// region where it names none.
    pub fn payloads(&self) -> Option<S3Grant> {
        let mut grant = self.claim_check.clone()?;
        let aws = &mut grant.aws;
        aws.region = aws.region.take().or_else(|| self.aws.region.clone());
        if aws.role_arn.is_none() {
            (aws.role_arn, aws.external_id) = (self.aws.role_arn.clone(), self.aws.external_id.clone());
        }
        Some(grant)
    }
}

const EXAMPLE: &str = "\"https://sqs.eu-west-1.amazonaws.com/111122223333/xray-inbox\"";
/// Shows what an account id looks like.
pub(super) const ACCOUNT: &str = "\"111122223333\"";

/// Reads the grant of an address that begins like one of the web.
pub(super) fn read(
    url: &Url<'_>,
    table: Option<&Fields<'_>>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<SqsGrant> {
    let address = address(url, report);
    let mut grant = SqsGrant {
        url: url.word.text.to_owned(),
        endpoint: String::new(),
        aws: Aws::default(),
        claim_check: None,
        accounts: BTreeMap::new(),
        visibility: None,
        max_hold: LONGEST_HOLD,
    };
    // All of it is read, to report all that is wrong.
    if let Some(table) = table {
        let longest = LONGEST_HOLD.as_secs();
        grant.aws = aws::read(table, report);
        grant.visibility = table.integer("visibility_secs", 1..=longest, report).map(Duration::from_secs);
        grant.max_hold =
            table.secs("max_hold_secs", 1.0..=LONGEST_HOLD.as_secs_f64(), report).unwrap_or(grant.max_hold);
        hold_at_least(grant.visibility.unwrap_or_default(), grant.max_hold, table, report);
        grant.claim_check = claim_check(table, folder, report);
        grant.accounts = accounts(table, report);
    }
    let Address { endpoint, region } = address?;
    if let Some((region, table)) = region.as_ref().zip(table) {
        same_region(region, table, report);
    }
    grant.endpoint = endpoint;
    grant.aws.region = region.or(grant.aws.region);
    Some(grant)
}

struct Address {
    endpoint: String,
    region: Option<String>,
}

/// Takes a queue's URL apart: an origin, then account and name.
fn address(url: &Url<'_>, report: &mut Report<'_>) -> Option<Address> {
    let found = url.word.text.parse::<Uri>().ok().and_then(|uri| {
        let is_queue = uri.path().split('/').skip(1).filter(|part| !part.is_empty()).count() >= 2;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let endpoint = format!("{}://{authority}", uri.scheme_str()?);
        (is_queue && uri.query().is_none()).then(|| Address { endpoint, region: region(authority.host()) })
    });
    if found.is_none() {
        let span = || url.word.span.clone();
        let message = format!("{} is no URL of a queue: it has an account and a name", report.quote(url.word.span));
        report.add(Diagnostic::new(&url.field, span(), message).write(span(), EXAMPLE));
    }
    found
}

/// The region in a host's name of AWS: `sqs.REGION.…`, also with something before it (VPC endpoints) and with
/// `sqs-fips`; `REGION.queue.…`, as it once was.
fn region(host: &str) -> Option<String> {
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    let host = suffixes.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let labels: Vec<&str> = host.split('.').collect();
    let region = labels.windows(2).find_map(|pair| match pair {
        ["sqs" | "sqs-fips", region] | [region, "queue"] => Some(*region),
        _ => None,
    })?;
    Some(region.to_owned())
}

fn same_region(region: &str, table: &Fields<'_>, report: &mut Report<'_>) {
    let Some(entry) = table.table.entry("region") else { return };
    if matches!(&entry.node.value, Value::String(text) if text.value != region) {
        let message = format!("the queue is in {region}, as its URL says");
        let diagnostic = Diagnostic::new(table.field("region"), entry.node.span.clone(), message);
        report.add(diagnostic.write(entry.node.span.clone(), format!("\"{region}\"")));
    }
}

fn claim_check(table: &Fields<'_>, folder: &Path, report: &mut Report<'_>) -> Option<S3Grant> {
    let (field, node) = (table.field("claim_check"), table.node("claim_check")?);
    match objects::read(&field, node, folder, report)? {
        ObjectsGrant::S3(grant) => Some(grant),
        ObjectsGrant::Folder(_) => {
            let message = "a folder cannot take what is too large for the queue: its readers look for it in a bucket";
            let diagnostic = Diagnostic::new(field, node.span.clone(), message);
            report.add(diagnostic.write(node.span.clone(), "\"s3://my-bucket/payloads\""));
            None
        }
    }
}

fn accounts(table: &Fields<'_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let Some(node) = table.node("accounts") else { return BTreeMap::new() };
    let field = table.field("accounts");
    let Value::Table(entries) = &node.value else {
        wrong_type(&field, node, "a table", &format!("{{ AROAEXAMPLE = {ACCOUNT} }}"), report);
        return BTreeMap::new();
    };
    let mut accounts = BTreeMap::new();
    for entry in entries {
        let field = join(&field, &entry.key);
        if let Some((sender, _)) = entry.key.split_once(':') {
            let message = "this names one session of a role; what stands before the `:` names the role";
            let diagnostic = Diagnostic::new(&field, entry.key_span.clone(), message);
            report.add(diagnostic.write(entry.key_span.clone(), sender));
        }
        if let Some(account) = account(&field, &entry.node, report) {
            accounts.insert(entry.key.clone(), account);
        }
    }
    accounts
}

/// An account id, which is text of 12 digits.
pub(super) fn account(field: &str, node: &Node, report: &mut Report<'_>) -> Option<String> {
    let word = string(field, node, ACCOUNT, report)?;
    if word.text.len() == 12 && word.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(word.text.to_owned());
    }
    let message = format!("{} is no account id: it has 12 digits", report.quote(word.span));
    report.add(Diagnostic::new(field, word.span.clone(), message).write(word.span.clone(), ACCOUNT));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_check_has_what_it_names_and_the_rest_of_the_queue() {
        let aws = |region: Option<&str>, role: Option<&str>, id: Option<&str>| Aws {
            region: region.map(str::to_owned),
            role_arn: role.map(str::to_owned),
            external_id: id.map(str::to_owned),
        };
        let queue = aws(Some("eu-west-1"), Some("queue"), Some("acme"));
        for (own, expected) in [
            (aws(None, None, None), queue.clone()),
            (aws(Some("eu-north-1"), None, None), aws(Some("eu-north-1"), Some("queue"), Some("acme"))),
            (aws(None, Some("bucket"), None), aws(Some("eu-west-1"), Some("bucket"), None)),
        ] {
            let claim_check = S3Grant {
                bucket: "acme".to_owned(),
                prefix: "claims".to_owned(),
                endpoint_url: None,
                path_style: false,
                kms_key_id: None,
                aws: own,
            };
            let grant = SqsGrant {
                url: String::new(),
                endpoint: String::new(),
                aws: queue.clone(),
                claim_check: Some(claim_check),
                accounts: BTreeMap::new(),
                visibility: None,
                max_hold: LONGEST_HOLD,
            };
            assert_eq!(grant.payloads().map(|grant| grant.aws), Some(expected));
        }
    }

    #[test]
    fn the_region_is_in_the_name_of_the_host() {
        for (host, expected) in [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("sqs.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("sqs-fips.us-east-1.amazonaws.com", Some("us-east-1")),
            ("sqs.eu-west-1.api.aws", Some("eu-west-1")),
            ("vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com", Some("eu-west-1")),
            ("us-west-2.queue.amazonaws.com", Some("us-west-2")),
            ("queue.amazonaws.com", None),
            ("sqs.eu-west-1.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region(host).as_deref(), expected, "{host}");
        }
    }
}
