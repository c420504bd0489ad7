//! What is counted. Names and tags are Vector's where it has them, so that its dashboards fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::grant::xray::{Level, OUTCOMES};
use crate::pipeline::Kind;
use crate::stage::Failure;

/// One stage of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Component {
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage's name.
    pub component_id: String,
    /// `source`, `transform`, `sink`.
    pub component_kind: &'static str,
    /// The plugin.
    pub component_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentError {
    #[prometheus(flatten)]
    component: Component,
    error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Discarded {
    #[prometheus(flatten)]
    component: Component,
    intentional: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    #[prometheus(flatten)]
    component: Component,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfApi {
    #[prometheus(flatten)]
    component: Component,
    account: String,
    region: String,
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCalls {
    #[prometheus(flatten)]
    component: Component,
    account: String,
    region: String,
    api: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPipeline {
    pipeline: String,
}

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    received: Family<Component, Counter>,
    received_bytes: Family<Component, Counter>,
    sent: Family<Component, Counter>,
    sent_bytes: Family<Component, Counter>,
    errors: Family<ComponentError, Counter>,
    discarded: Family<Discarded, Counter>,
    call: Family<Component, Histogram, fn() -> Histogram>,
    batch: Family<Component, Histogram, fn() -> Histogram>,
    paused: Family<Component, Gauge>,
    oldest: Family<Component, Gauge<f64, AtomicU64>>,
    instances: Family<InState, Gauge>,
    backlog: Family<InState, Gauge>,
    xray_calls: Family<OfCalls, Counter>,
    xray_in_flight: Family<OfApi, Gauge>,
    xray_rate: Family<OfApi, Gauge<f64, AtomicU64>>,
    in_flight: Family<OfPipeline, Gauge>,
    dead_letter_failing: Family<OfPipeline, Gauge>,
}

/// The counters of one stage.
#[derive(Clone)]
pub struct StageMetrics {
    all: Arc<Metrics>,
    component: Component,
    /// Events given to the stage; of a source: read.
    pub received: Counter,
    /// Bytes of their bodies.
    pub received_bytes: Counter,
    /// Events that the stage handed on or wrote.
    pub sent: Counter,
    /// Bytes of their bodies.
    pub sent_bytes: Counter,
    /// Seconds of one call, host calls included.
    pub call: Histogram,
    /// Events of one call.
    pub batch: Histogram,
    /// 1 while the breaker holds the stage.
    pub paused: Gauge,
    /// Of a source: seconds that the oldest unsettled reading waits.
    pub oldest_unsettled: Gauge<f64, AtomicU64>,
}

/// Why a call or an event failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// The guest panicked, looped or grew too large.
    Trap,
    /// It asked for another try.
    Retry,
    /// It said the event is bad.
    Reject,
    /// It said that nothing will help.
    Fatal,
}

impl ErrorType {
    /// Of a failure that a stage reported.
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Retry(_) => ErrorType::Retry,
            Failure::Reject(_) => ErrorType::Reject,
            Failure::Fatal(_) => ErrorType::Fatal,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ErrorType::Trap => "trap",
            ErrorType::Retry => "retry",
            ErrorType::Reject => "reject",
            ErrorType::Fatal => "fatal",
        }
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 4.0, 10));
        let events: fn() -> Histogram = || Histogram::new(exponential_buckets(1.0, 4.0, 8));
        let mut all = Metrics {
            registry: Registry::default(),
            received: Family::default(),
            received_bytes: Family::default(),
            sent: Family::default(),
            sent_bytes: Family::default(),
            errors: Family::default(),
            discarded: Family::default(),
            call: Family::new_with_constructor(seconds),
            batch: Family::new_with_constructor(events),
            paused: Family::default(),
            oldest: Family::default(),
            instances: Family::default(),
            backlog: Family::default(),
            xray_calls: Family::default(),
            xray_in_flight: Family::default(),
            xray_rate: Family::default(),
            in_flight: Family::default(),
            dead_letter_failing: Family::default(),
        };
        let registry = &mut all.registry;
        registry.register(
            "component_received_events",
            "Events given to a stage, or read by a source",
            all.received.clone(),
        );
        registry.register("component_received_event_bytes", "Bytes of their bodies", all.received_bytes.clone());
        registry.register("component_sent_events", "Events that a stage handed on or wrote", all.sent.clone());
        registry.register("component_sent_event_bytes", "Bytes of their bodies", all.sent_bytes.clone());
        registry.register("component_errors", "Failed calls and bad events", all.errors.clone());
        registry.register(
            "component_discarded_events",
            "Events filtered by a transform (intentional) or given to the dead letter",
            all.discarded.clone(),
        );
        registry.register_with_unit("component_call_duration", "One call of a stage", Unit::Seconds, all.call.clone());
        registry.register("component_received_events_count", "Events of one call", all.batch.clone());
        registry.register("component_paused", "1 while the breaker holds the stage", all.paused.clone());
        registry.register_with_unit(
            "source_oldest_unsettled",
            "How long the oldest unsettled reading of a source waits",
            Unit::Seconds,
            all.oldest.clone(),
        );
        registry.register(
            "component_instances",
            "Calls of a stage in flight, and how many may be (limit)",
            all.instances.clone(),
        );
        registry.register("queue_messages", "Messages of a bound queue, by state", all.backlog.clone());
        registry.register(
            "xray_calls",
            "Calls to X-Ray and Step Functions of a bound account, by how they ended",
            all.xray_calls.clone(),
        );
        registry.register("xray_calls_in_flight", "Those that are under way", all.xray_in_flight.clone());
        registry.register("xray_calls_per_second", "How many there may be at the moment", all.xray_rate.clone());
        registry.register_with_unit(
            "pipeline_in_flight",
            "Events between source and settlement",
            Unit::Bytes,
            all.in_flight.clone(),
        );
        registry.register(
            "pipeline_dead_letter_failing",
            "1 while dead letters cannot be written, and stages wait for that",
            all.dead_letter_failing.clone(),
        );
        Arc::new(all)
    }

    /// In the text format of OpenMetrics.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Bytes in flight of one pipeline.
    pub fn in_flight(&self, pipeline: &str) -> Gauge {
        self.in_flight.get_or_create_owned(&OfPipeline { pipeline: pipeline.to_owned() })
    }

    /// Whether dead letters of a pipeline cannot be written.
    pub fn dead_letter_failing(&self, pipeline: &str) -> Gauge {
        self.dead_letter_failing.get_or_create_owned(&OfPipeline { pipeline: pipeline.to_owned() })
    }

    /// The counters of one stage.
    pub fn stage(self: &Arc<Self>, pipeline: &str, id: &str, kind: Kind, plugin: &str) -> StageMetrics {
        let component = Component {
            pipeline: pipeline.to_owned(),
            component_id: id.to_owned(),
            component_kind: kind.name(),
            component_type: plugin.to_owned(),
        };
        StageMetrics {
            all: self.clone(),
            received: self.received.get_or_create_owned(&component),
            received_bytes: self.received_bytes.get_or_create_owned(&component),
            sent: self.sent.get_or_create_owned(&component),
            sent_bytes: self.sent_bytes.get_or_create_owned(&component),
            call: self.call.get_or_create_owned(&component),
            batch: self.batch.get_or_create_owned(&component),
            paused: self.paused.get_or_create_owned(&component),
            oldest_unsettled: self.oldest.get_or_create_owned(&component),
            component,
        }
    }
}

