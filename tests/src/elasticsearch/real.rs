//! Real servers.

use std::fs;

use serde_json::{Value, json};

use super::{files, pipeline, refused};
use crate::e2e::assert_same;
use crate::harness::{Documents, World, generated, get, lines, metric, workspace};
use crate::servers::{Engine, Search, search, unique};

/// Indexes of one test, on one server.
struct Indexes {
    server: &'static Search,
    prefix: String,
}

impl Indexes {
    /// With this mapping of fields; what it does not name is kept and not indexed.
    fn new(engine: Engine, fields: &Value) -> Indexes {
        println!("{engine:?}");
        let indexes = Indexes { server: search(engine), prefix: unique("sink") };
        indexes.map(fields);
        indexes
    }

    /// Indexes made from now on have this mapping.
    fn map(&self, fields: &Value) {
        let template = json!({
            "index_patterns": [format!("{}-*", self.prefix)],
            "template": {
                "settings": { "number_of_shards": 1, "number_of_replicas": 0 },
                "mappings": { "dynamic": false, "properties": fields },
            },
        });
        self.server.request("PUT", &format!("/_index_template/{}", self.prefix), template.to_string()).ok();
    }

    /// The index stage's part of a pipeline.
    fn stage(&self, more: &str) -> String {
        format!("grants.http = {:?}\noptions.index_prefix = {:?}\n{more}", self.server.url, self.prefix)
    }

    fn set(&self, settings: &Value) {
        self.server.request("PUT", &format!("/{}-*/_settings", self.prefix), settings.to_string()).ok();
    }

    /// All at once: a host that writes meanwhile finds none that is left.
    fn delete(&self) {
        let found = self.server.get(&format!("/{}-*/_settings", self.prefix)).json();
        let names: Vec<&str> = found.as_object().expect("indexes").keys().map(String::as_str).collect();
        self.server.request("DELETE", &format!("/{}", names.join(",")), "").ok();
    }

    fn documents(&self) -> Documents {
        self.server.request("POST", &format!("/{}-*/_refresh", self.prefix), "").ok();
        let query = json!({ "size": 10_000, "version": true }).to_string();
        let mut found = self.server.request("POST", &format!("/{}-*/_search", self.prefix), query).json();
        let hits = found["hits"]["hits"].as_array_mut().expect("hits");
        let document = |hit: &mut Value| {
            let version = hit["_version"].as_u64().expect("a version");
            (hit["_id"].as_str().expect("an id").to_owned(), (version, hit["_source"].take()))
        };
        hits.iter_mut().map(document).collect()
    }
}

#[test]
fn the_same_bulk_on_every_server() {
    const BAD: &str = "aws.operation";
    for engine in Engine::ALL {
        let indexes = Indexes::new(engine, &json!({ "@timestamp": { "type": "date" }, BAD: { "type": "integer" } }));
        let world = World::new();
        let source = files(&world, "messages", &generated(38));
        // Twice: what is there already stays as it is.
        for run in 1..=2 {
            let (data_dir, documents) = (format!("data/{run}"), format!("documents/{run}"));
            world.share_cache(&data_dir);
            world.run(&pipeline(&data_dir, &source, &documents, &indexes.stage("")));
            let (mut expected, mut wrong) = (Documents::new(), 0);
            for (_, line) in lines(&world.path(&documents)) {
                let mut event: Value = serde_json::from_str(&line).expect("JSON");
                if event["body"].get(BAD).is_some() {
                    wrong += 1;
                    continue;
                }
                let version = event["version"].as_u64().expect("a version");
                let id = event["id"].as_str().expect("an id").to_owned();
                if expected.get(&id).is_none_or(|(other, _)| version >= *other) {
                    expected.insert(id, (version, event["body"].take()));
                }
            }
            assert!(expected.len() > 200 && wrong > 5, "{} and {wrong}", expected.len());
            assert_same(&indexes.documents(), &expected);
            let letters = refused(&world.path(&format!("{data_dir}/dead-letter")));
            assert_eq!(letters.len(), wrong);
            for letter in letters {
                assert!(letter.reason.starts_with("400: ") && letter.reason.contains(BAD), "{}", letter.reason);
            }
        }
    }
}

