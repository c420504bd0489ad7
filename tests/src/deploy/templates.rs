//! What the templates say of queues, the bucket, and who may send: what moto's CloudFormation passes over is looked at here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::policies::pairs;
use super::stack::{BUCKET, LOG_ACCOUNT, MEMBER, ORGANIZATION, REGION, Stack, list, text};

fn log_account() -> Stack {
    Stack::new("log-account.yaml", REGION, &[])
}

fn member(region: &str, runs_in: &str) -> Stack {
    Stack::new("member-account.yaml", region, &[("CollectorRunsIn", runs_in)])
}

/// What a policy lets whom do whose statement has this name.
fn statement(policy: &Value, name: &str) -> Value {
    let statements = list(&policy["Statement"]);
    statements.into_iter().find(|statement| statement["Sid"] == name).unwrap_or_else(|| panic!("no {name}: {policy}"))
}

/// The statements of a policy that allow something to everybody: names.
fn open(policy: &Value) -> Vec<String> {
    let allows = |statement: &&Value| statement["Effect"] == "Allow" && statement["Principal"] == "*";
    list(&policy["Statement"]).iter().filter(allows).map(|statement| text(&statement["Sid"])).collect()
}

#[test]
fn the_organisation_may_send_and_nothing_else() {
    let stack = log_account();
    let arn = "arn:aws:sqs:eu-west-1:111122223333:xray-inbox";
    let of_organization = json!({"aws:PrincipalOrgID": ORGANIZATION});

    let queue = &stack.properties("InboxPolicy")["PolicyDocument"];
    assert_eq!(open(queue), ["MembersSend"]);
    let sends = statement(queue, "MembersSend");
    let expected = ["sqs:SendMessage", "sqs:GetQueueAttributes"].map(|action| (action.to_owned(), arn.to_owned()));
    assert_eq!(pairs(&sends), expected);
    assert_eq!(sends["Condition"], json!({"StringEquals": of_organization}));

    // Each account below its own number.
    let bucket = &stack.properties("BucketPolicy")["PolicyDocument"];
    assert_eq!(open(bucket), ["MembersWrite", "MembersCheck"]);
    let writes = statement(bucket, "MembersWrite");
    let places: BTreeSet<String> = list(&writes["Resource"]).iter().map(text).collect();
    let expected =
        ["claims", "dead-collect"].map(|of| format!("arn:aws:s3:::{BUCKET}/{of}/${{aws:PrincipalAccount}}/*"));
    assert_eq!(places, BTreeSet::from(expected));
    assert_eq!(writes["Action"], json!(["s3:PutObject", "s3:AbortMultipartUpload"]));
    assert_eq!(writes["Condition"], json!({"StringEquals": of_organization}));

    let checks = statement(bucket, "MembersCheck");
    let checked = ["claims", "dead-collect"]
        .map(|of| format!("arn:aws:s3:::{BUCKET}/{of}/${{aws:PrincipalAccount}}/rayline-validate-*"));
    assert_eq!(pairs(&checks), checked.map(|place| ("s3:DeleteObject".to_owned(), place)));
    assert_eq!(checks["Condition"], json!({"StringEquals": of_organization}));

    // The key by way of SQS and S3 only.
    let key = &stack.properties("Key")["KeyPolicy"];
    assert_eq!(open(key), ["MembersSend"]);
    let uses = statement(key, "MembersSend");
    assert_eq!(uses["Action"], json!(["kms:GenerateDataKey", "kms:Decrypt"]));
    let through = ["sqs.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"];
    let condition = json!({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION, "kms:ViaService": through}});
    assert_eq!(uses["Condition"], condition);

    let bus = &stack.properties("EventBusPolicy")["Statement"];
    assert_eq!(bus["Action"], "events:PutEvents");
    assert_eq!(bus["Condition"], json!({"StringEquals": of_organization}));
}