impl StageMetrics {
    /// Failed calls, or bad events, of one type.
    pub fn errors(&self, error_type: ErrorType) -> Counter {
        let component = self.component.clone();
        self.all.errors.get_or_create_owned(&ComponentError { component, error_type: error_type.name() })
    }

    /// Events that a transform filtered.
    pub fn filtered(&self) -> Counter {
        self.discarded("true")
    }

    /// Events given to the dead letter.
    pub fn dead_lettered(&self) -> Counter {
        self.discarded("false")
    }

    /// Messages of the stage's queue in one state: `visible`, `invisible`, `delayed`.
    pub fn queue_messages(&self, state: &'static str) -> Gauge {
        self.all.backlog.get_or_create_owned(&InState { component: self.component.clone(), state })
    }

    /// The stage's calls: `in_flight` now, and the `limit` of these.
    pub fn instances(&self, state: &'static str) -> Gauge {
        self.all.instances.get_or_create_owned(&InState { component: self.component.clone(), state })
    }

    /// What a budget of a bound account's calls is at the moment.
    pub fn xray_level(&self, level: &Level) {
        let component = self.component.clone();
        let (account, region, api) = (level.account.clone(), level.region.clone(), level.api);
        for (outcome, count) in OUTCOMES.into_iter().zip(level.counts).filter(|(_, count)| *count > 0) {
            let (component, account, region) = (component.clone(), account.clone(), region.clone());
            let calls = self.all.xray_calls.get_or_create_owned(&OfCalls { component, account, region, api, outcome });
            // The grant counts.
            calls.inner().store(count, Ordering::Relaxed);
        }
        let of_api = OfApi { component, account, region, api };
        self.all.xray_in_flight.get_or_create_owned(&of_api).set(level.in_flight);
        self.all.xray_rate.get_or_create_owned(&of_api).set(level.rate);
    }

    fn discarded(&self, intentional: &'static str) -> Counter {
        self.all.discarded.get_or_create_owned(&Discarded { component: self.component.clone(), intentional })
    }
}
