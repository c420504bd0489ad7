//! The templates deployed to moto, which makes most of what is in them. It passes over policies of queues, buckets and
//! buses, lifecycles and alarms: `templates` looks at those.

use serde_json::{Value, json};

use super::files::deploy;
use crate::servers::moto;
use crate::servers::request::{Answer, request};
use crate::servers::sqs::{REGION, authorization};

/// Accounts that no other test uses: names in the templates are fixed.
const LOG_ACCOUNT: &str = "910000000001";
const MEMBER: &str = "910000000002";
const READ_BY_LOG_ACCOUNT: &str = "910000000003";

const BUCKET: &str = "deployed-xray-archive";

/// A request to moto as one of an account.
fn call(account: &str, service: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let authorization = authorization(service);
    let own = [("authorization", authorization.as_str()), ("x-moto-account-id", account)];
    request("POST", &moto().url, &[&own, headers].concat(), body)
}

/// A call of a service that speaks JSON: `AWSEvents.PutEvents`.
fn json_call(account: &str, service: &str, target: &str, input: &Value) -> Value {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    call(account, service, &headers, input.to_string()).json()
}

/// A call of a service that speaks forms and XML.
fn form_call(account: &str, service: &str, fields: &[(&str, &str)]) -> String {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    call(account, service, &headers, body.join("&")).ok()
}

fn escaped(text: &str) -> String {
    let escape =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

/// What stands in the first element of this name after a place.
fn element<'x>(xml: &'x str, name: &str) -> &'x str {
    let inner = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    inner.unwrap_or_else(|| panic!("no {name}: {xml}")).0.trim()
}

struct Deployed {
    account: &'static str,
    description: String,
}

