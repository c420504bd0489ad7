//! Collectors of one test: the endpoint, event queues, the hosts and what they leave behind.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, Manners, Place};
use super::organisation::{Event, Expected, Organisation};
use crate::harness::{Archived, Documents, Host, Invocation, PATIENCE, World, lines};
use crate::servers::sqs::REGION;

/// The account of the credentials at hand.
pub const OWN: &str = "123456789012";

/// Options of `xray-source` that suit an organisation in which late means a few seconds.
pub const OPTIONS: &str = "retry_secs = [1, 2, 2, 3]\nquiet_secs = 8";

/// One that collects the account whose credentials are at hand into an archive and documents, all in files. Hosts of one site
/// share the event queue and what they write.
pub struct Site {
    pub world: World,
    pub fake: Fake,
    pub place: Place,
}

impl Site {
    pub fn new(manners: Manners) -> Site {
        let fake = Fake::start(manners, None);
        fake.knows("AKIDEXAMPLE", OWN);
        Site { world: World::new(), fake, place: Place::new(OWN, REGION) }
    }

    /// Starts a collector with a `data_dir` of this name: `plugin` and options of its source, as TOML.
    pub fn start(&self, name: &str, plugin: &str, options: &str) -> Host {
        self.invocation(name, plugin, options).start()
    }

    /// The same, not yet started.
    pub fn invocation(&self, name: &str, plugin: &str, options: &str) -> Invocation {
        self.world.share_cache(&format!("data/{name}"));
        self.world.write(
            &format!("{name}.toml"),
            format!(
                r#"
                data_dir = "data/{name}"
                api.address = "127.0.0.1:0"

                [sources.collected]
                {plugin}

                [sources.collected.options]
                {options}

                [sinks.archive]
                plugin = "archive-sink"
                inputs = ["collected"]
                grants.objects = "file:archive"
                batch = {{ timeout_secs = 1, group_by = ["account", "region"] }}

                [transforms.flatten]
                plugin = "flatten"
                inputs = ["collected"]

                [sinks.documents]
                plugin = "file-sink"
                inputs = ["flatten"]
                grants.objects = "file:documents"
                options.format = "event"
                batch.timeout_secs = 0.5
                "#
            ),
        );
        with_aws(self.world.rayline(&["run", &format!("{name}.toml")]), &self.fake, &self.fake.url)
    }

    /// Everything of these events is sent as it happens; those that come later are sent when they come.
    pub fn send(&self, events: &[Event]) {
        let mut sent = Duration::ZERO;
        for group in events.chunk_by(|a, b| a.after == b.after) {
            std::thread::sleep(group[0].after.saturating_sub(sent));
            sent = group[0].after.max(sent);
            let bodies: Vec<String> = group.iter().filter(|it| !it.is_lost).map(|it| it.body.to_string()).collect();
            self.send_bodies(&bodies);
        }
    }

    /// Messages as they are.
    pub fn send_bodies(&self, bodies: &[String]) {
        if !bodies.is_empty() {
            self.world.send("events.queue", bodies);
        }
    }

    /// Of two documents of one version, which a moment apart were fetched twice, either one.
    pub fn documents(&self) -> Documents {
        let mut documents = Documents::new();
        for (_, line) in lines(&self.world.path("documents")) {
            let mut line: Value = serde_json::from_str(&line).expect("JSON");
            let version = line["version"].as_u64().expect("a version");
            let id = line["id"].as_str().expect("an id").to_owned();
            if documents.get(&id).is_none_or(|(other, _)| *other <= version) {
                documents.insert(id, (version, line["body"].take()));
            }
        }
        documents
    }

    pub fn archived(&self) -> Vec<Archived> {
        self.world.archived("archive")
    }

    /// Waits until the documents say of each execution what happened.
    pub fn until_all_is_known(&self, host: &mut Host, organisation: &Organisation) {
        until_all_is_known(host, organisation, || self.documents());
    }
}

/// `xray-source` with the event queue of a site.
pub const XRAY_SOURCE: &str = r#"plugin = "xray-source"
                grants.xray = {}
                grants.events = { url = "file:events.queue", visibility_secs = 3 }"#;

