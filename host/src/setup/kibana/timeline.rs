//! Executions as bars from start to stop, in Vega: no aggregation-based chart has two ends.

use serde_json::{Value, json};

use super::chart::{Index, TIMELINE, latest_first};
use super::visualization::COLORS;

/// The Vega specification. `%context%` and `%timefield%` are Kibana's and OpenSearch Dashboards': the dashboard's
/// choices and time range become the query.
pub(super) fn spec(index: Index, prefix: &str, size: u32) -> Value {
    let (statuses, colors): (Vec<&str>, Vec<&str>) = COLORS.into_iter().unzip();
    json!({
        "$schema": "https://vega.github.io/schema/vega/v5.json",
        "config": {"kibana": {"hideWarnings": true}},
        "padding": 5,
        "data": [{
            "name": "executions",
            "url": {
                "%context%": true,
                "%timefield%": "@timestamp",
                "index": index.pattern(prefix),
                "body": {"size": size, "_source": TIMELINE, "sort": latest_first()},
            },
            "format": {"property": "hits.hits"},
            "transform": [
                {"type": "filter", "expr": "datum._source['execution.start']"},
                {"type": "formula", "as": "start", "expr": "toDate(datum._source['execution.start'])"},
                // What still runs, runs until now.
                {"type": "formula", "as": "stop",
                 "expr": "datum._source['execution.stop'] ? toDate(datum._source['execution.stop']) : now()"},
                {"type": "formula", "as": "status", "expr": "datum._source['execution.status'] || 'unknown'"},
                {"type": "formula", "as": "what",
                 "expr": "(datum._source['execution.state_machine.name'] || 'no state machine') \
                          + ' ' + datum._source['execution.name']"},
                {"type": "window", "sort": {"field": "start", "order": "descending"},
                 "ops": ["row_number"], "as": ["row"]},
            ],
        }],
        "scales": [
            {"name": "x", "type": "time", "range": "width", "nice": true,
             "domain": {"data": "executions", "fields": ["start", "stop"]}},
            {"name": "y", "type": "band", "range": "height", "padding": 0.1,
             "domain": {"data": "executions", "field": "row", "sort": true}},
            {"name": "color", "type": "ordinal", "domain": statuses, "range": colors},
        ],
        "axes": [{"orient": "bottom", "scale": "x"}],
        "marks": [{
            "type": "rect",
            "from": {"data": "executions"},
            "encode": {"update": {
                "x": {"scale": "x", "field": "start"},
                // A bar of a few milliseconds among hours is still to be seen.
                "x2": {"signal": "max(scale('x', datum.stop), scale('x', datum.start) + 2)"},
                "y": {"scale": "y", "field": "row"},
                "height": {"scale": "y", "band": 1},
                "fill": {"scale": "color", "field": "status"},
                "tooltip": {"signal":
                    "{'execution': datum.what, 'status': datum.status, 'seconds': (datum.stop - datum.start) / 1000}"},
            }},
        }],
    })
}
