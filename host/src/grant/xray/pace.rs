//! How many calls there may be: for each account, region and API a budget of its own.
//!
//! AWS publishes few limits, and others use them up too. So a budget begins with a careful rate, grows while it is what
//! holds calls up and AWS takes them all, and shrinks when AWS throttles. Until the first throttled call it grows by half
//! a second's worth each second, then by a tenth of its beginning.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::{AFTER_HANGING, Failure, FailureKind};

/// The calls of one API in one account and region.
pub(super) struct Pace {
    api: Api,
    most: f64,
    least: f64,
    /// What it grows by in a second, once it was throttled.
    step: f64,
    /// The calls that may be made at once after a rest.
    burst: f64,
    bucket: Mutex<Bucket>,
    /// Who waits for the bucket, in order.
    line: tokio::sync::Mutex<()>,
    room: Semaphore,
    /// For what is asked for, in however many calls: see `flight`.
    items: Arc<Semaphore>,
    /// When it was last found hanging.
    hanging: Mutex<Option<Instant>>,
    in_flight: AtomicI64,
    counts: [AtomicU64; OUTCOMES.len()],
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Api {
    DescribeExecution,
    ListExecutions,
    ListStateMachines,
    DescribeStateMachine,
    BatchGetTraces,
    GetTraceSummaries,
    GetTraceSegmentDestination,
    StartTraceRetrieval,
    ListRetrievedTraces,
    GetSamplingRules,
}

/// How calls end: `throttled` is AWS's, `dropped` when the grant ended first.
pub const OUTCOMES: [&str; 7] = ["ok", "not_found", "invalid", "refused", "failed", "throttled", "dropped"];

/// What a budget is at the moment: for metrics.
#[derive(Clone, Debug)]
pub struct Level {
    /// What AWS says whose credentials these are.
    pub account: String,
    /// The region.
    pub region: String,
    /// AWS's name.
    pub api: &'static str,
    /// Calls in flight.
    pub in_flight: i64,
    /// Calls a second that there may be.
    pub rate: f64,
    /// Calls that ended, in the order of [`OUTCOMES`].
    pub counts: [u64; OUTCOMES.len()],
}

/// How many calls of one API, account and region are under way at once.
pub(super) const AT_ONCE: usize = 16;

/// How many items that one API, account and region is asked for are in flight: about what a source works on at once.
const ITEMS: usize = 256;

/// What is left of a rate after a throttled call.
const CUT: f64 = 0.6;

impl Api {
    pub(super) const ALL: [Api; 10] = [
        Api::DescribeExecution,
        Api::ListExecutions,
        Api::ListStateMachines,
        Api::DescribeStateMachine,
        Api::BatchGetTraces,
        Api::GetTraceSummaries,
        Api::GetTraceSegmentDestination,
        Api::StartTraceRetrieval,
        Api::ListRetrievedTraces,
        Api::GetSamplingRules,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Api::DescribeExecution => "DescribeExecution",
            Api::ListExecutions => "ListExecutions",
            Api::ListStateMachines => "ListStateMachines",
            Api::DescribeStateMachine => "DescribeStateMachine",
            Api::BatchGetTraces => "BatchGetTraces",
            Api::GetTraceSummaries => "GetTraceSummaries",
            Api::GetTraceSegmentDestination => "GetTraceSegmentDestination",
            Api::StartTraceRetrieval => "StartTraceRetrieval",
            Api::ListRetrievedTraces => "ListRetrievedTraces",
            Api::GetSamplingRules => "GetSamplingRules",
        }
    }

    /// Calls a second and calls at once to begin with. Of Step Functions, what small regions had in 2022, less what
    /// others may need (DescribeExecution: 10 a second, 250 at once); X-Ray says nothing of its own.
    fn start(self) -> (f64, f64) {
        match self {
            Api::DescribeExecution | Api::DescribeStateMachine => (8.0, 40.0),
            Api::ListExecutions | Api::ListStateMachines => (2.0, 10.0),
            Api::BatchGetTraces => (5.0, 10.0),
            Api::GetTraceSummaries => (2.0, 5.0),
            Api::GetTraceSegmentDestination | Api::StartTraceRetrieval | Api::GetSamplingRules => (1.0, 5.0),
            Api::ListRetrievedTraces => (4.0, 8.0),
        }
    }
}

