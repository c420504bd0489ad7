//! Three collectors share a queue, and nothing happens in order. In the end the index says of every execution what is true.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};

use super::*;

const OPTIONS: &str = r#"{"retry_secs":[5,10],"quiet_secs":5}"#;

const COLLECTORS: usize = 3;

/// `a` and `b` are of trace 1, `c` is of trace 2.
const EXECUTIONS: [(&str, u32); 3] = [("a", 1), ("b", 1), ("c", 2)];

#[derive(Debug, Clone)]
enum Act {
    /// An event tells of an execution.
    Event(Index),
    /// A part of a trace arrives late, and a message names the trace.
    Late(u32),
    /// The next questions about an execution, or a trace, are throttled.
    Throttle(Index, usize),
    ThrottleTrace(u32, usize),
    Advance(u64),
    Read(Index),
    /// What a collector handed over is safe, or is given back.
    Settle(Index, bool),
    /// A collector is gone, and another one begins. What anybody held comes again.
    Crash(Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<Index>().prop_map(Act::Event),
        1 => (1..=2_u32).prop_map(Act::Late),
        2 => (any::<Index>(), 1..5_usize).prop_map(|(execution, times)| Act::Throttle(execution, times)),
        2 => (1..=2_u32, 1..5_usize).prop_map(|(trace, times)| Act::ThrottleTrace(trace, times)),
        4 => (100..8_000_u64).prop_map(Act::Advance),
        1 => (60_000..90_000_u64).prop_map(Act::Advance),
        6 => any::<Index>().prop_map(Act::Read),
        4 => (any::<Index>(), prop::bool::weighted(0.8)).prop_map(|(collector, is_done)| Act::Settle(collector, is_done)),
        1 => any::<Index>().prop_map(Act::Crash),
    ]
}

/// Collectors, and what they have handed over.
struct Chance {
    collectors: Vec<(Collector, Vec<(usize, Seen)>)>,
    segments: [Vec<Value>; 2],
    /// What was handed over, and whether it is known to be safe. The rest may have been written or not.
    bodies: Vec<(Value, bool)>,
}

impl Chance {
    fn new() -> Chance {
        let others = (1..COLLECTORS).map(|_| Collector::open(OPTIONS, None));
        let collectors = std::iter::once(Collector::new(OPTIONS)).chain(others).map(|it| (it, Vec::new())).collect();
        let mut chance = Chance { collectors, segments: Default::default(), bodies: Vec::new() };
        for (name, trace) in EXECUTIONS {
            put_execution(execution(name, "SUCCEEDED", Some(trace)));
            chance.arrives(trace, segment(name, name, Some(BEGIN - 1.0)));
        }
        chance
    }

    fn arrives(&mut self, number: u32, segment: Value) {
        let segments = &mut self.segments[number as usize - 1];
        segments.push(segment);
        put_trace(trace(number, segments));
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Event(index) => {
                let (name, trace) = index.get(&EXECUTIONS);
                notify(&event(&execution(name, "SUCCEEDED", Some(*trace))));
            }
            Act::Late(number) => {
                let id = format!("late{}", self.segments[*number as usize - 1].len());
                let end = BEGIN - 1.0;
                self.arrives(*number, json!({ "id": id, "name": "f", "start_time": end - 1.0, "end_time": end }));
                notify(&format!("Root={};Sampled=1", trace_id(*number)));
            }
            Act::Throttle(index, times) => {
                let arn = arn(index.get(&EXECUTIONS).0);
                (0..*times).for_each(|_| testing::xray::fail(XRAY, &arn, throttled()));
            }
            Act::ThrottleTrace(number, times) => {
                (0..*times).for_each(|_| testing::xray::fail(XRAY, &trace_id(*number), throttled()));
            }
            Act::Advance(millis) => testing::clock::advance(Duration::from_millis(*millis)),
            Act::Read(index) => {
                self.read(index.index(COLLECTORS));
            }
            Act::Settle(index, is_done) => {
                self.settle(index.index(COLLECTORS), if *is_done { Outcome::Done } else { Outcome::Released });
            }
            Act::Crash(index) => {
                self.collectors[index.index(COLLECTORS)] = (Collector::open(OPTIONS, None), Vec::new());
                testing::queue::crash(EVENTS);
            }
        }
    }

    fn read(&mut self, index: usize) {
        let (collector, open) = &mut self.collectors[index];
        for seen in collector.read() {
            self.bodies.push((serde_json::from_str(&seen.body).unwrap(), false));
            open.push((self.bodies.len() - 1, seen));
        }
    }

    fn settle(&mut self, index: usize, outcome: Outcome) {
        let (collector, open) = &mut self.collectors[index];
        let (places, seen): (Vec<usize>, Vec<Seen>) = std::mem::take(open).into_iter().unzip();
        collector.settle(&seen, outcome);
        places.into_iter().for_each(|place| self.bodies[place].1 = outcome == Outcome::Done);
    }

    /// Until all is done.
    fn finish(&mut self) {
        for step in 0..800 {
            for index in 0..COLLECTORS {
                self.read(index);
                self.settle(index, Outcome::Done);
            }
            testing::clock::advance(Duration::from_millis(if step < 400 { 250 } else { 5_000 }));
        }
        assert_queue_is_empty();
    }

    /// Of what was handed over of an execution, that which is left in an index: of one version, whichever came last. What
    /// is not known to be safe may be there or not.
    fn left(&self, name: &str, is_all_written: bool) -> Vec<&Value> {
        let written = self.bodies.iter().filter(|(_, is_safe)| *is_safe || is_all_written).map(|(body, _)| body);
        let of = |body: &&Value| body["executions"].as_array().unwrap().iter().any(|it| it["name"] == name);
        let version = |body: &Value| (body["trace"].is_object(), body["collected_at"].as_str().map(str::to_owned));
        let written: Vec<&Value> = written.filter(of).collect();
        let latest = written.iter().map(|body| version(body)).max();
        written.into_iter().filter(|body| Some(version(body)) == latest).collect()
    }
}

// The same schedules in every run: whoever breaks one sees it.
proptest! {
    #![proptest_config(Config {
        cases: 2_000,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    })]
    #[test]
    fn whatever_happens_everything_is_settled_in_the_end(acts in prop::collection::vec(act(), 1..60)) {
        alone(|| {
            let mut chance = Chance::new();
            let is_told = |name: &str, trace: u32| acts.iter().any(|act| match act {
                Act::Event(index) => index.get(&EXECUTIONS).0 == name || index.get(&EXECUTIONS).1 == trace,
                Act::Late(number) => *number == trace,
                _ => false,
            });
            acts.iter().for_each(|act| chance.act(act));
            chance.finish();
            for (name, trace) in EXECUTIONS.into_iter().filter(|(name, trace)| is_told(name, *trace)) {
                let parts = chance.segments[trace as usize - 1].len();
                for is_all_written in [false, true] {
                    let left = chance.left(name, is_all_written);
                    assert!(!left.is_empty(), "nothing of {name}");
                    for body in left {
                        let found = (body["verdict"].as_str(), body["trace"]["Segments"].as_array().map(Vec::len));
                        let shown = chance.bodies.iter().map(|(body, is_safe)| (short(body), &body["collected_at"], is_safe));
                        let shown: Vec<_> = shown.collect();
                        assert_eq!(found, (Some("settled"), Some(parts)), "{name}: {shown:#?}");
                    }
                }
            }
        });
    }
}
