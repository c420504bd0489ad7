//! Whose credentials the grants have, and whether their roles can be assumed. The accounts of `grants.xray` are asked one
//! by one in [`reach`](super::reach); here it is those that assume their roles.

use futures::future::join_all;

use super::{Finding, clock, field};
use crate::grant::identity::{Caller, Identity, Unknown, ask};
use crate::pipeline::{Auth, Aws, Grant, ObjectsGrant, Pipeline, QueueGrant, XrayGrant};

/// Credentials that are used for several things, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    aws: Aws,
    /// Another STS than Amazon's own.
    endpoint: Option<String>,
    fields: Vec<String>,
}

/// Each credentials once, then the clock.
pub async fn examine(pipeline: &Pipeline) -> Vec<Finding> {
    let uses = uses(pipeline);
    let asked = join_all(uses.iter().map(|used| ask(&used.aws, used.endpoint.as_deref()))).await;
    let ahead = asked.iter().find_map(|Identity { ahead_secs, .. }| *ahead_secs);
    let found = uses.iter().zip(&asked).map(|(used, Identity { who, .. })| judge(used, who));
    found.chain(clock::judge(ahead)).collect()
}

/// What of the pipeline speaks to AWS, by role: its region says only where it is asked.
fn uses(pipeline: &Pipeline) -> Vec<Use> {
    let mut uses: Vec<Use> = Vec::new();
    let mut add = |aws: &Aws, endpoint: Option<&String>, field: String| {
        let same = |used: &&mut Use| {
            used.aws.role_arn == aws.role_arn
                && used.aws.external_id == aws.external_id
                && used.endpoint.as_ref() == endpoint
        };
        match uses.iter_mut().find(same) {
            Some(used) => used.fields.push(field),
            None => uses.push(Use { aws: aws.clone(), endpoint: endpoint.cloned(), fields: vec![field] }),
        }
    };
    for stage in &pipeline.stages {
        for (name, grant) in &stage.grants {
            let field = field(stage, name);
            match grant {
                Grant::Queue(QueueGrant::Sqs(queue)) => {
                    add(&queue.aws, None, field.clone());
                    if let Some(payloads) = queue.payloads().filter(|payloads| payloads.aws != queue.aws) {
                        add(&payloads.aws, None, format!("{field}.claim_check"));
                    }
                }
                // Elsewhere there is no STS that knows whose they are.
                Grant::Objects(ObjectsGrant::S3(bucket)) if bucket.endpoint_url.is_none() => {
                    add(&bucket.aws, None, field);
                }
                Grant::Http(server) => {
                    if let Auth::Aws { aws, .. } = &server.auth {
                        add(aws, None, field);
                    }
                }
                Grant::Xray(XrayGrant::Accounts(accounts)) => {
                    // Where the first account's regions are, unless that is where the host is anyway.
                    let region = accounts.accounts.first().and_then(|account| account.regions.first());
                    let endpoint = accounts.endpoints.sts.as_ref().map(|url| match region {
                        Some(region) => url.replace("{region}", region),
                        None => url.clone(),
                    });
                    let at_hand = Aws { region: region.cloned(), ..Aws::default() };
                    add(&at_hand, endpoint.as_ref(), field);
                }
                _ => {}
            }
        }
    }
    if let ObjectsGrant::S3(bucket) = &pipeline.dead_letter.location
        && bucket.endpoint_url.is_none()
    {
        add(&bucket.aws, None, "dead_letter.location".to_owned());
    }
    uses
}

fn judge(used: &Use, who: &Result<Caller, Unknown>) -> Finding {
    let fields = used.fields.join(", ");
    let subject = match &used.aws.role_arn {
        Some(role) => format!("credentials of {role}"),
        None => "credentials at hand".to_owned(),
    };
    match (who, &used.aws.role_arn) {
        (Ok(Caller { account, arn }), _) => {
            Finding::ok(&subject, format!("of the account {account}, as {arn}; for {fields}"))
        }
        (Err(Unknown { is_refused: true, reason }), Some(_)) => Finding::failure(
            &subject,
            format!("the role cannot be assumed, for {fields}: {reason}"),
            "correct `role_arn` and `external_id`, let the role's trust policy name who this host is, and allow this \
             host sts:AssumeRole on the role",
        ),
        (Err(Unknown { is_refused: true, reason }), None) => Finding::failure(
            &subject,
            format!("they cannot be used, for {fields}: {reason}"),
            "give this host credentials: a role of its task, pod or instance, AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY",
        ),
        (Err(Unknown { reason, .. }), Some(_)) => Finding::failure(
            &subject,
            format!("STS cannot be asked for the role, for {fields}: {reason}"),
            "let this host reach STS: by NAT, or by a VPC endpoint for com.amazonaws.REGION.sts",
        ),
        // A run needs no STS where no role is assumed.
        (Err(Unknown { reason, .. }), None) => Finding::warning(
            &subject,
            format!("not checked: whose they are, for {fields}: {reason}"),
            "let this host reach STS to have it checked",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_sts_says() {
        let used = |role: Option<&str>| Use {
            aws: Aws { role_arn: role.map(str::to_owned), ..Aws::default() },
            endpoint: None,
            fields: vec!["sources.a.grants.queue".to_owned(), "dead_letter.location".to_owned()],
        };
        let caller = Caller { account: "111122223333".to_owned(), arn: "arn:aws:sts::111122223333:x".to_owned() };
        let good = judge(&used(None), &Ok(caller));
        let expected = "ok       credentials at hand: of the account 111122223333, as arn:aws:sts::111122223333:x; for \
                        sources.a.grants.queue, dead_letter.location";
        assert_eq!(good.to_string(), expected);
        for (role, is_refused, level, part) in [
            (Some("arn:aws:iam::444455556666:role/r"), true, Level::Failure, "trust policy"),
            (None, true, Level::Failure, "AWS_PROFILE"),
            (Some("arn:aws:iam::444455556666:role/r"), false, Level::Failure, "VPC endpoint"),
            (None, false, Level::Warning, "not checked"),
        ] {
            let found = judge(&used(role), &Err(Unknown { is_refused, reason: "AccessDenied: no".to_owned() }));
            assert_eq!(found.level, level, "{found}");
            assert!(found.to_string().contains(part) && found.words.contains("AccessDenied: no"), "{found}");
        }
    }
}