/// What was not used of the rate, for bursts.
struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
    /// When it was last throttled.
    cut: Option<Instant>,
    /// Whether somebody had to wait since it was full: not always who is served next, since nobody waits for ever.
    is_short: bool,
}

/// Leave for one call. Dropped without [`ended`](Turn::ended), the grant ended before it.
pub(super) struct Turn<'p> {
    pace: &'p Pace,
    at: Instant,
    ended: bool,
    _room: Option<SemaphorePermit<'p>>,
}

impl Pace {
    pub(super) fn new(api: Api) -> Pace {
        let (rate, burst) = api.start();
        Pace {
            api,
            most: rate * 40.0,
            least: rate / 20.0,
            step: rate / 10.0,
            burst,
            bucket: Mutex::new(Bucket { rate, tokens: burst, at: Instant::now(), cut: None, is_short: false }),
            line: tokio::sync::Mutex::new(()),
            room: Semaphore::new(AT_ONCE),
            items: Arc::new(Semaphore::new(ITEMS)),
            hanging: Mutex::default(),
            in_flight: AtomicI64::new(0),
            counts: Default::default(),
        }
    }

    pub(super) fn api(&self) -> Api {
        self.api
    }

    /// Waits for its turn. There is none at what hangs, but for one now and then that finds out whether it still does.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Failure> {
        // Nobody closes it.
        let room = self.room.acquire().await.ok();
        {
            let _first = self.line.lock().await;
            if let Some(since) = &mut *self.hanging() {
                if since.elapsed() < AFTER_HANGING {
                    let reason = "no answer came in time, and it is left alone for a while";
                    return Err(Failure::new(FailureKind::Hanging, reason));
                }
                *since = Instant::now();
            }
            while let Some(wait) = self.take() {
                tokio::time::sleep(wait).await;
            }
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Turn { pace: self, at: Instant::now(), ended: false, _room: room })
    }

    pub(super) fn items(&self) -> Arc<Semaphore> {
        self.items.clone()
    }

    pub(super) fn rate(&self) -> f64 {
        self.bucket().rate
    }

    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> [u64; OUTCOMES.len()] {
        self.counts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Takes one out of the bucket, or says how long until one is there.
    fn take(&self) -> Option<Duration> {
        let bucket = &mut *self.bucket();
        let now = Instant::now();
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * bucket.rate).min(self.burst);
        bucket.at = now;
        bucket.is_short &= bucket.tokens < self.burst;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        bucket.is_short = true;
        // A little more, so that rounding does not make it wait for nothing again.
        Some(Duration::from_secs_f64((1.0 - bucket.tokens) / bucket.rate) + Duration::from_millis(1))
    }

    fn count(&self, outcome: &str) {
        let place = OUTCOMES.iter().position(|name| *name == outcome);
        if let Some(count) = place.and_then(|place| self.counts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn hanging(&self) -> MutexGuard<'_, Option<Instant>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// How the call ended.
    pub(super) fn ended(mut self, failure: Option<&Failure>) {
        self.ended = true;
        let (outcome, was_taken) = match failure.map(|failure| failure.kind) {
            None => ("ok", true),
            Some(FailureKind::NotFound) => ("not_found", true),
            Some(FailureKind::Invalid) => ("invalid", true),
            Some(FailureKind::Refused) => ("refused", false),
            Some(FailureKind::Temporary | FailureKind::Hanging) => ("failed", false),
            Some(FailureKind::Throttled) => ("throttled", false),
        };
        self.pace.count(outcome);
        let is_hanging = failure.is_some_and(|failure| failure.kind == FailureKind::Hanging);
        *self.pace.hanging() = is_hanging.then(Instant::now);
        let bucket = &mut *self.pace.bucket();
        if outcome == "throttled" {
            // Calls that were under way when the rate was cut say nothing about the rate that is now.
            if bucket.cut.is_none_or(|cut| self.at > cut) {
                bucket.rate = (bucket.rate * CUT).max(self.pace.least);
                bucket.cut = Some(Instant::now());
            }
            (bucket.tokens, bucket.at) = (bucket.tokens.min(0.0), Instant::now());
        } else if was_taken && bucket.is_short {
            let more = if bucket.cut.is_none() { 0.5 } else { self.pace.step / bucket.rate };
            bucket.rate = (bucket.rate + more).min(self.pace.most);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            self.pace.count("dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(pace: &Pace, failure: Option<FailureKind>) {
        let turn = pace.turn().await.unwrap();
        turn.ended(failure.map(|kind| Failure::new(kind, "")).as_ref());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let pace = Pace::new(Api::BatchGetTraces);
        let start = Instant::now();
        for _ in 0..10 {
            call(&pace, None).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "the burst");
        assert_eq!(pace.rate(), 5.0, "nothing had to wait");
        call(&pace, None).await;
        assert!(start.elapsed() >= Duration::from_millis(199), "{:?}", start.elapsed());
        assert!(pace.rate() > 5.0, "it was what held the call up");
        assert_eq!(pace.counts(), [11, 0, 0, 0, 0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_finds_the_rate_that_is_taken() {
        // AWS takes 20 a second, with its own bucket of 20.
        let (pace, mut tokens, mut at) = (Pace::new(Api::BatchGetTraces), 20.0_f64, Instant::now());
        let start = Instant::now();
        let (mut taken, mut throttled) = (0, 0);
        while start.elapsed() < Duration::from_secs(300) {
            let turn = pace.turn().await.unwrap();
            tokens = (tokens + at.elapsed().as_secs_f64() * 20.0).min(20.0);
            at = Instant::now();
            let failure = (tokens < 1.0).then(|| Failure::new(FailureKind::Throttled, ""));
            if failure.is_none() {
                tokens -= 1.0;
            }
            turn.ended(failure.as_ref());
            if start.elapsed() > Duration::from_secs(60) {
                *if failure.is_none() { &mut taken } else { &mut throttled } += 1;
            }
        }
        let rate = f64::from(taken) / 240.0;
        assert!((14.0..=20.5).contains(&rate), "{rate} calls a second");
        assert!(f64::from(throttled) < 0.02 * f64::from(taken), "{throttled} of {taken} throttled");
    }

    /// As where each call of a stage has less time than the budget takes for one.
    #[tokio::test(start_paused = true)]
    async fn it_recovers_though_nobody_waits_until_it_is_his_turn() {
        let pace = Pace::new(Api::BatchGetTraces);
        for _ in 0..20 {
            call(&pace, Some(FailureKind::Throttled)).await;
        }
        assert_eq!(pace.rate(), 0.25);
        for _ in 0..60 {
            let wait = tokio::time::timeout(Duration::from_secs(1), pace.turn());
            if let Ok(turn) = wait.await {
                turn.unwrap().ended(None);
            }
        }
        assert!(pace.rate() > 4.0, "{}", pace.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_together_it_slows_down_once() {
        let pace = Pace::new(Api::BatchGetTraces);
        let turns = [pace.turn().await.unwrap(), pace.turn().await.unwrap(), pace.turn().await.unwrap()];
        assert_eq!(pace.in_flight(), 3);
        tokio::time::sleep(Duration::from_millis(50)).await;
        for turn in turns {
            turn.ended(Some(&Failure::new(FailureKind::Throttled, "")));
        }
        assert_eq!((pace.rate(), pace.in_flight()), (3.0, 0));
        let start = Instant::now();
        call(&pace, Some(FailureKind::Throttled)).await;
        assert!(start.elapsed() > Duration::from_millis(300), "no burst after that");
        assert!(pace.rate() < 2.0, "{}", pace.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_left_alone_and_then_tried_by_one() {
        let pace = Pace::new(Api::BatchGetTraces);
        call(&pace, Some(FailureKind::Hanging)).await;
        assert_eq!(pace.turn().await.err().map(|failure| failure.kind), Some(FailureKind::Hanging));
        tokio::time::sleep(AFTER_HANGING).await;
        let first = pace.turn().await.unwrap();
        assert!(pace.turn().await.is_err(), "the others wait for what becomes of the first");
        first.ended(None);
        call(&pace, None).await;
        assert_eq!(pace.counts(), [2, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_any_more_takes_nothing_along() {
        let pace = Pace::new(Api::GetTraceSummaries);
        for _ in 0..5 {
            call(&pace, None).await;
        }
        for _ in 0..100 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), pace.turn()).await;
            assert!(given_up.is_err());
        }
        let start = Instant::now();
        call(&pace, None).await;
        assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
        drop(pace.turn().await.unwrap());
        assert_eq!((pace.counts(), pace.in_flight()), ([6, 0, 0, 0, 0, 0, 1], 0));
    }
}
