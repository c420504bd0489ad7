//! Collection from twenty accounts whose services take 200 ms for each call, and with a million executions that wait on the
//! event queue.
//!
//! X-Ray and Step Functions are those of the tests, in the bench's own process. They take so many calls a second of each API
//! in each account and throttle the rest.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Place;
use crate::component::Components;
use crate::fake::{Arrival, Execution, Fake, Manners, Place as Site, Trace};
use crate::host::{Host, rayline};
use crate::pipeline::fill;
use crate::report::{Aim, Report};

const ACCOUNTS: usize = 20;
const REGION: &str = "eu-west-1";
const EXECUTIONS: usize = 6_000;
const LATENCY: Duration = Duration::from_millis(200);
/// Calls a second: what Step Functions takes of DescribeExecution in the smaller regions.
const RATE: f64 = 10.0;

/// How many wait, and for how long a collector works on them.
const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const WAITING: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(100);
/// A collector that hands over nothing for so long will not.
const STUCK: Duration = Duration::from_secs(120);

/// Measures both.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    rate(place, components, report)?;
    let few = waiting(place, components, FEW)?;
    let many = waiting(place, components, MANY)?;
    report.tell(format!("collect, {FEW} wait: peak memory"), few.peak / 1e6, "MB");
    report.tell(format!("collect, {MANY} wait: peak memory"), many.peak / 1e6, "MB");
    report.aim(format!("collect, {MANY} wait: peak memory against {FEW}"), many.peak / few.peak, "", Aim::Under(1.25));
    report.tell(format!("collect, {MANY} wait: sent again a second, wall time"), many.rate, "/s");
    Ok(())
}

fn rate(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let manners = Manners { latency: LATENCY, rate: Some(RATE), ..Manners::good() };
    let fake = Fake::start(manners, None);
    fake.knows("AKIDEXAMPLE", &account(0));
    let executions: Vec<Ended> = (0..EXECUTIONS).map(Ended::new).collect();
    executions.iter().for_each(|execution| execution.put(&fake));
    let collector = Collector::new(place, "collect", &fake.url)?;
    let events: Vec<Vec<u8>> = executions.iter().map(|execution| execution.event().into_bytes()).collect();
    fill(components, &collector.home.join("events.queue"), &events)?;

    let host = collector.start()?;
    let (mut begin, mut moved) = (None, (0, Instant::now()));
    let (mut in_flight, mut asked, mut handed_over) = (Vec::new(), Vec::new(), 0);
    while handed_over < EXECUTIONS as u64 {
        sleep(LOOK);
        host.cpu()?;
        ensure!(moved.1.elapsed() < STUCK, "the collector is stuck at {handed_over}:\n{}", host.said());
        let Some(metrics) = host.metrics() else { continue };
        let calls = fake.asked("DescribeExecution");
        if calls == 0 {
            continue;
        }
        begin.get_or_insert_with(Instant::now);
        asked.push((Instant::now(), taken(&fake)));
        in_flight.push(metrics.sum("xray_calls_in_flight{"));
        handed_over = metrics.count(&["component_sent_events_total{", "\"collected\""]).unwrap_or_default();
        if handed_over > moved.0 {
            moved = (handed_over, Instant::now());
        }
    }
    let seconds = begin.context("nothing was asked")?.elapsed().as_secs_f64();
    let used = host.end()?;
    let title = format!("collect, {ACCOUNTS} accounts, 200 ms a call");
    report.tell(format!("{title}: executions a second, wall time"), EXECUTIONS as f64 / seconds, "/s");
    let mean = in_flight.iter().sum::<f64>() / in_flight.len() as f64;
    report.tell(format!("{title}: calls in flight, mean"), mean, "");
    report.tell(format!("{title}: calls in flight, most"), in_flight.iter().copied().fold(0.0, f64::max), "");
    // Without the start, which spends what had been saved up, and the end, where some accounts are done.
    let middle = asked.get(asked.len() / 5..asked.len() * 4 / 5).unwrap_or_default();
    if let (Some((from, before)), Some((to, after))) = (middle.first(), middle.last()) {
        let taken = (after - before) as f64 / to.duration_since(*from).as_secs_f64();
        let share = taken / (RATE * ACCOUNTS as f64);
        report.aim(format!("{title}: share of DescribeExecution's rate that is used"), share, "", Aim::AtLeast(0.8));
    }
    let throttled: u64 = fake.calls().values().map(|calls| calls.throttled).sum();
    let all: u64 = fake.calls().values().map(|calls| calls.asked).sum();
    report.tell(format!("{title}: share of calls that is throttled"), throttled as f64 / all as f64, "");
    report.tell(format!("{title}: CPU seconds for a thousand executions"), used.cpu / EXECUTIONS as f64 * 1e3, "s");
    report.tell(format!("{title}: peak memory"), used.peak / 1e6, "MB");
    Ok(())
}

/// Calls of DescribeExecution that were answered.
fn taken(fake: &Fake) -> u64 {
    let calls = fake.calls();
    let described = calls.iter().filter(|((_, _, api), _)| api == "DescribeExecution");
    described.map(|(_, calls)| calls.asked - calls.throttled).sum()
}

struct Waiting {
    peak: f64,
    rate: f64,
}

