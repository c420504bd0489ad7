//! The saved objects by themselves: they parse, refer to each other, and are what their charts say.

use std::collections::{BTreeMap, BTreeSet};

use rayline::setup::kibana::chart::{Chart, View};
use rayline::setup::kibana::dashboard::every_chart;
use rayline::setup::kibana::object::Form;
use serde_json::Value;

const FORMS: [Form; 2] = [Form::V7_10, Form::V8_8];

/// The members that are JSON text, and in them the members that are.
const TEXTS: [&str; 9] = [
    "fieldFormatMap",
    "fields",
    "ignoreParentSettingsJSON",
    "optionsJSON",
    "panelsJSON",
    "searchSourceJSON",
    "spec",
    "uiStateJSON",
    "visState",
];

fn lines(form: Form) -> Vec<Value> {
    lines_for(form, "xray")
}

fn lines_for(form: Form, prefix: &str) -> Vec<Value> {
    form.ndjson(prefix).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The value with every JSON text in it parsed.
fn unfolded(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(unfolded).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if TEXTS.contains(&name.as_str()) => {
                    let parsed: Value =
                        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
                    (name.clone(), unfolded(&parsed))
                }
                _ => (name.clone(), unfolded(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => value.clone(),
    }
}

/// Every value of a member of this name, at any depth.
fn all<'v>(value: &'v Value, name: &str) -> Vec<&'v Value> {
    match value {
        Value::Array(values) => values.iter().flat_map(|value| all(value, name)).collect(),
        Value::Object(members) => {
            members.get(name).into_iter().chain(members.values().flat_map(|value| all(value, name))).collect()
        }
        _ => Vec::new(),
    }
}

fn texts<'v>(values: &[&'v Value]) -> BTreeSet<&'v str> {
    values.iter().filter_map(|value| value.as_str()).collect()
}

fn chart(id: &str) -> Option<&'static Chart> {
    every_chart().find(|chart| chart.id == id)
}

#[test]
fn every_line_parses_and_so_does_the_json_in_it() {
    for form in FORMS {
        let lines = lines(form);
        let places: BTreeSet<_> = lines.iter().map(|line| (line["type"].to_string(), line["id"].to_string())).collect();
        assert_eq!(places.len(), lines.len(), "two objects of one type and id");
        for line in &lines {
            let unfolded = unfolded(line);
            for (name, value) in unfolded["attributes"].as_object().expect("attributes") {
                let is_json = value.as_str().is_some_and(|text| text.starts_with(['{', '[']));
                assert!(!is_json, "{name} of {} is JSON text that no reader of Kibana knows", line["id"]);
            }
        }
    }
}

/// The versions up to which the oldest supported Kibana knows each type, and what a file of this form never has.
#[test]
fn the_stamps_are_those_that_the_oldest_server_of_the_form_knows() {
    for (form, known) in [
        (
            Form::V7_10,
            [("dashboard", "7.3.0"), ("index-pattern", "7.6.0"), ("search", "7.4.0"), ("visualization", "7.8.0")],
        ),
        (
            Form::V8_8,
            [("dashboard", "8.7.0"), ("index-pattern", "7.6.0"), ("search", "7.4.0"), ("visualization", "7.8.0")],
        ),
    ] {
        let known = BTreeMap::from(known);
        let mut seen = BTreeSet::new();
        for line in lines(form) {
            let kind = line["type"].as_str().expect("a type").to_owned();
            match form {
                Form::V7_10 => {
                    assert_eq!(line["migrationVersion"], serde_json::json!({kind.clone(): known[kind.as_str()]}));
                    assert!(line.get("coreMigrationVersion").is_none() && line.get("typeMigrationVersion").is_none());
                }
                Form::V8_8 => {
                    assert_eq!(line["coreMigrationVersion"], "8.8.0");
                    assert_eq!(line["typeMigrationVersion"], known[kind.as_str()]);
                    assert!(line.get("migrationVersion").is_none());
                    assert!(!line.to_string().contains("input_control_vis"), "Kibana 8.8 has other controls");
                }
            }
            seen.insert(kind);
        }
        assert_eq!(seen, known.keys().map(|kind| (*kind).to_owned()).collect(), "a type that is never there");
    }
}

