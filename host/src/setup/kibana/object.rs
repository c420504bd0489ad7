//! The saved objects: every index pattern, visualization, saved search, control and dashboard as an import takes them.

use serde_json::{Map, Value, json};

use super::chart::{Chart, Index, View};
use super::dashboard::{Control, DASHBOARDS, Dashboard, every_chart};
use super::visualization;

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
    /// The version of Kibana whose exports have attributes of this form.
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
/// How many rows the controls of the 7.10 form take above the charts.
const CONTROL_ROWS: u32 = 6;

impl Form {
    /// Every object; those that others refer to come first.
    pub fn objects(self) -> Vec<SavedObject> {
        let mut objects: Vec<SavedObject> = Index::EVERY.into_iter().map(index_pattern).collect();
        objects.extend(every_chart().map(chart));
        if self == Form::V7_10 {
            objects.extend(DASHBOARDS.iter().map(control_panel));
        }
        objects.extend(DASHBOARDS.iter().map(|each| dashboard(each, self)));
        objects
    }

    /// Every object as a file to import: one a line.
    pub fn ndjson(self) -> String {
        self.objects().iter().map(|object| format!("{}\n", object.line(self))).collect()
    }
}

impl SavedObject {
    fn line(&self, form: Form) -> Value {
        let references: Vec<Value> = self
            .references
            .iter()
            .map(|reference| json!({"name": reference.name, "type": reference.kind, "id": reference.id}))
            .collect();
        let mut line = json!({
            "id": self.id, "type": self.kind, "attributes": self.attributes, "references": references,
        });
        match form {
            Form::V7_10 => line["migrationVersion"] = json!({self.kind: self.version}),
            Form::V8_8 => {
                line["coreMigrationVersion"] = json!("8.8.0");
                line["typeMigrationVersion"] = json!(self.version);
            }
        }
        line
    }
}

fn index_pattern(index: Index) -> SavedObject {
    let formats: Map<String, Value> =
        [("event.duration", "nanoseconds"), ("duration_ms", "milliseconds"), ("xray.lag_ms", "milliseconds")]
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
            "title": index.pattern(),
            "timeFieldName": "@timestamp",
            // Kibana asks the index for its fields.
            "fields": "[]",
            "fieldFormatMap": text(&Value::Object(formats)),
        }),
        references: Vec::new(),
        version: "7.6.0",
    }
}

fn chart(chart: &Chart) -> SavedObject {
    let search_source = json!({
        "query": {"query": chart.kuery(), "language": "kuery"}, "filter": [], "indexRefName": INDEX,
    });
    let mut attributes = json!({
        "title": chart.title,
        "description": chart.description,
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": text(&search_source)},
    });
    let (kind, version) = match (&chart.view, visualization::state(chart)) {
        (View::Documents { columns, sort }, _) => {
            attributes["columns"] = json!(columns);
            attributes["sort"] = json!([[sort, "desc"]]);
            attributes["hits"] = json!(0);
            ("search", "7.4.0")
        }
        (_, state) => {
            attributes["visState"] = text(&state.unwrap_or_default());
            attributes["uiStateJSON"] = text(&visualization::ui_state());
            ("visualization", "7.8.0")
        }
    };
    let references = vec![reference(INDEX, "index-pattern", chart.index.id())];
    SavedObject { kind, id: chart.id.to_owned(), attributes, references, version }
}

/// The controls of a dashboard as a panel of their own.
fn control_panel(dashboard: &Dashboard) -> SavedObject {
    let title = format!("{}: choose", dashboard.title);
    let name = |place: usize| format!("control_{place}_index_pattern");
    let controls: Vec<Value> = dashboard
        .controls
        .iter()
        .enumerate()
        .map(|(place, control)| {
            json!({
                "id": control.id(), "fieldName": control.field, "label": control.label, "parent": "", "type": "list",
                "indexPatternRefName": name(place),
                "options": {"type": "terms", "multiselect": true, "dynamicOptions": true, "size": 50, "order": "desc"},
            })
        })
        .collect();
    let state = json!({
        "title": title,
        "type": "input_control_vis",
        "params": {
            "controls": controls, "updateFiltersOnChange": true, "useTimeFilter": true, "pinFilters": false,
        },
        "aggs": [],
    });
    SavedObject {
        kind: "visualization",
        id: control_panel_id(dashboard),
        attributes: json!({
            "title": title,
            "description": "",
            "version": 1,
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": text(&json!({"query": {"query": "", "language": "kuery"}, "filter": []})),
            },
            "visState": text(&state),
            "uiStateJSON": "{}",
        }),
        references: (dashboard.controls.iter().enumerate())
            .map(|(place, control)| reference(&name(place), "index-pattern", control.index.id()))
            .collect(),
        version: "7.8.0",
    }
}

