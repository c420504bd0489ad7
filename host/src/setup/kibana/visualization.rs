//! A chart as Kibana's aggregation-based visualization: the form of 7.8, which every later Kibana migrates and
//! OpenSearch Dashboards keeps.

use serde_json::{Value, json};

use super::chart::{Bucket, Chart, Drawing, Metric, Order, PERCENTS, View};
use super::json::with;
use super::timeline;

/// `visState`: title, type, how it is drawn, what is aggregated. A table of documents is no visualization and has none.
pub(super) fn state(chart: &Chart, prefix: &str) -> Value {
    match &chart.view {
        View::Numbers { drawing, metrics, buckets } => json!({
            "title": chart.title,
            "type": kind(*drawing),
            "params": params(*drawing, metrics, buckets),
            "aggs": aggregations(*drawing, metrics, buckets),
        }),
        View::Timeline { size } => json!({
            "title": chart.title,
            "type": "vega",
            "params": {"spec": timeline::spec(chart.index, prefix, *size).to_string()},
            "aggs": [],
        }),
        View::Documents { .. } => Value::Null,
    }
}

/// `uiStateJSON`: red is what failed, in every chart.
pub(super) fn ui_state() -> Value {
    let colors: serde_json::Map<_, _> =
        COLORS.iter().map(|(value, color)| ((*value).to_owned(), json!(color))).collect();
    json!({"vis": {"colors": colors}})
}

/// The colors of statuses and outcomes.
pub(super) const COLORS: [(&str, &str); 8] = [
    ("SUCCEEDED", "#54B399"),
    ("FAILED", "#E7664C"),
    ("TIMED_OUT", "#AA6556"),
    ("ABORTED", "#D6BF57"),
    ("RUNNING", "#6092C0"),
    ("success", "#54B399"),
    ("failure", "#E7664C"),
    ("unknown", "#98A2B3"),
];

fn kind(drawing: Drawing) -> &'static str {
    match drawing {
        Drawing::Pie => "pie",
        Drawing::StackedBars | Drawing::PercentBars => "histogram",
        Drawing::Lines => "line",
        Drawing::Tile => "metric",
        Drawing::Table => "table",
        Drawing::HeatMap => "heatmap",
    }
}

fn aggregations(drawing: Drawing, metrics: &[Metric], buckets: &[Bucket]) -> Value {
    let metrics_json = metrics.iter().zip(1..).map(|(metric, id)| {
        let (kind, params) = match metric {
            Metric::Count(label) => ("count", json!({"customLabel": label})),
            Metric::Sum(field, label) => ("sum", json!({"field": field, "customLabel": label})),
            Metric::Percentiles(field, label) => {
                ("percentiles", json!({"field": field, "percents": PERCENTS, "customLabel": label}))
            }
        };
        json!({"id": id.to_string(), "enabled": true, "type": kind, "schema": "metric", "params": params})
    });
    let last = buckets.len();
    let buckets_json = buckets.iter().zip(1..).map(|(bucket, place)| {
        let schema = match drawing {
            Drawing::Table => "bucket",
            Drawing::Pie => "segment",
            _ if place == last => "segment",
            _ => "group",
        };
        let id = (metrics.len() + place).to_string();
        let (kind, params) = match bucket {
            Bucket::Time => ("date_histogram", time()),
            Bucket::Terms { .. } => ("terms", terms(bucket, &id)),
        };
        json!({"id": id, "enabled": true, "type": kind, "schema": schema, "params": params})
    });
    metrics_json.chain(buckets_json).collect()
}

fn time() -> Value {
    json!({
        "field": "@timestamp",
        "useNormalizedEsInterval": true,
        "scaleMetricValues": false,
        "interval": "auto",
        "drop_partials": false,
        "min_doc_count": 1,
        "extended_bounds": {},
        "customLabel": "Time",
    })
}

fn terms(bucket: &Bucket, id: &str) -> Value {
    let Bucket::Terms { field, label, size, order, rest } = bucket else { return Value::Null };
    let params = json!({
        "field": field,
        "customLabel": label,
        "size": size,
        "order": "desc",
        "otherBucket": rest.is_some(),
        "otherBucketLabel": "others",
        "missingBucket": rest.is_some(),
        "missingBucketLabel": rest.unwrap_or("missing"),
    });
    match order {
        Order::Metric => with(params, [("orderBy", json!("1"))]),
        Order::Count => {
            let id = format!("{id}-orderAgg");
            let count = json!({"id": id, "enabled": true, "type": "count", "schema": "orderAgg", "params": {}});
            with(params, [("orderBy", json!("custom")), ("orderAgg", count)])
        }
    }
}

fn params(drawing: Drawing, metrics: &[Metric], buckets: &[Bucket]) -> Value {
    match drawing {
        Drawing::Pie => json!({
            "type": "pie", "addTooltip": true, "addLegend": true, "legendPosition": "right", "isDonut": true,
            "labels": {"show": true, "values": true, "last_level": true, "truncate": 100},
        }),
        Drawing::StackedBars | Drawing::PercentBars | Drawing::Lines => axes(drawing, metrics),
        Drawing::Tile => json!({
            "type": "metric", "addTooltip": true, "addLegend": false,
            "metric": {
                "percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None",
                "colorsRange": [{"from": 0, "to": 10000}], "labels": {"show": true}, "invertColors": false,
                "style": {"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 48},
            },
        }),
        Drawing::Table => json!({
            "perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false,
            "sort": {"columnIndex": buckets.len(), "direction": "desc"}, "totalFunc": "sum", "percentageCol": "",
        }),
        Drawing::HeatMap => json!({
            "type": "heatmap", "addTooltip": true, "addLegend": true, "enableHover": false, "legendPosition": "right",
            "times": [], "colorsNumber": 5, "colorSchema": "Blues", "setColorRange": false, "colorsRange": [],
            "invertColors": false, "percentageMode": false,
            "valueAxes": [{
                "show": false, "id": "ValueAxis-1", "type": "value",
                "scale": {"type": "linear", "defaultYExtents": false},
                "labels": {"show": true, "rotate": 0, "overwriteColor": false, "color": "black"},
            }],
        }),
    }
}

/// Charts with a time axis below and a value axis on the left.
fn axes(drawing: Drawing, metrics: &[Metric]) -> Value {
    let lines = drawing == Drawing::Lines;
    let shape = if lines { "line" } else { "histogram" };
    let label = metrics.first().map_or("", Metric::label);
    let series = metrics.iter().zip(1..).map(|(metric, id)| {
        json!({
            "show": true, "type": shape, "mode": if lines { "normal" } else { "stacked" },
            "data": {"label": metric.label(), "id": id.to_string()}, "valueAxis": "ValueAxis-1",
            "drawLinesBetweenPoints": true, "lineWidth": 2, "interpolate": "linear", "showCircles": true,
        })
    });
    json!({
        "type": shape,
        "grid": {"categoryLines": false},
        "categoryAxes": [{
            "id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": true, "style": {},
            "scale": {"type": "linear"}, "labels": {"show": true, "filter": true, "truncate": 100}, "title": {},
        }],
        "valueAxes": [{
            "id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": true, "style": {},
            "scale": {"type": "linear", "mode": if drawing == Drawing::PercentBars { "percentage" } else { "normal" }},
            "labels": {"show": true, "rotate": 0, "filter": false, "truncate": 100}, "title": {"text": label},
        }],
        "seriesParams": series.collect::<Value>(),
        "addTooltip": true,
        "addLegend": true,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": false,
        "labels": {"show": false},
        "thresholdLine": {"show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
    })
}