#[test]
fn every_reference_leads_to_an_object_and_has_its_user() {
    for (form, prefix) in FORMS.into_iter().flat_map(|form| [(form, "xray"), (form, "acme")]) {
        let lines = lines_for(form, prefix);
        let places: BTreeSet<_> = lines
            .iter()
            .map(|line| (&line["type"], &line["id"]))
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect();
        let mut referred = BTreeSet::new();
        for line in &lines {
            let content = unfolded(&line["attributes"]);
            // A control of the 8.8 form names its reference by its own id.
            let mut used: BTreeSet<String> = all(&content, "controlGroupInput")
                .iter()
                .flat_map(|group| group["panelsJSON"].as_object().expect("panels").keys())
                .map(|id| format!("controlGroup_{id}:optionsListDataView"))
                .collect();
            for name in ["indexRefName", "indexPatternRefName"] {
                used.extend(texts(&all(&content, name)).into_iter().map(str::to_owned));
            }
            for panel in all(&content, "panelsJSON").into_iter().filter_map(Value::as_array).flatten() {
                let (index, name) =
                    (panel["panelIndex"].as_str().expect("text"), panel["panelRefName"].as_str().expect("text"));
                used.insert(if form == Form::V7_10 { name.to_owned() } else { format!("{index}:{name}") });
            }
            let references = line["references"].as_array().expect("references");
            let named: BTreeSet<String> =
                references.iter().map(|it| it["name"].as_str().expect("a name").to_owned()).collect();
            assert_eq!(named, used, "{}", line["id"]);
            assert_eq!(named.len(), references.len(), "{}: two references of one name", line["id"]);
            for reference in references {
                let place = (reference["type"].to_string(), reference["id"].to_string());
                assert!(places.contains(&place), "{} refers to {place:?}, which is not in the file", line["id"]);
                referred.insert(place);
            }
        }
        let idle: Vec<_> =
            places.iter().filter(|place| place.0 != "\"dashboard\"" && !referred.contains(*place)).collect();
        assert!(idle.is_empty(), "on no dashboard: {idle:?}");
    }
}

/// What a chart is drawn from and what its search asks for come from one description; here the two are compared.
#[test]
fn what_kibana_draws_is_what_the_search_asks_for() {
    let mut compared = 0;
    for line in lines(Form::V7_10).iter().map(unfolded) {
        let Some(chart) = chart(line["id"].as_str().expect("an id")) else { continue };
        let (content, search) = (&line["attributes"], chart.search_body());
        let index = line["references"][0]["id"].as_str().expect("an id");
        let pattern = lines(Form::V7_10).iter().find(|line| line["id"] == index).expect("the index pattern")["attributes"]["title"].clone();
        assert_eq!(pattern, chart.index.pattern("xray"), "{}", chart.id);
        match &chart.view {
            View::Numbers { .. } => {
                let mut below = search.get("aggs");
                let (metrics, buckets): (Vec<&Value>, Vec<&Value>) = content["visState"]["aggs"]
                    .as_array()
                    .expect("aggregations")
                    .iter()
                    .partition(|agg| agg["schema"] == "metric");
                for bucket in buckets {
                    let kind = bucket["type"].as_str().expect("a type");
                    let asked = &below.expect("an aggregation")[bucket["id"].as_str().expect("an id")];
                    for name in ["field", "size"] {
                        assert_eq!(asked[kind].get(name), bucket["params"].get(name), "{}: {asked}", chart.id);
                    }
                    assert_eq!(
                        asked[kind].get("missing").is_some(),
                        bucket["params"]["missingBucket"] == true,
                        "{}",
                        chart.id
                    );
                    below = asked.get("aggs");
                }
                for metric in metrics.into_iter().filter(|metric| metric["type"] != "count") {
                    let asked = &below.expect("a metric")[metric["id"].as_str().expect("an id")];
                    let kind = metric["type"].as_str().expect("a type");
                    for name in ["field", "percents"] {
                        assert_eq!(asked[kind].get(name), metric["params"].get(name), "{}: {asked}", chart.id);
                    }
                }
            }
            View::Timeline { .. } => {
                let url = &content["visState"]["params"]["spec"]["data"][0]["url"];
                assert_eq!(url["index"], chart.index.pattern("xray"));
                for name in ["size", "_source", "sort"] {
                    assert_eq!(url["body"][name], search[name]);
                }
            }
            View::Documents { .. } => {
                assert_eq!(content["columns"], search["_source"]);
                assert_eq!(
                    search["sort"][0].as_object().expect("a sort").keys().next().map(String::as_str),
                    content["sort"][0][0].as_str()
                );
            }
        }
        compared += 1;
    }
    assert_eq!(compared, every_chart().count());
}

