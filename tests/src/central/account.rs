//! Queue, bucket and indices of one test, and what is in them.

use std::collections::BTreeSet;
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};

use crate::e2e::{assert_same, expected, reasons};
use crate::harness::{
    Archived, Documents, Host, Invocation, Letter, World, archive_line, get, letters, metric, workspace,
};
use crate::servers::request::{Answer, request};
use crate::servers::sqs::{REGION, Sqs};
use crate::servers::{Search, elasticmq, moto, unique};

/// A log account. Its pipelines are those that are shipped.
pub struct Account {
    world: World,
    pub queue: String,
    sqs: &'static Sqs,
    bucket: String,
    url: String,
    prefix: String,
}

impl Account {
    /// Whose messages come again so many seconds after their host was killed, with indices of this prefix.
    pub fn new(search: &Search, prefix: &str, visibility_secs: &str) -> Account {
        Account::on(&elasticmq().sqs, search, prefix, visibility_secs)
    }

    /// The same, with its queue on this SQS.
    pub fn on(sqs: &'static Sqs, search: &Search, prefix: &str, visibility_secs: &str) -> Account {
        let account = Account {
            world: World::new(),
            queue: sqs.create_queue(&unique("central"), &[("VisibilityTimeout", visibility_secs)]),
            sqs,
            bucket: unique("central"),
            url: search.url.clone(),
            prefix: prefix.to_owned(),
        };
        moto().create_bucket(&account.bucket);
        // One line more than what is shipped, where the cluster is not the test's own.
        let sink = "plugin = \"elasticsearch-sink\"\n";
        let own = format!("{sink}options.index_prefix = \"{prefix}\"\n");
        for name in ["central", "replay", "replay-to-index", "collect", "direct"] {
            let text = fs::read_to_string(workspace(&format!("pipelines/{name}.toml"))).expect("a pipeline");
            let text = if prefix == "xray" { text } else { text.replace(sink, &own) };
            account.world.write(&format!("pipelines/{name}.toml"), text);
            account.world.share_cache(&format!("data/{name}"));
        }
        account.rayline(&["setup", "elasticsearch", "pipelines/central.toml"]).succeeds().says("created");
        account
    }

    /// Changes texts of a shipped pipeline, each of which it must have.
    pub fn edit(&self, name: &str, changes: &[(&str, &str)]) {
        let file = format!("pipelines/{name}.toml");
        let mut text = fs::read_to_string(self.world.path(&file)).expect("a pipeline");
        for (from, to) in changes {
            assert!(text.contains(*from), "{file} has no {from}");
            text = text.replace(*from, to);
        }
        self.world.write(&file, text);
    }

    /// The host, as the pipelines want its environment.
    pub fn rayline(&self, args: &[&str]) -> Invocation {
        let data_dir = self.world.path("data");
        let variables = [
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL_S3", &moto().url),
            ("AWS_ENDPOINT_URL_STS", &moto().url),
            ("RAYLINE_QUEUE", &self.queue),
            ("RAYLINE_BUCKET", &self.bucket),
            ("RAYLINE_SEARCH", &self.url),
            ("RAYLINE_DATA_DIR", data_dir.to_str().expect("UTF-8")),
            ("RAYLINE_API_ADDRESS", "127.0.0.1:0"),
        ];
        let invocation = self.world.rayline(args).with_credentials();
        variables.iter().fold(invocation, |invocation, (name, value)| invocation.env(name, value))
    }

    /// `rayline run central.toml`
    pub fn central(&self) -> Invocation {
        // At its end it writes hundreds of objects, one after the other, to one process of Python.
        self.rayline(&["run", "pipelines/central.toml"]).env("FAILPOINTS", "drain=return(300)")
    }

    /// Puts messages into the queue, as a collector does.
    pub fn send(&self, messages: &[Vec<u8>]) {
        let name = unique("sent");
        let lines: Vec<u8> = messages.iter().flat_map(|message| archive_line(message)).collect();
        self.world.write(&format!("{name}/messages.ndjson"), lines);
        self.world.share_cache(&format!("data/{name}"));
        self.world.write(
            &format!("{name}.toml"),
            format!(
                r#"
                data_dir = "data/{name}"
                [sources.files]
                plugin = "archive-source"
                grants.objects = "file:{name}"
                [sinks.queue]
                plugin = "queue-sink"
                inputs = ["files"]
                grants.queue = {{ url = "${{RAYLINE_QUEUE}}", claim_check = "s3://${{RAYLINE_BUCKET}}/claims" }}
                "#
            ),
        );
        self.rayline(&["run", &format!("{name}.toml")]).succeeds();
    }

    /// How many messages wait, and how many are held.
    pub fn queued(&self) -> (u64, u64) {
        self.sqs.depth(&self.queue)
    }