/// The environment of a host that reaches AWS: the endpoint of X-Ray and Step Functions, and this STS.
pub fn with_aws(invocation: Invocation, fake: &Fake, sts: &str) -> Invocation {
    with_endpoints(invocation.with_credentials(), fake, sts)
}

/// The same without credentials.
pub fn with_endpoints(invocation: Invocation, fake: &Fake, sts: &str) -> Invocation {
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ENDPOINT_URL_XRAY", &fake.url),
        ("AWS_ENDPOINT_URL_SFN", &fake.url),
        ("AWS_ENDPOINT_URL_STS", sts),
    ];
    variables.iter().fold(invocation, |invocation, (name, value)| invocation.env(name, value))
}

/// Waits until the documents say of each execution what happened, and shows what is wrong where that never comes.
pub fn until_all_is_known(host: &mut Host, organisation: &Organisation, documents: impl Fn() -> Documents) {
    let patience = std::time::Instant::now();
    host.until("a document of each execution that says what happened", |_| {
        std::thread::sleep(Duration::from_millis(500));
        let wrong = wrong(organisation, &documents());
        let shown: Vec<&String> = wrong.iter().take(10).collect();
        let is_late = patience.elapsed() > PATIENCE - Duration::from_secs(20);
        assert!(!is_late, "{} of {} are not known yet: {shown:#?}", wrong.len(), organisation.expected.len());
        wrong.is_empty().then_some(())
    });
}

/// Everything that documents do not say as it happened: executions that have none or a wrong one, and documents of executions
/// that there never were.
pub fn wrong(organisation: &Organisation, documents: &Documents) -> Vec<String> {
    let mut wrong = Vec::new();
    for (arn, expected) in &organisation.expected {
        match documents.get(arn) {
            None => wrong.push(format!("there is no document of {arn}: {expected:?}")),
            Some((_, body)) => {
                let (found, wanted) = (said(body, expected), whole(expected));
                if found != wanted {
                    wrong.push(format!("{arn}: {found} instead of {wanted}"));
                }
            }
        }
    }
    let executions = documents.iter().filter(|(_, (_, body))| body["doc.kind"] == "execution");
    let ghosts = executions.filter(|(id, _)| !organisation.expected.contains_key(*id));
    wrong.extend(ghosts.map(|(id, _)| format!("there was no {id}")));
    wrong
}

/// Of a document what [`Expected`] knows.
fn said(body: &Value, expected: &Expected) -> Value {
    let names = [
        "execution.type",
        "execution.status",
        "execution.start",
        "execution.stop",
        "event.duration",
        "execution.input",
        "execution.output",
        "cloud.account.id",
        "cloud.region",
        "xray.collector.account.id",
        "xray.collector.region",
        "xray.verdict",
    ];
    let mut said: Value = names.iter().map(|name| ((*name).to_owned(), body[*name].clone())).collect();
    if expected.services.is_some() {
        said["services"] = body["services"].clone();
    }
    if expected.kind == "STANDARD" {
        said["execution.redrive_count"] = body["execution.redrive_count"].clone();
    }
    said
}

/// What a document must say.
fn whole(expected: &Expected) -> Value {
    let micros = |seconds: f64| (seconds * 1e6).round() as i64;
    let date = |seconds: f64| format!("{:.6}", jiff::Timestamp::from_microsecond(micros(seconds)).expect("a time"));
    let mut whole = json!({
        "execution.type": expected.kind,
        "execution.status": expected.status,
        "execution.start": date(expected.start),
        "execution.stop": expected.stop.map(date),
        "event.duration": expected.stop.map(|stop| (micros(stop) - micros(expected.start)) * 1_000),
        "execution.input": expected.input,
        "execution.output": expected.output,
        "cloud.account.id": expected.place.account,
        "cloud.region": expected.place.region,
        "xray.collector.account.id": expected.place.account,
        "xray.collector.region": expected.place.region,
        "xray.verdict": expected.verdict,
    });
    if let Some(services) = &expected.services {
        whole["services"] = json!(services);
    }
    if expected.kind == "STANDARD" {
        whole["execution.redrive_count"] = json!(expected.redrives);
    }
    whole
}

/// The messages of an archive as JSON.
pub fn messages(archived: &[Archived]) -> Vec<Value> {
    archived.iter().map(|message| serde_json::from_slice(&message.raw).expect("JSON")).collect()
}
