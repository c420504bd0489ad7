//! The saved objects: every index pattern, chart, control and dashboard as an import takes them.

use serde_json::{Map, Value, json};

use super::chart::{Chart, Index, View};
use super::dashboard::{DASHBOARDS, every_chart};
use super::json::{text, with};
use super::{saved_dashboard, visualization};
use crate::setup::indices::DEFAULT_PREFIX;

/// Which programs can import the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Kibana 7.9 to 8 and OpenSearch Dashboards 1 to 3.
    #[value(name = "7.10")]
    V7_10,
    /// Kibana 8.8 to 9: stamped as 8.8 exports, and with the controls that took the place of 7.10's.
    #[value(name = "8.8")]
    V8_8,
}

/// One saved object.
#[derive(Debug)]
pub struct SavedObject {
    /// `index-pattern`, `visualization`, `search` or `dashboard`.
    pub kind: &'static str,
    /// Never changes, so that an import replaces.
    pub id: String,
    /// What Kibana keeps. Some members are JSON text.
    pub attributes: Value,
    /// Other objects, by the names that the attributes give them.
    pub references: Vec<Reference>,
    /// The version whose attributes these are. A newer Kibana migrates from there: its latest still can from 7.
    pub version: &'static str,
}

/// One object's mention of another.
#[derive(Debug)]
pub struct Reference {
    /// What the attributes call it.
    pub name: String,
    /// The other's kind.
    pub kind: &'static str,
    /// The other's id.
    pub id: String,
}

const INDEX: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";
/// Fields with durations, in the units that Kibana knows.
const DURATIONS: [(&str, &str); 3] =
    [("event.duration", "nanoseconds"), ("duration_ms", "milliseconds"), ("xray.lag_ms", "milliseconds")];

impl Form {
    /// Every object, for the indices with this prefix; those that others refer to come first.
    pub fn objects(self, prefix: &str) -> Vec<SavedObject> {
        let mut objects: Vec<SavedObject> =
            Index::EVERY.into_iter().map(|index| index_pattern(index, prefix)).collect();
        objects.extend(every_chart().map(|it| chart(it, prefix)));
        if self == Form::V7_10 {
            objects.extend(DASHBOARDS.iter().map(saved_dashboard::control_panel));
        }
        objects.extend(DASHBOARDS.iter().map(|dashboard| saved_dashboard::dashboard(dashboard, self, prefix)));
        for object in &mut objects {
            object.id = own_id(&object.id, prefix);
            for reference in &mut object.references {
                reference.id = own_id(&reference.id, prefix);
            }
        }
        objects
    }

    /// Every object as a file to import: one a line.
    pub fn ndjson(self, prefix: &str) -> String {
        self.objects(prefix).iter().map(|object| format!("{}\n", object.line(self))).collect()
    }
}

impl SavedObject {
    fn line(&self, form: Form) -> Value {
        let references: Vec<Value> = self
            .references
            .iter()
            .map(|reference| json!({"name": reference.name, "type": reference.kind, "id": reference.id}))
            .collect();
        let line = json!({"id": self.id, "type": self.kind, "attributes": self.attributes, "references": references});
        match form {
            Form::V7_10 => with(line, [("migrationVersion", json!({(self.kind): self.version}))]),
            Form::V8_8 => {
                with(line, [("coreMigrationVersion", json!("8.8.0")), ("typeMigrationVersion", json!(self.version))])
            }
        }
    }
}

impl Reference {
    pub(super) fn to_index(name: String, index: Index) -> Reference {
        Reference { name, kind: "index-pattern", id: index.id().to_owned() }
    }
}

/// The id of an object for the indices with this prefix. Another than the default one stands in it, so that one server can
/// have the objects of several; after a point, which no id has by itself.
pub(super) fn own_id(id: &str, prefix: &str) -> String {
    if prefix == DEFAULT_PREFIX { id.to_owned() } else { format!("{id}.{prefix}") }
}

fn index_pattern(index: Index, prefix: &str) -> SavedObject {
    let formats: Map<String, Value> = DURATIONS
        .into_iter()
        .map(|(field, unit)| {
            let params = json!({"inputFormat": unit, "outputFormat": "asSeconds", "outputPrecision": 3});
            (field.to_owned(), json!({"id": "duration", "params": params}))
        })
        .collect();
    SavedObject {
        kind: "index-pattern",
        id: index.id().to_owned(),
        attributes: json!({
            "title": index.pattern(prefix),
            "timeFieldName": "@timestamp",
            // None: the server asks the index for them.
            "fields": "[]",
            "fieldFormatMap": text(&Value::Object(formats)),
        }),
        references: Vec::new(),
        version: "7.6.0",
    }
}

fn chart(chart: &Chart, prefix: &str) -> SavedObject {
    let common = json!({
        "title": chart.title,
        "description": chart.description,
        "version": 1,
        "kibanaSavedObjectMeta": search_source(&chart.kuery(), &[("indexRefName", INDEX)]),
    });
    let (kind, version, attributes) = match &chart.view {
        View::Documents { columns, sort } => {
            let more = [("columns", json!(columns)), ("sort", json!([[sort, "desc"]])), ("hits", json!(0))];
            ("search", "7.4.0", with(common, more))
        }
        View::Numbers { .. } | View::Timeline { .. } => {
            let state = text(&visualization::state(chart, prefix));
            let more = [("visState", state), ("uiStateJSON", text(&visualization::ui_state()))];
            ("visualization", "7.8.0", with(common, more))
        }
    };
    let references = vec![Reference::to_index(INDEX.to_owned(), chart.index)];
    SavedObject { kind, id: chart.id.to_owned(), attributes, references, version }
}

/// `kibanaSavedObjectMeta`: the query of an object, in Kibana's query language.
pub(super) fn search_source(query: &str, more: &[(&str, &str)]) -> Value {
    let mut source = Map::from_iter([
        ("query".to_owned(), json!({"query": query, "language": "kuery"})),
        ("filter".to_owned(), json!([])),
    ]);
    source.extend(more.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    json!({"searchSourceJSON": text(&Value::Object(source))})
}