/// Of the index and its prefix, nothing but patterns, ids and the names of dashboards.
#[test]
fn another_prefix_changes_patterns_and_ids_and_no_more() {
    for form in FORMS {
        let text = form.ndjson("acme");
        assert!(["xray-executions", "xray-traces", "xray-spans"].iter().all(|name| !text.contains(name)), "{text}");
        let (ours, theirs) = (lines(form), lines_for(form, "acme"));
        for (own, other) in ours.iter().zip(&theirs) {
            assert_eq!(format!("{}.acme", own["id"].as_str().expect("an id")), other["id"].as_str().expect("an id"));
            let kinds = ["executions", "traces", "spans"];
            let own = own["attributes"].to_string().replace("X-Ray: executions\"", "X-Ray: executions (acme)\"");
            let own = own.replace("services and pipeline\"", "services and pipeline (acme)\"");
            let own =
                kinds.iter().fold(own, |text, kind| text.replace(&format!("xray-{kind}-*"), &format!("acme-{kind}-*")));
            assert_eq!(own, other["attributes"].to_string());
        }
        assert_eq!(ours.len(), theirs.len());
    }
}

/// Every field that an object mentions is one that its chart declares.
#[test]
fn the_objects_mention_no_other_fields_than_the_charts_declare() {
    for line in FORMS.into_iter().flat_map(lines).map(|line| unfolded(&line)) {
        let Some(chart) = chart(line["id"].as_str().expect("an id")) else { continue };
        if matches!(chart.view, View::Timeline { .. }) {
            continue;
        }
        let (mentioned, declared) = (all(&line["attributes"], "field"), chart.fields());
        assert!(texts(&mentioned).is_subset(&declared), "{}: {mentioned:?}", chart.id);
    }
}

#[test]
fn panels_do_not_overlap_and_leave_no_gap() {
    for line in FORMS.into_iter().flat_map(lines).map(|line| unfolded(&line)).filter(|line| line["type"] == "dashboard")
    {
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in line["attributes"]["panelsJSON"].as_array().expect("panels") {
            let grid = &panel["gridData"];
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| grid[name].as_u64().expect("a number"));
            assert_eq!(grid["i"], panel["panelIndex"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                let other = taken.insert(cell, panel["panelIndex"].to_string());
                assert_eq!(other, None, "{}: two panels at {cell:?}", line["id"]);
            }
        }
        let right = taken.keys().map(|cell| cell.0 + 1).max();
        let rows = taken.keys().map(|cell| cell.1 + 1).max().expect("panels");
        assert_eq!(right, Some(48), "{}", line["id"]);
        assert_eq!(taken.len() as u64, 48 * rows, "{}: a gap", line["id"]);
        assert_eq!(line["attributes"]["timeRestore"], true);
    }
}