/// Makes a stack of a template of `deploy/`, which must succeed.
fn deployed(account: &'static str, template: &str, parameters: &[(&str, &str)]) -> Deployed {
    let body = std::fs::read_to_string(deploy(template)).expect("a template");
    let stack = template.trim_end_matches(".yaml");
    let mut fields = vec![
        ("Action".to_owned(), "CreateStack"),
        ("Version".to_owned(), "2010-05-15"),
        ("StackName".to_owned(), stack),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM"),
        ("TemplateBody".to_owned(), &body),
    ];
    for (index, (name, value)) in parameters.iter().enumerate() {
        let member = format!("Parameters.member.{}", index + 1);
        fields.push((format!("{member}.ParameterKey"), name));
        fields.push((format!("{member}.ParameterValue"), value));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    form_call(account, "cloudformation", &fields);
    let describe = [("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", stack)];
    let description = form_call(account, "cloudformation", &describe);
    assert_eq!(element(&description, "StackStatus"), "CREATE_COMPLETE");
    Deployed { account, description }
}

impl Deployed {
    fn output(&self, name: &str) -> String {
        let key = format!("<OutputKey>{name}</OutputKey>");
        let (_, rest) = self.description.split_once(&key).unwrap_or_else(|| panic!("no {name}: {}", self.description));
        element(rest, "OutputValue").to_owned()
    }

    fn sqs(&self, action: &str, input: &Value) -> Value {
        json_call(self.account, "sqs", &format!("AmazonSQS.{action}"), input)
    }

    fn attributes(&self, queue: &str) -> Value {
        let input = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        self.sqs("GetQueueAttributes", &input)["Attributes"].clone()
    }

    fn targets(&self, bus: &str) -> Value {
        let input = json!({"Rule": "rayline-executions", "EventBusName": bus});
        json_call(self.account, "events", "AWSEvents.ListTargetsByRule", &input)["Targets"].clone()
    }

    fn role(&self, name: &str) -> String {
        form_call(self.account, "iam", &[("Action", "GetRole"), ("Version", "2010-05-08"), ("RoleName", name)])
    }
}

#[test]
fn an_organisation_is_deployed() {
    let log = deployed(
        LOG_ACCOUNT,
        "log-account.yaml",
        &[
            ("OrganizationId", "o-a1b2c3d4e5"),
            ("BucketName", BUCKET),
            ("SearchDomainArn", "arn:aws:es:eu-west-1:910000000001:domain/logs"),
            ("CollectForMembers", "true"),
            ("AlarmTopicArn", "arn:aws:sns:eu-west-1:910000000001:rayline"),
        ],
    );
    let (inbox, key) = (log.output("QueueArn"), log.output("KeyArn"));
    assert_eq!(inbox, format!("arn:aws:sqs:{REGION}:{LOG_ACCOUNT}:xray-inbox"));
    let attributes = log.attributes(&log.output("QueueUrl"));
    assert_eq!(attributes["MaximumMessageSize"], "1048576");
    assert_eq!(attributes["KmsMasterKeyId"], key);
    let redrive: Value = serde_json::from_str(attributes["RedrivePolicy"].as_str().expect("text")).expect("JSON");
    assert_eq!(redrive, json!({"deadLetterTargetArn": format!("{inbox}-dead"), "maxReceiveCount": 1000}));
    assert!(moto().s3("GET", &format!("/{BUCKET}?encryption"), "").ok().contains("aws:kms"));
    assert!(log.role("rayline-central").contains(&log.output("CentralRoleArn")));
    assert!(log.role("rayline-collector-of-members").contains(&log.output("CollectorRoleArn")));
    let events = format!("arn:aws:sqs:{REGION}:{LOG_ACCOUNT}:xray-events");
    assert_eq!(log.targets("rayline")[0]["Arn"], events);

    let of_log_account = [("HomeRegion", REGION), ("InboxArn", &inbox), ("KeyArn", &key), ("BucketName", BUCKET)];
    let member = deployed(MEMBER, "member-account.yaml", &of_log_account);
    let queue = member.output("EventsUrl");
    assert_eq!(member.targets("default")[0]["Arn"], format!("arn:aws:sqs:{REGION}:{MEMBER}:xray-events"));
    assert!(member.role("rayline-collector").contains(&member.output("CollectorRoleId")));
    an_execution_is_told(&member, &queue);

    let parameters = [&of_log_account[..], &[("CollectorRunsIn", "log-account")]].concat();
    let read = deployed(READ_BY_LOG_ACCOUNT, "member-account.yaml", &parameters);
    let bus = format!("arn:aws:events:{REGION}:{LOG_ACCOUNT}:event-bus/rayline");
    assert_eq!(read.targets("default")[0]["Arn"], bus);
    assert!(read.role("rayline-reader").contains(&read.output("ReaderRoleArn")));
}

/// What Step Functions says of an execution arrives on the event queue, and other events do not.
fn an_execution_is_told(member: &Deployed, queue: &str) {
    let arn = format!("arn:aws:states:{REGION}:{MEMBER}:execution:orders:1");
    let entry = |kind: &str| {
        let detail = json!({"executionArn": arn, "status": "SUCCEEDED", "kind": kind}).to_string();
        json!({"Source": "aws.states", "DetailType": kind, "Detail": detail})
    };
    let entries = [entry("Something Else"), entry("Step Functions Execution Status Change")];
    json_call(member.account, "events", "AWSEvents.PutEvents", &json!({"Entries": entries}));
    let received = member.sqs("ReceiveMessage", &json!({"QueueUrl": queue, "MaxNumberOfMessages": 10}));
    let messages = received["Messages"].as_array().expect("messages");
    let bodies: Vec<Value> = messages
        .iter()
        .map(|message| serde_json::from_str(message["Body"].as_str().expect("text")).expect("JSON"))
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(bodies[0]["detail"]["executionArn"], arn);
}

#[test]
fn a_host_is_deployed_on_ecs() {
    let parameters = [
        ("Image", "910000000001.dkr.ecr.eu-west-1.amazonaws.com/rayline:0.1.0"),
        ("RepositoryArn", "arn:aws:ecr:*:910000000001:repository/rayline"),
        ("Cluster", "rayline"),
        ("Subnets", "subnet-1"),
        ("SecurityGroups", "sg-1"),
        ("TaskRoleArn", "arn:aws:iam::910000000001:role/rayline-central"),
        ("QueueUrl", "https://sqs.eu-west-1.amazonaws.com/910000000001/xray-inbox"),
        ("BucketName", BUCKET),
        ("SearchUrl", "https://search-logs.eu-west-1.es.amazonaws.com"),
        // moto knows no list with something left out.
        ("AppImage", "910000000001.dkr.ecr.eu-west-1.amazonaws.com/app:1"),
    ];
    let target = "AmazonEC2ContainerServiceV20141113.CreateCluster";
    json_call(LOG_ACCOUNT, "ecs", target, &json!({"clusterName": "rayline"}));
    deployed(LOG_ACCOUNT, "ecs-task.yaml", &parameters);
    let target = "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition";
    let task = json_call(LOG_ACCOUNT, "ecs", target, &json!({"taskDefinition": "rayline-central"}));
    let containers = task["taskDefinition"]["containerDefinitions"].as_array().expect("containers").clone();
    let host = containers.iter().find(|container| container["name"] == "rayline").expect("the host");
    assert_eq!(host["command"], json!(["run", "/etc/rayline/central.toml"]));
    // Beside an application it is not what the task lives for.
    assert_eq!((&host["essential"], &host["restartPolicy"]["enabled"]), (&json!(false), &json!(true)));
    assert!(containers.iter().any(|container| container["name"] == "app" && container["essential"] == true));
}
