//! The charts. One description of each: everything else about them is derived.

use super::chart::{Bucket, Chart, Condition, Drawing, Index, Metric, Order, View};

/// How the executions ended.
pub static STATUS: Chart = Chart {
    id: "rayline-status",
    title: "Execution status",
    description: "How executions ended. Choose a state machine above to see those of one step function.",
    index: Index::Executions,
    conditions: &[],
    view: View::Numbers { drawing: Drawing::Pie, metrics: &[EXECUTIONS], buckets: &[BY_STATUS] },
};

/// When they did.
pub static STATUS_OVER_TIME: Chart = Chart {
    id: "rayline-status-over-time",
    title: "Execution status over time",
    description: "How executions ended, by when they started.",
    index: Index::Executions,
    conditions: &[],
    view: View::Numbers { drawing: Drawing::StackedBars, metrics: &[EXECUTIONS], buckets: &[BY_STATUS, Bucket::Time] },
};

/// How long all executions took together.
pub static DURATION_TOTAL: Chart = Chart {
    id: "rayline-duration-total",
    title: "Sum of execution durations",
    description: "How long all executions took together, without those that still run.",
    index: Index::Executions,
    conditions: &[ENDED],
    view: View::Numbers { drawing: Drawing::Tile, metrics: &[DURATION], buckets: &[] },
};

/// Which state machines took it, and when.
pub static DURATION_OVER_TIME: Chart = Chart {
    id: "rayline-duration-over-time",
    title: "Sum of execution durations by state machine",
    description: "How long executions took together, by when they started, without those that still run.",
    index: Index::Executions,
    conditions: &[ENDED],
    view: View::Numbers {
        drawing: Drawing::StackedBars,
        metrics: &[DURATION],
        buckets: &[by_state_machine(15, Order::Metric), Bucket::Time],
    },
};

/// Percentiles of durations.
pub static LATENCY: Chart = Chart {
    id: "rayline-latency",
    title: "Latency by state machine (p50, p95, p99)",
    description: "How long half, 95 % and 99 % of the executions took at most, of the five busiest state machines.",
    index: Index::Executions,
    conditions: &[ENDED],
    view: View::Numbers {
        drawing: Drawing::Lines,
        metrics: &[Metric::Percentiles("duration_ms", "Duration")],
        buckets: &[
            Bucket::Terms { field: STATE_MACHINE, label: "State machine", size: 5, order: Order::Count, rest: None },
            Bucket::Time,
        ],
    },
};

/// The share of failures.
pub static OUTCOME: Chart = Chart {
    id: "rayline-outcome",
    title: "Error rate",
    description: "The share of executions that failed, by when they started.",
    index: Index::Executions,
    conditions: &[],
    view: View::Numbers {
        drawing: Drawing::PercentBars,
        metrics: &[EXECUTIONS],
        buckets: &[
            Bucket::Terms { field: "event.outcome", label: "Outcome", size: 3, order: Order::Count, rest: None },
            Bucket::Time,
        ],
    },
};

/// The accounts beside each other.
pub static ACCOUNTS: Chart = Chart {
    id: "rayline-accounts",
    title: "Accounts compared",
    description: "How many executions each account had, by how they ended.",
    index: Index::Executions,
    conditions: &[],
    view: View::Numbers {
        drawing: Drawing::HeatMap,
        metrics: &[EXECUTIONS],
        buckets: &[
            Bucket::Terms { field: "cloud.account.id", label: "Account", size: 30, order: Order::Count, rest: None },
            BY_STATUS,
        ],
    },
};

/// Each execution as a bar.
pub static TIMELINE: Chart = Chart {
    id: "rayline-timeline",
    title: "Executions from start to stop",
    description: "The latest 200 executions, a bar each.",
    index: Index::Executions,
    conditions: &[],
    view: View::Timeline { size: 200 },
};

/// Single executions with what went in.
pub static SLOWEST: Chart = Chart {
    id: "rayline-slowest",
    title: "Slowest executions",
    description: "The executions that took longest, with error, input and output.",
    index: Index::Executions,
    conditions: &[],
    view: View::Documents {
        columns: &[
            "execution.arn",
            "execution.status",
            "event.duration",
            "services",
            "execution.error",
            "execution.input",
            "execution.output",
        ],
        sort: "event.duration",
    },
};

