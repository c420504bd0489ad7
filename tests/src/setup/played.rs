//! A search server as far as a set-up needs it, of products that no package registry has: those with policies, and Amazon's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rayline::pipeline::HttpGrant;
use rayline::setup::elasticsearch::{Report, install};
use reqwest::Url;
use serde_json::{Value, json};

use super::runtime;
use crate::kibana::recorder::{Answer, Recorder, Seen, says};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Product {
    /// With index lifecycle management.
    Elasticsearch,
    /// Amazon's Elasticsearch 7.10, with index state management by its older name. It answers 401 where it has nothing.
    Amazon,
    /// With index state management.
    OpenSearch,
    /// A collection for searches.
    Serverless,
    /// A collection for time series.
    TimeSeries,
}

/// The months that are there.
pub const MONTHS: [&str; 3] = ["xray-executions-2026.10", "xray-spans-2026.10", "xray-traces-2025.01"];

/// The running server.
pub struct Played {
    recorder: Recorder,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What was put, by its path.
    kept: BTreeMap<String, Value>,
    puts: u64,
    /// The policies as the months have them.
    followed: BTreeMap<String, Value>,
    /// The month that is about to be deleted.
    ends: Option<&'static str>,
}

impl Played {
    pub fn start(product: Product) -> Played {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let recorder = Recorder::start(move |asked| shared.lock().expect("no panic").answer(product, asked));
        Played { recorder, state }
    }

    pub fn url(&self) -> String {
        self.recorder.url()
    }

    /// The requests, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.recorder.seen()
    }

    pub fn setup(&self, retention_days: Option<u32>) -> Report {
        let grant = HttpGrant::new(Url::parse(&self.url()).expect("a URL"));
        runtime().block_on(install(&grant, "xray", retention_days)).expect("a set-up")
    }

    /// What was put there.
    pub fn kept(&self, path: &str) -> Value {
        self.state.lock().expect("no panic").kept.get(path).cloned().unwrap_or_default()
    }

    /// The age at which each month goes.
    pub fn ages(&self) -> Vec<String> {
        let state = self.state.lock().expect("no panic");
        let age = |month: &&str| state.followed.get(*month).and_then(|policy| policy.pointer(AGE)?.as_str());
        MONTHS.iter().map(|month| age(month).unwrap_or("never").to_owned()).collect()
    }

    pub fn ends(&self, month: &'static str) {
        self.state.lock().expect("no panic").ends = Some(month);
    }
}

const AGE: &str = "/policy/states/0/transitions/0/conditions/min_index_age";

