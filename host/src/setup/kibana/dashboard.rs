//! The dashboards: which charts, where, and what can be chosen above them.

use super::chart::{Chart, Index};
use super::charts;
use crate::setup::indices::DEFAULT_PREFIX;

/// One dashboard.
#[derive(Debug)]
pub struct Dashboard {
    /// The saved object's id, for the default `index_prefix`. Never changes.
    pub id: &'static str,
    /// Its name in the list, for the default `index_prefix`.
    pub title: &'static str,
    /// Below the name.
    pub description: &'static str,
    /// What can be chosen. Each choice is a condition on every chart: all charts of a dashboard have these fields.
    pub controls: &'static [Control],
    /// The charts and their places.
    pub panels: &'static [Panel],
}

/// A list of a field's values to choose from.
#[derive(Debug)]
pub struct Control {
    /// Which field.
    pub field: &'static str,
    /// What its values are.
    pub label: &'static str,
    /// Whose values.
    pub index: Index,
}

/// A chart and its place on a grid of 48 columns.
#[derive(Debug)]
pub struct Panel {
    /// What is there.
    pub chart: &'static Chart,
    /// Columns from the left.
    pub x: u32,
    /// Rows from the top, or from the controls where these are a panel.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Two, because a choice is a condition on all charts of a dashboard: a span has no state machine.
pub static DASHBOARDS: [Dashboard; 2] = [
    Dashboard {
        id: "rayline-executions",
        title: "X-Ray: executions",
        description: "How the executions of step functions and other services ended, and how long they took.",
        controls: &[
            Control { field: "execution.state_machine.name", label: "State machine", index: Index::Executions },
            Control { field: "cloud.account.id", label: "Account", index: Index::Executions },
            Control { field: "execution.status", label: "Status", index: Index::Executions },
        ],
        panels: &[
            panel(&charts::STATUS, 0, 0, 14, 14),
            panel(&charts::STATUS_OVER_TIME, 14, 0, 34, 14),
            panel(&charts::DURATION_TOTAL, 0, 14, 14, 14),
            panel(&charts::DURATION_OVER_TIME, 14, 14, 34, 14),
            panel(&charts::LATENCY, 0, 28, 24, 14),
            panel(&charts::OUTCOME, 24, 28, 24, 14),
            panel(&charts::ACCOUNTS, 0, 42, 24, 14),
            panel(&charts::TIMELINE, 24, 42, 24, 14),
            panel(&charts::SLOWEST, 0, 56, 48, 20),
        ],
    },
    Dashboard {
        id: "rayline-services",
        title: "X-Ray: services and pipeline",
        description: "Which services were called and how they did; whether traces arrive whole and in time.",
        controls: &[Control { field: "cloud.account.id", label: "Account", index: Index::Spans }],
        panels: &[
            panel(&charts::SERVICES_BY_DURATION, 0, 0, 24, 16),
            panel(&charts::SERVICES_BY_FAILURES, 24, 0, 24, 16),
            panel(&charts::COLD_STARTS, 0, 16, 24, 14),
            panel(&charts::WARNINGS, 24, 16, 24, 14),
            panel(&charts::CUT_OFF, 0, 30, 14, 14),
            panel(&charts::LAG, 14, 30, 34, 14),
        ],
    },
];

impl Dashboard {
    /// Its name for the indices with this prefix.
    pub fn title_for(&self, prefix: &str) -> String {
        if prefix == DEFAULT_PREFIX { self.title.to_owned() } else { format!("{} ({prefix})", self.title) }
    }
}

/// Every chart, in the order of the dashboards.
pub fn every_chart() -> impl Iterator<Item = &'static Chart> {
    DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels).map(|panel| panel.chart)
}

const fn panel(chart: &'static Chart, x: u32, y: u32, width: u32, height: u32) -> Panel {
    Panel { chart, x, y, width, height }
}