    /// Every document, with its version.
    pub fn documents(&self) -> Documents {
        self.search("POST", &format!("{}-*/_refresh", self.prefix), Value::Null);
        let query = json!({ "size": 5_000, "version": true, "sort": ["_doc"] });
        let complete = "scroll=5m&allow_partial_search_results=false";
        let mut page = self.search("POST", &format!("{}-*/_search?{complete}", self.prefix), query);
        let mut documents = Documents::new();
        loop {
            let hits = page["hits"]["hits"].as_array_mut().expect("hits");
            if hits.is_empty() {
                // The server keeps few of them open, and has none of a search without an index.
                if page["_shards"]["total"] != 0 {
                    self.search("DELETE", "_search/scroll", json!({ "scroll_id": page["_scroll_id"] }));
                }
                return documents;
            }
            for hit in hits {
                let id = hit["_id"].as_str().expect("an id").to_owned();
                let version = hit["_version"].as_u64().expect("a version");
                let twice = documents.insert(id, (version, hit["_source"].take()));
                assert!(twice.is_none(), "{} is there twice", hit["_id"]);
            }
            page = self.search("POST", "_search/scroll", json!({ "scroll": "5m", "scroll_id": page["_scroll_id"] }));
        }
    }

    /// Deletes every index, all at once: a host that writes meanwhile finds none that is left.
    pub fn delete_indices(&self) {
        let indices = self.search("GET", &format!("{}-*/_settings", self.prefix), Value::Null);
        let names: Vec<&str> = indices.as_object().expect("indices").keys().map(String::as_str).collect();
        self.search("DELETE", &names.join(","), Value::Null);
    }

    /// Every message of the archive.
    pub fn archived(&self) -> Vec<Archived> {
        self.world.archived(&self.download("raw"))
    }

    /// Every dead letter.
    pub fn letters(&self) -> Vec<Letter> {
        letters(&self.world.path(&self.download("dead")))
    }

    /// The keys of the bucket below a prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().map_or(String::new(), |key| format!("&start-after={}", escaped(key)));
            let listing = moto().s3("GET", &format!("/{}?list-type=2&prefix={prefix}/{after}", self.bucket), "").ok();
            let found =
                listing.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").expect("a key").0.to_owned());
            let before = keys.len();
            keys.extend(found);
            if keys.len() == before {
                return keys;
            }
        }
    }

    /// Puts an object into the bucket.
    pub fn put(&self, key: &str, content: &str) {
        moto().s3("PUT", &format!("/{}/{}", self.bucket, escaped(key)), content).ok();
    }

    /// Copies what is below a prefix of the bucket into a new folder, and returns the folder's name.
    fn download(&self, prefix: &str) -> String {
        let folder = unique("downloaded");
        for key in self.keys(prefix) {
            let object = moto().s3("GET", &format!("/{}/{}", self.bucket, escaped(&key)), "").bytes();
            self.world.write(&format!("{folder}/{key}"), object);
        }
        folder
    }

    fn search(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let url = format!("{}/{path}", self.url);
        for _ in 0..300 {
            match request(method, &url, &headers, body.as_str()) {
                // An index that is new has not started all of its shards.
                Answer { status: 503, .. } => thread::sleep(Duration::from_millis(200)),
                answer => return answer.json(),
            }
        }
        panic!("{url}: not available for a minute");
    }
}

/// What a host has done so far.
pub struct Progress {
    received: f64,
    flattened: f64,
    /// Documents that `flatten` made, and those that the index has.
    pub documents: f64,
    pub indexed: f64,
}

/// Of the host whose api has this address.
pub fn progress(address: &str) -> Option<Progress> {
    let (_, page) = get(address, "/metrics")?;
    let count = |name: &str, stage: &str| metric(&page, &[name, &format!("component_id=\"{stage}\"")]);
    Some(Progress {
        received: count("component_received_events_total{", "inbox")?,
        flattened: count("component_received_events_total{", "flatten")?,
        documents: count("component_sent_events_total{", "flatten")?,
        indexed: count("component_sent_events_total{", "index")?,
    })
}

/// Waits until this host has received so many messages, and the index has what came of them. The archive's batch is open
/// then, so none is settled.
pub fn until_indexed(host: &mut Host, messages: usize) {
    let address = host.address();
    host.until("all documents in the index", |_| {
        let Progress { received, flattened, documents, indexed } = progress(&address)?;
        (received >= messages as f64 && flattened >= received && indexed == documents).then_some(())
    });
}

/// All of these messages are archived, and only they; the index has their documents as the specification says, none
/// missing and none more; the dead letter has what cannot be read, and only that; the queue is empty. Returns the
/// documents.
pub fn assert_complete(account: &Account, sent: &[Vec<u8>]) -> Documents {
    let archived = account.archived();
    let payloads: BTreeSet<&Vec<u8>> = archived.iter().map(|message| &message.raw).collect();
    let sent: BTreeSet<&Vec<u8>> = sent.iter().collect();
    assert!(payloads == sent, "the archive has {} different messages of {}", payloads.len(), sent.len());
    let (documents, rejections) = expected(&archived);
    assert_same(&account.documents(), &documents);
    assert_eq!(reasons(&account.letters()), rejections);
    assert_eq!(account.queued(), (0, 0), "the queue is empty");
    documents
}

fn escaped(key: &str) -> String {
    key.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
