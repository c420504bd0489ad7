//! An Elasticsearch with its security on.

use super::{files, pipeline};
use crate::harness::{World, generated};
use crate::servers::search::authority;
use crate::servers::{Engine, Search, Settings, search_with};

const PASSWORD: &str = "correct horse";
const RIGHT: &str = r#"{ basic = { user = "elastic", password = "${SEARCH_PASSWORD}" } }"#;

struct Secured {
    world: World,
    server: Search,
}

impl Secured {
    /// Writes `pipeline.toml` with an index in the server.
    fn write(&self, name: &str, auth: &str, more: &str) {
        let source = files(&self.world, "messages", &generated(12));
        let grant = format!("grants.http = {{ urls = [{:?}], auth = {auth}{more} }}", self.server.url);
        let index = format!("{grant}\noptions.index_prefix = {name:?}");
        self.world.share_cache(&format!("data/{name}"));
        self.world.write(
            &format!("{name}.toml"),
            pipeline(&format!("data/{name}"), &source, &format!("documents/{name}"), &index),
        );
    }

    fn count(&self, name: &str) -> u64 {
        self.server.request("POST", &format!("/{name}-*/_refresh"), "").ok();
        self.server.get(&format!("/{name}-*/_count")).json()["count"].as_u64().expect("a count")
    }
}

#[test]
fn passwords_tokens_and_certificates() {
    let server = search_with(Engine::Elasticsearch8, Settings { password: Some(PASSWORD), tls: true });
    let secured = Secured { world: World::new(), server };
    let trusted = format!(", ca_file = {:?}", authority());
    let rayline = |args: &[&str]| secured.world.rayline(args).env("SEARCH_PASSWORD", PASSWORD);

    secured.write("password", RIGHT, &trusted);
    rayline(&["setup", "elasticsearch", "password.toml"]).succeeds().says("created");
    rayline(&["validate", "password.toml"]).succeeds().says("index templates in place");
    rayline(&["run", "password.toml"]).succeeds();
    assert!(secured.count("password") > 50);

    // Of the accounts whose tokens can be made here, one that may write the indices `traces-*` and no templates.
    let token = format!("{{ bearer = {:?} }}", secured.server.service_token("elastic/fleet-server"));
    secured.write("traces-token", &token, &trusted);
    rayline(&["setup", "elasticsearch", "traces-token.toml"]).ends().with_code(1).says("403");
    secured.write("traces-token", RIGHT, &trusted);
    rayline(&["setup", "elasticsearch", "traces-token.toml"]).succeeds();
    secured.write("traces-token", &token, &trusted);
    rayline(&["validate", "traces-token.toml"]).succeeds().says("index templates in place");
    rayline(&["run", "traces-token.toml"]).succeeds();
    assert_eq!(secured.count("traces-token"), secured.count("password"));

    let wrong = RIGHT.replace("${SEARCH_PASSWORD}", "battery staple");
    secured.write("wrong", &wrong, &trusted);
    for command in [&["run", "wrong.toml"][..], &["validate", "wrong.toml"], &["setup", "elasticsearch", "wrong.toml"]]
    {
        let ended = rayline(command).ends();
        assert!(!ended.stderr.contains("battery staple"), "{}", ended.stderr);
        ended.with_code(1).says("401");
    }

    // Nobody knows this authority.
    secured.write("unknown", RIGHT, "");
    for command in [&["validate", "unknown.toml"][..], &["setup", "elasticsearch", "unknown.toml"]] {
        rayline(command).ends().with_code(1).says("certificate");
    }
}