#[test]
fn nothing_goes_without_tls() {
    let log = log_account();
    let member = member(REGION, "member");
    let policies = [
        log.properties("InboxPolicy"),
        log.properties("EventsPolicy"),
        log.properties("BucketPolicy"),
        member.properties("EventsPolicy"),
    ];
    for policy in policies {
        let denies = statement(&policy["PolicyDocument"], "OnlyTls");
        assert_eq!(denies["Effect"], "Deny", "{policy}");
        assert_eq!(denies["Principal"], "*", "{policy}");
        assert_eq!(denies["Condition"], json!({"Bool": {"aws:SecureTransport": "false"}}), "{policy}");
        assert!(["sqs:*", "s3:*"].contains(&text(&denies["Action"]).as_str()), "{policy}");
    }
}

/// A low `maxReceiveCount` would lose what is only held often.
#[test]
fn queues_keep_what_they_have() {
    for (stack, queue) in [(log_account(), "Inbox"), (log_account(), "Events"), (member(REGION, "member"), "Events")] {
        let properties = stack.properties(queue);
        assert_eq!(properties["RedrivePolicy"]["maxReceiveCount"], 1000, "{queue}");
        assert_eq!(properties["MessageRetentionPeriod"], 14 * 86_400, "{queue}");
        assert_eq!(properties["MaximumMessageSize"], 1 << 20, "{queue}");
        let dead = stack.properties(&format!("{queue}DeadLetters"));
        assert_eq!(dead["MessageRetentionPeriod"], 14 * 86_400, "{queue}");
        let encrypted = |queue: &Value| !queue["KmsMasterKeyId"].is_null() || queue["SqsManagedSseEnabled"] == true;
        assert!(encrypted(&properties) && encrypted(&dead), "{queue}");
    }
    let key = "arn:aws:kms:eu-west-1:111122223333:key/Key";
    assert_eq!(log_account().properties("Inbox")["KmsMasterKeyId"], key);
}

#[test]
fn the_bucket_is_closed_and_forgets_only_claim_checks() {
    let bucket = log_account().properties("Bucket");
    let blocks = &bucket["PublicAccessBlockConfiguration"];
    for block in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        assert_eq!(blocks[block], true, "{block}");
    }
    let rules = list(&bucket["LifecycleConfiguration"]["Rules"]);
    let expiring: Vec<&Value> = rules.iter().filter(|rule| !rule["ExpirationInDays"].is_null()).collect();
    assert_eq!(expiring.len(), 1, "{rules:?}");
    assert_eq!(expiring[0]["Prefix"], "claims/");
    let days: u32 = text(&expiring[0]["ExpirationInDays"]).parse().expect("a number");
    assert!(days >= 15, "a message lives for 14 days, its claim check for {days}");
    let cold = rules.iter().find(|rule| rule["Prefix"] == "raw/").expect("a rule for the archive");
    assert_eq!(cold["Transitions"][0]["StorageClass"], "STANDARD_IA");
    let uploads = rules.iter().find(|rule| !rule["AbortIncompleteMultipartUpload"].is_null()).expect("a rule");
    assert!(uploads["Prefix"].is_null(), "of all prefixes: {uploads}");
}

