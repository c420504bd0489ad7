//! What a chart shows, whoever draws it: the indices, the conditions, the numbers and how they are split.
//!
//! Kibana's saved object (`visualization`) and the search behind it ([`Chart::search_body`]) are both made from this.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::json::with;
use crate::setup::mapping;

/// One chart.
#[derive(Debug)]
pub struct Chart {
    /// The saved object's id, for the default `index_prefix`: what an import replaces. Never changes.
    pub id: &'static str,
    /// Above the chart.
    pub title: &'static str,
    /// For whoever opens the chart by itself.
    pub description: &'static str,
    /// Which documents.
    pub index: Index,
    /// Which of them: all of these hold.
    pub conditions: &'static [Condition],
    /// What of them, and how it looks.
    pub view: View,
}

/// The indices that a chart reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Index {
    /// One document an execution.
    Executions,
    /// One document a trace.
    Traces,
    /// One document a segment or subsegment.
    Spans,
    /// All of them.
    All,
}

/// A condition on one field.
#[derive(Debug)]
pub enum Condition {
    /// The field has this value.
    Is(&'static str, &'static str),
    /// The field does not have this value, or is not there.
    IsNot(&'static str, &'static str),
}

/// What a chart draws.
#[derive(Debug)]
pub enum View {
    /// Numbers, split into buckets.
    Numbers {
        /// How they look.
        drawing: Drawing,
        /// Which numbers. At least one.
        metrics: &'static [Metric],
        /// How they are split, outermost first. The outermost one counts over all documents, those below it within
        /// each of its buckets.
        buckets: &'static [Bucket],
    },
    /// Executions as bars from start to stop, the latest first.
    Timeline {
        /// At most so many.
        size: u32,
    },
    /// The documents themselves, as a table.
    Documents {
        /// Which fields, in this order.
        columns: &'static [&'static str],
        /// Largest first.
        sort: &'static str,
    },
}

/// How numbers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// A ring, a slice a bucket.
    Pie,
    /// Bars on top of each other.
    StackedBars,
    /// Bars on top of each other, all of one height.
    PercentBars,
    /// A line for each metric and bucket.
    Lines,
    /// One large number.
    Tile,
    /// A row for each bucket.
    Table,
    /// Two splits, the number as a shade.
    HeatMap,
}

/// A number, with its label.
#[derive(Debug)]
pub enum Metric {
    /// How many documents.
    Count(&'static str),
    /// The sum of a field.
    Sum(&'static str, &'static str),
    /// Half, 95 and 99 percent of the documents have at most this in the field.
    Percentiles(&'static str, &'static str),
}

/// A split, with its label.
#[derive(Debug)]
pub enum Bucket {
    /// By `@timestamp`, in steps that suit the time range.
    Time,
    /// By the values of a field.
    Terms {
        /// Which field.
        field: &'static str,
        /// What its values are.
        label: &'static str,
        /// So many values; the rest is one more bucket where `rest` says so.
        size: u32,
        /// Which values first.
        order: Order,
        /// What documents without the field are called; `None` leaves them out. With it goes a bucket for the values
        /// beyond `size`, so that the buckets add up to all documents.
        rest: Option<&'static str>,
    },
}

/// Which values of a field come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those with the largest first metric, which is a count or a sum.
    Metric,
    /// Those with the most documents.
    Count,
}

/// What Kibana puts for documents without the field.
const MISSING: &str = "__missing__";
/// The percentiles of [`Metric::Percentiles`].
pub(super) const PERCENTS: [u32; 3] = [50, 95, 99];
/// The fields of [`View::Timeline`].
pub(super) const TIMELINE: &[&str] =
    &["execution.start", "execution.stop", "execution.status", "execution.state_machine.name", "execution.name"];
/// How many documents [`View::Documents`] asks for. Kibana itself takes its setting `discover:sampleSize`.
const DOCUMENTS: u32 = 500;

impl Chart {
    /// The body of the `_search` request whose answer the chart draws, over all time, with `day` where Kibana takes a
    /// step that suits the time range. Metrics are the aggregations `1`, `2`, …, buckets are counted on from there. A
    /// bucket for the values beyond the first is not part of it: Kibana asks for that one in a second request.
    pub fn search_body(&self) -> Value {
        let query = query(self.conditions);
        match &self.view {
            View::Numbers { metrics, buckets, .. } => {
                json!({"size": 0, "track_total_hits": true, "query": query, "aggs": aggregations(metrics, buckets)})
            }
            View::Timeline { size } => {
                json!({"query": query, "size": size, "_source": TIMELINE, "sort": latest_first()})
            }
            View::Documents { columns, sort } => {
                json!({"query": query, "size": DOCUMENTS, "_source": columns, "sort": [{*sort: "desc"}]})
            }
        }
    }