fn dashboard(dashboard: &Dashboard, form: Form) -> SavedObject {
    let mut panels = Vec::new();
    let mut references = Vec::new();
    let mut add = |kind: &'static str, id: String, title: Option<&str>, [x, y, w, h]: [u32; 4]| {
        let place = panels.len().to_string();
        let mut panel = json!({
            "version": form.panel_version(),
            "gridData": {"x": x, "y": y, "w": w, "h": h, "i": place},
            "panelIndex": place,
            "embeddableConfig": {},
            "panelRefName": format!("panel_{place}"),
        });
        if let Some(title) = title {
            panel["title"] = json!(title);
        }
        let name = match form {
            Form::V7_10 => format!("panel_{place}"),
            Form::V8_8 => {
                panel["type"] = json!(kind);
                format!("{place}:panel_{place}")
            }
        };
        panels.push(panel);
        references.push(Reference { name, kind, id });
    };
    let above = match form {
        Form::V7_10 => {
            // A title of spaces: an empty one would be replaced by the visualization's own.
            add("visualization", control_panel_id(dashboard), Some(" "), [0, 0, 48, CONTROL_ROWS]);
            CONTROL_ROWS
        }
        Form::V8_8 => 0,
    };
    for panel in dashboard.panels {
        let kind = if matches!(panel.chart.view, View::Documents { .. }) { "search" } else { "visualization" };
        add(kind, panel.chart.id.to_owned(), None, [panel.x, above + panel.y, panel.width, panel.height]);
    }
    let mut attributes = json!({
        "title": dashboard.title,
        "description": dashboard.description,
        "version": 1,
        "panelsJSON": text(&Value::Array(panels)),
        "optionsJSON": text(&json!({"useMargins": true, "hidePanelTitles": false})),
        "timeRestore": true,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": true, "value": 60_000},
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": text(&json!({"query": {"query": "", "language": "kuery"}, "filter": []})),
        },
    });
    let version = match form {
        Form::V7_10 => {
            attributes["hits"] = json!(0);
            "7.3.0"
        }
        Form::V8_8 => {
            attributes["controlGroupInput"] = control_group(dashboard.controls);
            references.extend(dashboard.controls.iter().map(|control| {
                let name = format!("controlGroup_{}:optionsListDataView", control.id());
                reference(&name, "index-pattern", control.index.id())
            }));
            "8.7.0"
        }
    };
    SavedObject { kind: "dashboard", id: dashboard.id.to_owned(), attributes, references, version }
}

/// The controls of a dashboard as Kibana has them since 8.3.
fn control_group(controls: &[Control]) -> Value {
    let panels: Map<String, Value> = controls
        .iter()
        .enumerate()
        .map(|(order, control)| {
            let input = json!({
                "id": control.id(), "fieldName": control.field, "title": control.label, "enhancements": {},
            });
            let panel = json!({
                "order": order, "width": "medium", "grow": true, "type": "optionsListControl", "explicitInput": input,
            });
            (control.id(), panel)
        })
        .collect();
    json!({
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": text(&Value::Object(panels)),
        "ignoreParentSettingsJSON": text(&json!({
            "ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false,
        })),
    })
}

impl Form {
    fn panel_version(self) -> &'static str {
        match self {
            Form::V7_10 => "7.9.0",
            Form::V8_8 => "8.8.0",
        }
    }
}

impl Control {
    fn id(&self) -> String {
        format!("rayline-{}", self.field)
    }
}

fn control_panel_id(dashboard: &Dashboard) -> String {
    format!("{}-controls", dashboard.id)
}

fn reference(name: &str, kind: &'static str, id: &str) -> Reference {
    Reference { name: name.to_owned(), kind, id: id.to_owned() }
}

/// JSON inside JSON, as Kibana keeps it.
fn text(value: &Value) -> Value {
    Value::String(value.to_string())
}