/// Where the time goes.
pub static SERVICES_BY_DURATION: Chart = Chart {
    id: "rayline-services-by-duration",
    title: "Services by summed duration",
    description: "The services that were called, by how long the calls took together.",
    index: Index::Spans,
    conditions: &[SEEN],
    view: View::Numbers {
        drawing: Drawing::Table,
        metrics: &[DURATION, Metric::Count("Calls")],
        buckets: &[by_service(Order::Metric)],
    },
};

/// What fails.
pub static SERVICES_BY_FAILURES: Chart = Chart {
    id: "rayline-services-by-failures",
    title: "Services by failures",
    description: "The services that were called, by how many calls failed or were throttled.",
    index: Index::Spans,
    conditions: &[SEEN, Condition::Is("event.outcome", "failure")],
    view: View::Numbers {
        drawing: Drawing::Table,
        metrics: &[Metric::Count("Failures")],
        buckets: &[by_service(Order::Metric)],
    },
};

/// Cold starts of Lambda functions.
pub static COLD_STARTS: Chart = Chart {
    id: "rayline-cold-starts",
    title: "Cold starts",
    description: "Lambda invocations by whether the function had to be initialized first.",
    index: Index::Spans,
    conditions: &[],
    view: View::Numbers {
        drawing: Drawing::StackedBars,
        metrics: &[Metric::Count("Invocations")],
        buckets: &[
            Bucket::Terms { field: "faas.coldstart", label: "Cold start", size: 2, order: Order::Count, rest: None },
            Bucket::Time,
        ],
    },
};

/// What the documents leave out.
pub static WARNINGS: Chart = Chart {
    id: "rayline-warnings",
    title: "Warnings of the parser",
    description: "What was left out of documents or mended in them, by how many documents it concerns.",
    index: Index::All,
    conditions: &[],
    view: View::Numbers {
        drawing: Drawing::Table,
        metrics: &[Metric::Count("Documents")],
        buckets: &[Bucket::Terms {
            field: "xray.parse.warnings",
            label: "Warning",
            size: 20,
            order: Order::Count,
            rest: None,
        }],
    },
};

/// Traces that X-Ray cut off.
pub static CUT_OFF: Chart = Chart {
    id: "rayline-cut-off",
    title: "Traces cut off by X-Ray",
    description: "Traces that were larger than X-Ray keeps them: segments of these are missing for good.",
    index: Index::Traces,
    conditions: &[Condition::Is("xray.limit_exceeded", "true")],
    view: View::Numbers { drawing: Drawing::Tile, metrics: &[Metric::Count("Traces")], buckets: &[] },
};

/// How late the traces come.
pub static LAG: Chart = Chart {
    id: "rayline-lag",
    title: "Collection lag (p50, p95, p99)",
    description: "How long after a trace's end it was collected.",
    index: Index::Traces,
    conditions: &[],
    view: View::Numbers {
        drawing: Drawing::Lines,
        metrics: &[Metric::Percentiles("xray.lag_ms", "Lag")],
        buckets: &[Bucket::Time],
    },
};

const STATE_MACHINE: &str = "execution.state_machine.name";
const EXECUTIONS: Metric = Metric::Count("Executions");
const DURATION: Metric = Metric::Sum("event.duration", "Duration");
const ENDED: Condition = Condition::IsNot("execution.status", "RUNNING");
/// X-Ray infers a segment for the called side of a call that it has seen already: counted once.
const SEEN: Condition = Condition::IsNot("xray.inferred", "true");
const BY_STATUS: Bucket =
    Bucket::Terms { field: "execution.status", label: "Status", size: 10, order: Order::Count, rest: Some("unknown") };

const fn by_state_machine(size: u32, order: Order) -> Bucket {
    Bucket::Terms { field: STATE_MACHINE, label: "State machine", size, order, rest: Some("no state machine") }
}

const fn by_service(order: Order) -> Bucket {
    Bucket::Terms { field: "xray.target.name", label: "Service", size: 15, order, rest: None }
}