/// Who may be whom.
#[test]
fn roles_trust_one_service_or_one_role() {
    let ecs = |account: &str| {
        json!({"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}}})
    };
    let log = log_account();
    for role in ["CentralRole", "CollectorRole"] {
        assert_eq!(log.properties(role)["AssumeRolePolicyDocument"]["Statement"], json!([ecs(LOG_ACCOUNT)]));
    }
    let collector = member(REGION, "member").properties("CollectorRole");
    assert_eq!(collector["AssumeRolePolicyDocument"]["Statement"], json!([ecs(MEMBER)]));
    let reader = member(REGION, "log-account").properties("ReaderRole");
    let name = log.properties("CollectorRole")["RoleName"].clone();
    let trusted = json!([{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{LOG_ACCOUNT}:role/{}", text(&name))},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "rayline"}},
    }]);
    assert_eq!(reader["AssumeRolePolicyDocument"]["Statement"], trusted);
}

/// On EKS: that service account of that cluster.
#[test]
fn roles_trust_one_service_account_of_a_cluster() {
    let issuer = ("OidcProvider", "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE");
    let log = Stack::new("log-account.yaml", REGION, &[issuer]);
    let member = Stack::new("member-account.yaml", REGION, &[issuer]);
    for (stack, role, account, service_account) in [
        (&log, "CentralRole", LOG_ACCOUNT, "rayline:central"),
        (&log, "CollectorRole", LOG_ACCOUNT, "rayline:collector"),
        (&member, "CollectorRole", MEMBER, "rayline:collector"),
    ] {
        let document = text(&stack.properties(role)["AssumeRolePolicyDocument"]);
        let document: Value = serde_json::from_str(&document).expect("JSON");
        let issuer = issuer.1;
        let trusted = json!([{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/{issuer}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {
                format!("{issuer}:aud"): "sts.amazonaws.com",
                format!("{issuer}:sub"): format!("system:serviceaccount:{service_account}"),
            }},
        }]);
        assert_eq!(document["Statement"], trusted, "{role}");
    }
}

/// Where the account's events go, and that only its home region has more than that.
#[test]
fn events_go_to_the_queue_of_who_collects() {
    let home = "arn:aws:events:eu-west-1:444455556666:event-bus/default";
    let cases = [
        (REGION, "member", "arn:aws:sqs:eu-west-1:444455556666:xray-events", vec!["CollectorRole", "ReadPolicy"]),
        ("us-east-1", "member", home, vec!["PassOnRole"]),
        (
            REGION,
            "log-account",
            "arn:aws:events:eu-west-1:111122223333:event-bus/rayline",
            vec!["PassOnRole", "ReadPolicy", "ReaderRole"],
        ),
        ("us-east-1", "log-account", "arn:aws:events:eu-west-1:111122223333:event-bus/rayline", vec!["PassOnRole"]),
    ];
    for (region, runs_in, target, expected) in cases {
        let stack = member(region, runs_in);
        let targets = list(&stack.properties("Rule")["Targets"]);
        assert_eq!(
            targets.iter().map(|target| text(&target["Arn"])).collect::<Vec<_>>(),
            [target],
            "{region} {runs_in}"
        );
        let made = stack.resources();
        let of_iam = made.iter().filter(|(_, resource)| text(&resource["Type"]).starts_with("AWS::IAM::"));
        assert_eq!(of_iam.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected, "{region} {runs_in}");
        let has_queue = made.contains_key("Events");
        assert_eq!(has_queue, target.starts_with("arn:aws:sqs:"), "{region} {runs_in}");
        if has_queue {
            let policy = &stack.properties("EventsPolicy")["PolicyDocument"];
            let sends = statement(policy, "EventBridgeSends");
            assert_eq!(sends["Principal"], json!({"Service": "events.amazonaws.com"}));
            let rule = "arn:aws:events:eu-west-1:444455556666:rule/rayline-executions";
            assert_eq!(sends["Condition"], json!({"ArnEquals": {"aws:SourceArn": rule}}));
        }
    }
}

/// Hosts that collect for members are asked for, and without them nothing of theirs is there.
#[test]
fn the_log_account_collects_for_members_only_if_asked() {
    let stack = Stack::new("log-account.yaml", REGION, &[("CollectForMembers", "false"), ("SearchDomainArn", "")]);
    let made = stack.resources();
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    let without =
        ["EventBus", "EventBusPolicy", "EventRule", "Events", "EventsDeadLetters", "EventsPolicy", "CollectorRole"];
    assert!(without.iter().all(|name| !names.contains(name)), "{names:?}");
    let policies = list(&stack.properties("CentralRole")["Policies"]);
    assert!(policies.iter().all(|policy| policy["PolicyName"] != "index"), "{policies:?}");
}
