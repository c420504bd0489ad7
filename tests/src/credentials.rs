//! Every place that credentials come from, that those which end are renewed, and that a user's stage calls AWS without them.

use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::collect::collector::{OWN, Site, with_endpoints};
use crate::collect::fake::{Fake, Machine, Manners, Place, sts};
use crate::harness::{World, guest, numbered};
use crate::servers::sqs::REGION;
use crate::servers::{moto, unique};

/// What the metadata services of a machine and of a task, and IAM Identity Center, ask for and answer.
const SECRET: &str = "who-may-ask";

/// What would lead elsewhere.
const OTHERS: [&str; 6] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SESSION_TOKEN",
];

/// Each way leads to an account of its own.
const INSTANCE: &str = "100000000001";
const TASK: &str = "100000000002";
const LOGIN: &str = "100000000003";
const POD: &str = "100000000004";
const PROFILE: &str = "100000000005";
const PROCESS: &str = "100000000006";

/// The file name is the SHA-1 of the session's name.
const SESSION: &str = "home/.aws/sso/cache/71b21161ffa1e6516bcc072aaf5ef38cbe85b511.json";

fn end() -> Timestamp {
    Timestamp::now() + Duration::from_secs(3600)
}

fn metadata(account: &str) -> Value {
    json!({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": sts::key(account, end()), "SecretAccessKey": "secret",
        "Token": "token", "AccountId": account, "LastUpdated": Timestamp::now().to_string(), "Expiration": end().to_string()})
}

/// The answer to who has the secret in this header.
fn guarded(headers: &HeaderMap, name: &str, answer: impl ToString) -> Result<String, StatusCode> {
    let found = headers.get(name).and_then(|value| value.to_str().ok());
    (found == Some(SECRET)).then(|| answer.to_string()).ok_or(StatusCode::UNAUTHORIZED)
}

/// Address of the services.
fn services() -> String {
    const IMDS: &str = "x-aws-ec2-metadata-token";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let token = put(|| async { ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], SECRET) });
    let roles = get(|headers: HeaderMap| async move { guarded(&headers, IMDS, "rayline") });
    let instance = get(|headers: HeaderMap| async move { guarded(&headers, IMDS, metadata(INSTANCE)) });
    let task = get(|headers: HeaderMap| async move { guarded(&headers, "authorization", metadata(TASK)) });
    let login = get(|headers: HeaderMap, RawQuery(query): RawQuery| async move {
        if query != Some(format!("role_name=Reader&account_id={LOGIN}")) {
            return Err(StatusCode::FORBIDDEN);
        }
        let credentials = json!({"roleCredentials": {"accessKeyId": sts::key(LOGIN, end()), "secretAccessKey": "secret",
            "sessionToken": "token", "expiration": end().as_millisecond()}});
        guarded(&headers, "x-amz-sso_bearer_token", credentials)
    });
    let router = Router::new()
        .route("/latest/api/token", token)
        .route("/latest/meta-data/iam/security-credentials/", roles)
        .route("/latest/meta-data/iam/security-credentials/rayline", instance)
        .route("/task", task)
        .route("/federation/credentials", login);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, router).await.expect("a server");
        });
    });
    url
}