#[test]
fn late_data_replaces_and_an_old_replay_does_not() {
    for engine in Engine::ALL {
        let indexes = Indexes::new(engine, &json!({}));
        let world = World::new();
        let run = |number: usize, sample: &str| {
            let message = fs::read(workspace("samples/messages").join(sample)).expect("a sample");
            let (data_dir, documents) = (format!("data/{number}"), format!("documents/{number}"));
            let source = files(&world, &format!("messages/{number}"), &[message]);
            world.share_cache(&data_dir);
            world.run(&pipeline(&data_dir, &source, &documents, &indexes.stage("")));
            assert!(refused(&world.path(&format!("{data_dir}/dead-letter"))).is_empty());
            world.documents(&documents)
        };
        let early = run(1, "standard-late-1-partial.json");
        assert_same(&indexes.documents(), &early);
        let late = run(2, "standard-late-2-settled.json");
        let replaced = early.iter().filter(|(id, it)| late.get(*id).is_some_and(|other| other.0 > it.0)).count();
        assert!(replaced > 1, "{replaced}");
        let mut both = early;
        both.extend(late);
        assert_same(&indexes.documents(), &both);
        run(3, "standard-late-1-partial.json");
        assert_same(&indexes.documents(), &both);
    }
}

#[test]
fn an_index_without_room_on_its_disk_is_waited_for() {
    for engine in Engine::ALL {
        let indexes = Indexes::new(engine, &json!({}));
        let world = World::new();
        let source = files(&world, "messages", &generated(38));
        world.share_cache("data/1");
        world.run(&pipeline("data/1", &source, "documents", &indexes.stage("")));
        // What a server does to the indexes on a disk that is full.
        indexes.set(&json!({ "index.blocks.read_only_allow_delete": true }));
        let mut host = world.start(&pipeline("data", &source, "again", &indexes.stage("")));
        host.until_it_says("/12/");
        indexes.set(&json!({ "index.blocks.read_only_allow_delete": null }));
        host.ends().with_code(0);
        assert!(refused(&world.path("data/dead-letter")).is_empty());

        // A month that somebody has closed to writing does not hold up the others.
        indexes.set(&json!({ "index.blocks.write": true }));
        let ended = {
            world.share_cache("data/3");
            world.write("pipeline.toml", pipeline("data/3", &source, "more", &indexes.stage("")));
            world.rayline(&["run", "pipeline.toml"]).ends()
        };
        ended.with_code(3).says("index write (api)");
        assert_same(&indexes.documents(), &world.documents("documents"));
    }
}

#[test]
fn a_wrong_template_holds_the_queue_until_it_is_right() {
    for engine in [Engine::Elasticsearch8, Engine::OpenSearch3] {
        let indexes = Indexes::new(engine, &json!({ "doc.kind": { "type": "integer" } }));
        let world = World::new();
        world.send("in.queue", &generated(114));
        let source = "plugin = \"queue-source\"\ngrants.queue = \"file:in.queue\"";
        // The breaker wants a hundred documents to judge by: they come at once.
        let index = indexes.stage("batch = { max_events = 500, timeout_secs = 10 }");
        let mut host = world.start(&pipeline("data", source, "documents", &index));
        let address = host.address();
        let held = || {
            let (_, page) = get(&address, "/metrics")?;
            let paused = metric(&page, &["component_paused{", "component_id=\"index\""])?;
            let queued = |state| metric(&page, &["queue_messages{", state]);
            Some((paused, queued("state=\"visible\"")? + queued("state=\"invisible\"")?))
        };
        host.until("a paused stage", |_| held().filter(|(paused, _)| *paused == 1.0));
        let queued = held().map_or(0.0, |(_, queued)| queued);
        assert!(queued >= 100.0, "only what `flatten` rejects has left the queue, {queued} are there");
        assert_eq!(get(&address, "/health").map(|(status, _)| status), Some(503));

        indexes.map(&json!({ "doc.kind": { "type": "keyword" } }));
        indexes.delete();
        host.until("an empty queue", |_| held().filter(|held| *held == (0.0, 0.0)));
        host.stops().says("an event passed");
        assert!(refused(&world.path("data/dead-letter")).is_empty());
        assert_same(&indexes.documents(), &world.documents("documents"));
    }
}
