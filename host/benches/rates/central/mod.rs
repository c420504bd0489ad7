//! The log account's pipeline as it is shipped, `pipelines/central.toml`, as a process of its own: SQS, an archive on S3,
//! documents in an index.
//!
//! Against an index that only answers it is the host that is measured; against a real one, how little of a core the host
//! takes when the cluster is what limits. SQS and S3 are in the bench's own process and do as little as they can: a real
//! one, in Java or Python, would take more of the machine than the host does.
//!
//! - `account`: queue, bucket, index, and runs of the pipeline on them. `fake`: those that only answer.
//! - `profile`: where the host's CPU time goes. `flame`: the same as a picture.

mod account;
mod fake;
mod flame;
mod profile;

use std::panic::catch_unwind;

use anyhow::{Result, ensure};

use self::account::{Account, Run};
use self::fake::{Index, Messages};
use self::profile::Class;
use crate::Place;
use crate::clock::least;
use crate::component::Components;
use crate::corpus::Corpus;
use crate::report::{Aim, Report};
use crate::servers::{Engine, Search, Settings, search_with};

/// Enough for 20 seconds.
const BYTES: usize = 384 << 20;
const ROUNDS: usize = 2;

/// What goes through with the profiler on, and through a real cluster; first a few, so that components are compiled,
/// indices made, and a cluster's own code is compiled too.
const PROFILED_BYTES: usize = 128 << 20;
const CLUSTER_BYTES: usize = 24 << 20;
const FIRST_BYTES: usize = 4 << 20;

/// Measures the pipeline against an index that only answers, and against Elasticsearch.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let corpus = Corpus::samples(&place.root, BYTES)?;
    let per_byte = corpus.messages.len() as f64 / corpus.bytes() as f64;
    let megabytes = corpus.bytes() as f64 / 1e6;
    let messages = Messages::new(corpus);
    let first = |bytes: usize| messages.first((bytes as f64 * per_byte) as usize);

    let index = Index::serve(components.runtime())?;
    let account = Account::new(place, components, "central", &index.url)?;
    account.run(&first(FIRST_BYTES))?;
    index.reset();
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        let run = account.run(&messages)?;
        ensure!(index.reset() == run.documents, "the index has not the {} documents of the host", run.documents);
        runs.push(run);
    }
    let documents = runs.first().map_or(0.0, |run| run.documents as f64);
    let best = |of: fn(&Run) -> f64| least(runs.iter().map(of));
    let seconds = best(|run| run.seconds);
    let rate = documents / seconds;
    let title = "central, index that only answers";
    report.tell(format!("{title}: messages a second, wall time"), messages.len() as f64 / seconds, "/s");
    report.tell(format!("{title}: megabytes of messages a second, wall time"), megabytes / seconds, "MB/s");
    report.tell(format!("{title}: documents a second, wall time"), rate, "/s");
    let cpu = best(|run| run.cpu) / documents * 1e6;
    report.tell(format!("{title}: CPU seconds for a million documents"), cpu, "s");
    let peak = runs.iter().map(|run| run.peak).fold(0.0, f64::max) / 1e6;
    report.tell(format!("{title}: peak memory"), peak, "MB");

    match profile::of(place, &account, &first(PROFILED_BYTES))? {
        None => eprintln!("skipped: where the time goes, since there is no `perf` that may be used here"),
        Some(profile) => {
            for class in Class::ALL {
                report.tell(format!("{title}: share of CPU time, {}", class.name()), profile.share(class), "%");
            }
            profile.write(place)?;
        }
    }
    drop(account);

    match cluster() {
        None => eprintln!("skipped: the pipeline against Elasticsearch, which does not run here"),
        Some(server) => against(&server, place, components, report, &first, rate)?,
    }
    Ok(())
}

/// Elasticsearch as the tests have it; what it lacks here it says itself.
fn cluster() -> Option<Search> {
    catch_unwind(|| search_with(Engine::Elasticsearch8, Settings::default())).ok()
}

fn against(
    server: &Search,
    place: &Place,
    components: &Components,
    report: &mut Report,
    first: &impl Fn(usize) -> Messages,
    rate_alone: f64,
) -> Result<()> {
    let account = Account::new(place, components, "cluster", &server.url)?;
    account.set_up()?;
    account.run(&first(FIRST_BYTES))?;
    for index in
        server.get("/xray-*/_settings?filter_path=*.settings.index.uuid").json().as_object().into_iter().flatten()
    {
        server.request("DELETE", &format!("/{}", index.0), "").ok();
    }
    let run = account.run(&first(CLUSTER_BYTES))?;
    server.request("POST", "/xray-*/_refresh", "").ok();
    let count = server.get("/xray-*/_count?filter_path=count").json();
    let there = count.get("count").and_then(serde_json::Value::as_u64).unwrap_or_default();
    // The copies of a message share the document of their execution.
    ensure!((run.documents / 2..=run.documents).contains(&there), "the cluster has {there} of {}", run.documents);
    let rate = run.documents as f64 / run.seconds;
    let title = format!("central, Elasticsearch {}", Engine::Elasticsearch8.version());
    report.tell(format!("{title}: documents a second, wall time"), rate, "/s");
    report.tell(format!("{title}: rate against the index that only answers"), rate / rate_alone, "");
    let share = run.cpu_then / run.seconds * 100.0;
    report.aim(format!("{title}: the host's share of a core"), share, "%", Aim::Under(20.0));
    report.tell(format!("{title}: peak memory"), run.peak / 1e6, "MB");
    Ok(())
}