impl State {
    fn answer(&mut self, product: Product, asked: &Seen) -> Answer {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let has_ism = match product {
            Product::Amazon => path.starts_with("/_opendistro/_ism/"),
            Product::OpenSearch => path.starts_with("/_plugins/_ism/"),
            _ => false,
        };
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", [""]) => root(product),
            (method, ["_component_template", name]) => self.keep(
                method,
                path,
                body,
                |it| json!({"component_templates": [{"name": name, "component_template": it}]}),
            ),
            ("PUT", ["_index_template", _]) if product == Product::Amazon && asked.body.contains("flattened") => {
                let reason = "No handler for type [flattened] declared on field [annotations]";
                says(400, json!({"error": {"type": "mapper_parsing_exception", "reason": reason}, "status": 400}))
            }
            (method, ["_index_template", name]) => {
                self.keep(method, path, body, |it| json!({"index_templates": [{"name": name, "index_template": it}]}))
            }
            (method, ["_ilm", "policy", name]) if product == Product::Elasticsearch => {
                self.keep(method, path, body, |it| json!({*name: {"version": 1, "policy": it["policy"]}}))
            }
            ("PUT", [_, _, "policies", _]) if has_ism && self.kept.contains_key(path) && query != self.stamp() => {
                says(409, json!({"error": {"type": "version_conflict_engine_exception", "reason": "conflict"}}))
            }
            (method, [_, _, "policies", name]) if has_ism => {
                let number = self.puts;
                self.keep(method, path, body, |it| {
                    let mut policy = it["policy"].clone();
                    policy["policy_id"] = json!(name);
                    policy["schema_version"] = json!(17);
                    json!({"_id": name, "_seq_no": number, "_primary_term": 1, "policy": policy})
                })
            }
            ("POST", [module, ism, verb @ ("add" | "change_policy"), patterns]) if has_ism => {
                assert_eq!(*patterns, "xray-executions-*,xray-traces-*,xray-spans-*");
                let policy = format!("/{module}/{ism}/policies/{}", body["policy_id"].as_str().expect("a policy"));
                self.adopt(verb, &policy)
            }
            ("PUT", [_, "_settings"]) => {
                self.kept.insert(path.to_owned(), body);
                says(200, json!({"acknowledged": true}))
            }
            ("GET", [_, "_settings"]) => {
                let uuid = |month: &&str| ((*month).to_owned(), json!({"settings": {"index": {"uuid": "u"}}}));
                says(200, MONTHS.iter().map(uuid).collect::<serde_json::Map<_, _>>().into())
            }
            ("PUT", [_, "_doc", _]) if product == Product::TimeSeries => {
                let reason = "Document ID is not supported in create/index operation request";
                says(400, json!({"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400}))
            }
            ("PUT", [_, "_doc", _]) | ("DELETE", [_]) => says(200, json!({"acknowledged": true})),
            _ if product == Product::Amazon => {
                says(401, json!({"Message": format!("Your request: '{path}' is not allowed.")}))
            }
            (method, _) => {
                says(400, json!({"error": format!("no handler found for uri [{path}] and method [{method}]")}))
            }
        }
    }

    fn keep(&mut self, method: &str, path: &str, body: Value, seen: impl Fn(&Value) -> Value) -> Answer {
        match (method, self.kept.get(path)) {
            ("GET", Some(kept)) => says(200, seen(kept)),
            ("GET", None) => says(404, json!({"error": {"type": "resource_not_found_exception", "reason": path}})),
            _ => {
                self.puts += 1;
                self.kept.insert(path.to_owned(), body);
                says(200, json!({"acknowledged": true}))
            }
        }
    }

    /// What a change of a policy must name.
    fn stamp(&self) -> String {
        format!("if_seq_no={}&if_primary_term=1", self.puts)
    }

    /// What index state management does, and answers with 200 whatever comes of it.
    fn adopt(&mut self, verb: &str, policy: &str) -> Answer {
        let Some(policy) = self.kept.get(policy).cloned() else {
            return says(404, json!({"error": {"type": "status_exception", "reason": "Could not find policy"}}));
        };
        let mut failed = Vec::new();
        for month in MONTHS {
            let reason = match (verb, self.followed.contains_key(month)) {
                ("add", true) => "This index already has a policy, use the update policy API to update index policies",
                ("change_policy", false) => "This index is not being managed",
                ("change_policy", true) if self.ends == Some(month) => {
                    "Cannot change policy while transitioning to new state"
                }
                _ => {
                    self.followed.insert(month.to_owned(), policy.clone());
                    continue;
                }
            };
            failed.push(json!({"index_name": month, "index_uuid": "u", "reason": reason}));
        }
        let updated = MONTHS.len() - failed.len();
        says(200, json!({"updated_indices": updated, "failures": !failed.is_empty(), "failed_indices": failed}))
    }
}

fn root(product: Product) -> Answer {
    let version = match product {
        Product::Elasticsearch => json!({"number": "8.19.2", "build_flavor": "default"}),
        Product::Amazon => json!({"number": "7.10.2", "build_flavor": "oss"}),
        Product::OpenSearch => json!({"number": "2.19.1", "distribution": "opensearch"}),
        Product::Serverless | Product::TimeSeries => return says(404, json!({"message": "not found"})),
    };
    says(200, json!({"name": "played", "version": version}))
}
