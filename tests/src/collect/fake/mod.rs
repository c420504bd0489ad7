//! X-Ray and Step Functions, as AWS answers on a bad day: moto lacks most of both. It speaks the real protocols to the real
//! SDK, and each answer is held against AWS's own API models where they are there.
//!
//! - `server`: requests, who asks, faults, answers.
//! - `xray`, `states`: the two services. `sts`: roles, where moto's are not wanted. `filter`: which summaries a filter expression wants.
//! - `store`: what was put into it, and what of that can be seen by now.
//! - `manners`: how badly it behaves, and chance that is the same in each run.
//! - `shapes`: the API models, and whether a value is what they say.
//!
//! What a test puts in appears as time goes by; a test that does not want to wait skips ahead.

mod filter;
mod manners;
mod server;
mod shapes;
mod states;
mod store;
pub mod sts;
mod xray;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub use manners::Manners;
pub use server::Calls;
pub use store::{Arrival, Execution, Machine, Place, Trace};

use server::Shared;

/// A running endpoint, for any number of accounts and regions. When it is dropped, the test fails if anything that was said
/// is not as the API models want it.
pub struct Fake {
    /// Its address, without a slash at the end: what `AWS_ENDPOINT_URL_XRAY`, `AWS_ENDPOINT_URL_SFN`
    /// and, unless moto gives out roles, `AWS_ENDPOINT_URL_STS` are set to.
    pub url: String,
    shared: Arc<Shared>,
}

impl Fake {
    /// Asks this STS whose an access key is, unless [`Fake::knows`] it or gave it out itself.
    pub fn start(manners: Manners, sts: Option<&str>) -> Fake {
        let shared = Arc::new(Shared::new(manners, sts));
        let serving = shared.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(server::serve(listener, serving));
        });
        Fake { url, shared }
    }

    /// This access key is of that account.
    pub fn knows(&self, access_key: &str, account: &str) {
        self.shared.accounts.lock().expect("no server fails here").insert(access_key.to_owned(), account.to_owned());
    }

    /// Roles of this account are assumed only with this external id; if that is empty, never.
    pub fn guards(&self, account: &str, external_id: &str) {
        let external_ids = &mut self.shared.roles.lock().expect("no server fails here").external_ids;
        external_ids.insert(account.to_owned(), external_id.to_owned());
    }

    /// Credentials that it gives out from now on last so long, and are refused then.
    pub fn gives_out_for(&self, life: Duration) {
        self.shared.roles.lock().expect("no server fails here").life = life;
    }

    /// How often it gave out credentials.
    pub fn given(&self) -> u64 {
        self.shared.roles.lock().expect("no server fails here").given
    }

    /// Transaction Search is on in this account: its traces are in logs, and of so large a share in X-Ray too.
    pub fn searches(&self, account: &str, indexed: f64) {
        self.shared.store.lock().expect("no server fails here").search.insert(account.to_owned(), indexed);
    }

    pub fn put_machine(&self, place: &Place, machine: Machine) {
        self.shared.store.lock().expect("no server fails here").put_machine(place, machine);
    }

    /// From now on; what it says of itself later comes later.
    pub fn put_execution(&self, place: &Place, execution: Execution) {
        let now = self.shared.clock.now();
        self.shared.store.lock().expect("no server fails here").put_execution(place, execution, now);
    }

    /// Its segments arrive from now on. A trace that is there gets them too.
    pub fn put_trace(&self, place: &Place, trace: Trace) {
        let now = self.shared.clock.now();
        self.shared.store.lock().expect("no server fails here").put_trace(place, trace, now);
    }

    /// From now on time passes by [`Fake::skip`] alone.
    pub fn stop_clock(&self) {
        self.shared.clock.stop();
    }

    /// What arrives within this time from now has arrived.
    pub fn skip(&self, time: Duration) {
        self.shared.clock.skip(time);
    }

    /// By account, region and API.
    pub fn calls(&self) -> BTreeMap<(String, String, String), Calls> {
        self.shared.calls.lock().expect("no server fails here").clone()
    }

    /// How often this API was asked, in all accounts.
    pub fn asked(&self, api: &str) -> u64 {
        self.calls().iter().filter(|((_, _, name), _)| name == api).map(|(_, calls)| calls.asked).sum()
    }

    /// What X-Ray holds of a trace at the end of time, as `BatchGetTraces` would answer.
    pub fn whole_trace(&self, place: &Place, id: &str) -> Option<Value> {
        self.shared.store.lock().expect("no server fails here").trace(place, id, Duration::MAX)
    }

    /// Everything that was asked or answered and is not as the API models say.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().expect("no server fails here").clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(self.violations(), [] as [String; 0], "not what the API models say");
        }
    }
}

/// Time that a test can skip and stop.
struct Clock {
    started: std::time::Instant,
    stopped: OnceLock<Duration>,
    skipped: Mutex<Duration>,
}

impl Clock {
    fn start() -> Clock {
        Clock { started: std::time::Instant::now(), stopped: OnceLock::new(), skipped: Mutex::default() }
    }

    fn now(&self) -> Duration {
        let passed = self.stopped.get().copied().unwrap_or_else(|| self.started.elapsed());
        passed + *self.skipped.lock().expect("no server fails here")
    }

    fn stop(&self) {
        self.stopped.get_or_init(|| self.started.elapsed());
    }

    fn skip(&self, time: Duration) {
        *self.skipped.lock().expect("no server fails here") += time;
    }
}