#[test]
fn credentials_come_from_wherever_aws_keeps_them() {
    let fake = Fake::start(Manners::good(), None);
    fake.knows("AKIDEXAMPLE", OWN);
    let services = services();
    let world = World::new();
    world.write(
        "collect.toml",
        r#"
        data_dir = "data"
        [sources.executions]
        plugin = "xray-source"
        grants.events = "file:events.queue"
        grants.xray = {}
        [sinks.shown]
        plugin = "print-sink"
        grants.output = "stdout"
        inputs = ["executions"]
        "#,
    );
    let process = json!({"Version": 1, "AccessKeyId": sts::key(PROCESS, end()), "SecretAccessKey": "secret",
        "SessionToken": "token", "Expiration": end().to_string()});
    world.write("process.json", process.to_string());
    world.write("token", sts::TOKEN);
    world.write("secret", SECRET);
    world.write("credentials", "[base]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n");
    let expires = end().to_string();
    world.write(SESSION, json!({ "accessToken": SECRET, "expiresAt": expires }).to_string());
    world.write(
        "config",
        format!(
            "[profile base]\nregion = {REGION}\n\
             [profile reader]\nrole_arn = arn:aws:iam::{PROFILE}:role/reader\nsource_profile = base\n\
             [profile process]\ncredential_process = cat process.json\n\
             [profile login]\nsso_session = company\nsso_account_id = {LOGIN}\nsso_role_name = Reader\n\
             [sso-session company]\nsso_region = {REGION}\nsso_start_url = https://company.example/start\n"
        ),
    );
    let role = format!("arn:aws:iam::{POD}:role/pod");
    let (task, token) = (format!("{services}/task"), world.path("token"));
    let (secret, token) = (world.path("secret"), token.to_str().expect("UTF-8"));
    let secret = secret.to_str().expect("UTF-8");
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")], OWN),
        (&[("AWS_PROFILE", "base")], OWN),
        (&[("AWS_PROFILE", "reader")], PROFILE),
        (&[("AWS_PROFILE", "process")], PROCESS),
        (&[("AWS_PROFILE", "login"), ("AWS_ENDPOINT_URL_SSO", &services)], LOGIN),
        (&[("AWS_WEB_IDENTITY_TOKEN_FILE", token), ("AWS_ROLE_ARN", &role)], POD),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &task), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET)], TASK),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &task), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", secret)], TASK),
        (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &services)], INSTANCE),
    ];
    let set = cases.iter().flat_map(|(variables, _)| variables.iter().map(|(name, _)| *name));
    let all: Vec<&str> = set.chain(OTHERS).collect();
    for (variables, account) in cases {
        fake.put_machine(
            &Place::new(account, REGION),
            Machine { name: "orders".to_owned(), kind: "STANDARD", traced: true, created: 1.0 },
        );
        let doctor = with_endpoints(world.rayline(&["doctor", "collect.toml"]), &fake, &fake.url);
        let doctor = all.iter().fold(doctor, |doctor, name| doctor.without(name));
        let doctor = doctor
            .env("HOME", world.path("home"))
            .env("AWS_CONFIG_FILE", world.path("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", world.path("credentials"));
        let ended = variables.iter().fold(doctor, |doctor, (name, value)| doctor.env(name, value)).ends();
        ended.says(&format!("{account} {REGION}: 1 state machine (1 STANDARD, 0 EXPRESS), all with tracing"));
    }
}

/// Slow: the credentials of a role last 20 s, and are renewed 5 to 10 s before they end.
#[test]
fn credentials_of_a_role_are_renewed_before_they_end() {
    let site = Site::new(Manners::good());
    site.fake.gives_out_for(Duration::from_secs(20));
    let source = format!(
        r#"plugin = "xray-source"
        grants.events = "file:events.queue"
        grants.xray.accounts = [{{ id = "{TASK}", role_arn = "arn:aws:iam::{TASK}:role/rayline", regions = ["{REGION}"] }}]"#
    );
    let sweep = r#"sweep = { every_secs = 1, overlap_secs = 900, start = "1h" }"#;
    let mut host = site.start("one", &source, sweep);
    host.until("credentials that are renewed three times", |_| (site.fake.given() >= 4).then_some(()));
    let asked = site.fake.asked("ListStateMachines");
    host.until("calls with the last of them", |_| (site.fake.asked("ListStateMachines") > asked + 1).then_some(()));
    host.stops();
    assert_eq!(site.fake.violations(), [] as [String; 0], "calls with credentials that have ended");
}

/// The role is of another account, and so is the queue that only its credentials lead to.
#[test]
fn a_stage_calls_an_api_of_aws_with_credentials_that_it_never_has() {
    let (world, name) = (World::new(), unique("called"));
    moto().sqs_of(TASK, "CreateQueue", &json!({ "QueueName": name }));
    let queue_url = format!("{}/{TASK}/{name}", moto().url);
    world.send("in.queue", &numbered(20));
    world.write(
        "call.toml",
        format!(
            r#"
            data_dir = "data"
            [sources.in]
            plugin = "queue-source"
            grants.queue = "file:in.queue"
            options.stop_when_empty = true
            [sinks.out]
            plugin = {:?}
            inputs = ["in"]
            grants.api = {{ urls = ["{}"], auth = {{ aws = "sqs", region = "{REGION}", role_arn = "arn:aws:iam::{TASK}:role/sender" }} }}
            options.queue_url = "{queue_url}"
            "#,
            guest("guest-aws-call"),
            moto().url
        ),
    );
    let host = world.rayline(&["run", "call.toml"]).with_credentials();
    host.env("AWS_REGION", REGION).env("AWS_ENDPOINT_URL_STS", &moto().url).succeeds();
    let names = json!({ "QueueUrl": queue_url, "AttributeNames": ["ApproximateNumberOfMessages"] });
    let answer = moto().sqs_of(TASK, "GetQueueAttributes", &names);
    assert_eq!(answer["Attributes"]["ApproximateNumberOfMessages"], "20", "{answer}");
}