/// A collector with so many executions on its queue of which none is due.
fn waiting(place: &Place, components: &Components, count: usize) -> Result<Waiting> {
    let fake = Fake::start(Manners::good(), None);
    fake.knows("AKIDEXAMPLE", &account(0));
    let collector = Collector::new(place, "collect-waiting", &fake.url)?;
    let [found, due] = [0, 7200].map(|secs| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(secs));
    let pending = |n: usize| {
        let pending = json!({ "schema": "rayline.pending/1", "account_id": account(0), "region": REGION, "trace_id": trace_id(n),
            "executions": [], "due_at": due.to_string(), "attempt": 3, "discovered_at": found.to_string(),
            "give_up_at": (found + jiff::SignedDuration::from_hours(150)).to_string(), "digest": format!("{n:016x}") });
        pending.to_string().into_bytes()
    };
    let queue = collector.home.join("events.queue");
    for from in (0..count).step_by(10_000) {
        fill(components, &queue, &(from..count.min(from + 10_000)).map(pending).collect::<Vec<_>>())?;
    }
    let host = collector.start()?;
    let begin = Instant::now();
    while begin.elapsed() < WAITING {
        sleep(LOOK);
        host.cpu()?;
    }
    let left = host.metrics().and_then(|metrics| metrics.count(&["queue_messages{", "\"collected\"", "\"visible\""]));
    let used = host.end()?;
    let sent = (count as u64).saturating_sub(left.context("the collector says nothing of its queue")?);
    ensure!(sent > 0, "nothing was received");
    Ok(Waiting { peak: used.peak, rate: sent as f64 / WAITING.as_secs_f64() })
}

/// A pipeline of `xray-source` and `queue-sink`.
struct Collector<'a> {
    place: &'a Place,
    home: PathBuf,
    services: String,
}

impl<'a> Collector<'a> {
    fn new(place: &'a Place, name: &str, services: &str) -> Result<Self> {
        let home = place.folder(name)?;
        let accounts: Vec<String> = (0..ACCOUNTS)
            .map(|n| {
                let account = account(n);
                let role = format!("arn:aws:iam::{account}:role/rayline-collector");
                format!("{{ id = \"{account}\", role_arn = \"{role}\", regions = [\"{REGION}\"] }}")
            })
            .collect();
        fs::write(
            home.join("pipeline.toml"),
            format!(
                r#"
                data_dir = "data"
                api.address = "127.0.0.1:0"

                [sources.collected]
                plugin = "xray-source"
                grants.xray.accounts = [{}]
                grants.events = "file:events.queue"
                options = {{ hand_over = "final", retry_secs = [1], quiet_secs = 1 }}

                [sinks.out]
                plugin = "queue-sink"
                inputs = ["collected"]
                grants.queue = "file:out.queue"
                "#,
                accounts.join(", ")
            ),
        )?;
        Ok(Collector { place, home, services: services.to_owned() })
    }

    fn start(&self) -> Result<Host> {
        let mut command = rayline(self.place, &self.home);
        command.args(["run", "pipeline.toml"]);
        for service in ["XRAY", "SFN", "STS"] {
            command.env(format!("AWS_ENDPOINT_URL_{service}"), &self.services);
        }
        Host::start(command, self.home.join("log"))
    }
}

/// An execution that ended an hour ago, and its trace.
struct Ended {
    site: Site,
    number: usize,
    start: f64,
}

impl Ended {
    fn new(number: usize) -> Ended {
        let start = jiff::Timestamp::now().as_second() as f64 - 3600.0;
        Ended { site: Site::new(&account(number % ACCOUNTS), REGION), number, start }
    }

    fn arn(&self) -> String {
        self.site.states_arn("execution", &format!("Order:run-{}", self.number))
    }

    fn described(&self) -> Value {
        json!({
            "executionArn": self.arn(),
            "stateMachineArn": self.site.states_arn("stateMachine", "Order"),
            "name": format!("run-{}", self.number),
            "status": "SUCCEEDED",
            "startDate": self.start,
            "stopDate": self.start + 2.0,
            "input": "{\"order\":1}",
            "inputDetails": { "included": true },
            "output": "{\"paid\":true}",
            "outputDetails": { "included": true },
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE",
            "traceHeader": format!("Root={};Sampled=1", trace_id(self.number)),
        })
    }

    fn put(&self, fake: &Fake) {
        let segment = json!({
            "id": format!("{:016x}", self.number + 1),
            "trace_id": trace_id(self.number),
            "name": "Order",
            "start_time": self.start,
            "end_time": self.start + 2.0,
            "origin": "AWS::StepFunctions::StateMachine",
            "aws": { "resource_arn": self.arn() },
            "cause": {},
        });
        let arrivals = vec![Arrival { after: Duration::ZERO, document: segment }];
        fake.put_trace(&self.site, Trace { id: trace_id(self.number), arrivals });
        fake.put_execution(&self.site, Execution { states: vec![(Duration::ZERO, self.described())] });
    }

    /// As EventBridge sends it.
    fn event(&self) -> String {
        let mut detail = self.described();
        for date in ["startDate", "stopDate"] {
            if let Some(seconds) = detail.get_mut(date) {
                *seconds = json!((seconds.as_f64().unwrap_or_default() * 1e3) as u64);
            }
        }
        json!({ "source": "aws.states", "account": self.site.account, "region": REGION, "detail": detail }).to_string()
    }
}

fn account(n: usize) -> String {
    format!("{:012}", 111_122_220_000 + n)
}

fn trace_id(n: usize) -> String {
    static TIME: LazyLock<i64> = LazyLock::new(|| jiff::Timestamp::now().as_second() - 3600);
    format!("1-{:08x}-{n:024x}", *TIME)
}