    /// Every field that the chart reads, `@timestamp` among them: the dashboard's time range is a condition on it.
    pub fn fields(&self) -> BTreeSet<&'static str> {
        let mut fields = BTreeSet::from(["@timestamp"]);
        fields.extend(self.conditions.iter().map(|condition| match condition {
            Condition::Is(field, _) | Condition::IsNot(field, _) => *field,
        }));
        match &self.view {
            View::Numbers { metrics, buckets, .. } => {
                fields.extend(metrics.iter().filter_map(Metric::field));
                fields.extend(buckets.iter().filter_map(Bucket::field));
            }
            View::Timeline { .. } => fields.extend(TIMELINE),
            View::Documents { columns, sort } => {
                fields.extend(*columns);
                fields.insert(sort);
            }
        }
        fields
    }

    /// The conditions in Kibana's query language.
    pub(super) fn kuery(&self) -> String {
        let terms: Vec<String> = self
            .conditions
            .iter()
            .map(|condition| match condition {
                Condition::Is(field, value) => format!("{field}: \"{value}\""),
                Condition::IsNot(field, value) => format!("not {field}: \"{value}\""),
            })
            .collect();
        terms.join(" and ")
    }
}

impl Index {
    /// Every one.
    pub const EVERY: [Index; 4] = [Index::Executions, Index::Traces, Index::Spans, Index::All];

    /// The indices of one kind each.
    pub fn kinds(self) -> &'static [mapping::Index] {
        match self {
            Index::Executions => &[mapping::Index::Executions],
            Index::Traces => &[mapping::Index::Traces],
            Index::Spans => &[mapping::Index::Spans],
            Index::All => &mapping::Index::ALL,
        }
    }

    /// What stands in a search's path.
    pub fn pattern(self, prefix: &str) -> String {
        let patterns: Vec<String> = self.kinds().iter().map(|kind| kind.pattern(prefix)).collect();
        patterns.join(",")
    }

    /// The id of its saved object.
    pub(super) fn id(self) -> &'static str {
        match self {
            Index::Executions => "rayline-index-executions",
            Index::Traces => "rayline-index-traces",
            Index::Spans => "rayline-index-spans",
            Index::All => "rayline-index-all",
        }
    }
}

impl Metric {
    pub(super) fn field(&self) -> Option<&'static str> {
        match self {
            Metric::Count(_) => None,
            Metric::Sum(field, _) | Metric::Percentiles(field, _) => Some(field),
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Metric::Count(label) | Metric::Sum(_, label) | Metric::Percentiles(_, label) => label,
        }
    }
}

impl Bucket {
    pub(super) fn field(&self) -> Option<&'static str> {
        match self {
            Bucket::Time => None,
            Bucket::Terms { field, .. } => Some(field),
        }
    }
}

pub(super) fn latest_first() -> Value {
    json!([{"@timestamp": "desc"}])
}

fn query(conditions: &[Condition]) -> Value {
    let (mut filter, mut must_not) = (Vec::new(), Vec::new());
    for condition in conditions {
        match condition {
            Condition::Is(field, value) => filter.push(json!({"term": {*field: value}})),
            Condition::IsNot(field, value) => must_not.push(json!({"term": {*field: value}})),
        }
    }
    json!({"bool": {"filter": filter, "must_not": must_not}})
}

/// The buckets inside each other, the metrics in the innermost, and in the others where these are ordered by one.
fn aggregations(metrics: &[Metric], buckets: &[Bucket]) -> Value {
    let numbers: Map<String, Value> = metrics
        .iter()
        .zip(1..)
        .filter_map(|(metric, id)| {
            let aggregation = match metric {
                Metric::Count(_) => return None,
                Metric::Sum(field, _) => json!({"sum": {"field": field}}),
                Metric::Percentiles(field, _) => json!({"percentiles": {"field": field, "percents": PERCENTS}}),
            };
            Some((id.to_string(), aggregation))
        })
        .collect();
    let mut inner = numbers.clone();
    for (place, bucket) in buckets.iter().enumerate().rev() {
        let id = metrics.len() + 1 + place;
        let aggregation = match bucket {
            Bucket::Time => {
                json!({"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "min_doc_count": 1}})
            }
            Bucket::Terms { field, size, order, rest, .. } => {
                let counts = *order == Order::Count || matches!(metrics, [Metric::Count(_), ..]);
                let by = if counts { "_count" } else { "1" };
                if by == "1" {
                    inner.extend(numbers.clone());
                }
                let terms = json!({"field": field, "size": size, "order": {(by): "desc"}});
                json!({"terms": if rest.is_some() { with(terms, [("missing", json!(MISSING))]) } else { terms }})
            }
        };
        let aggregation =
            if inner.is_empty() { aggregation } else { with(aggregation, [("aggs", Value::Object(inner))]) };
        inner = Map::from_iter([(id.to_string(), aggregation)]);
    }
    Value::Object(inner)
}
