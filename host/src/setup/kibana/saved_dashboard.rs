//! A dashboard and its controls as saved objects. The controls are where the two forms differ: a panel of their own in
//! 7.10, a member of the dashboard in 8.8.

use serde_json::{Map, Value, json};

use super::chart::View;
use super::dashboard::{Control, Dashboard};
use super::json::{text, with};
use super::object::{Form, Reference, SavedObject, search_source};

/// How many rows the panel of the controls takes above the charts.
const CONTROL_ROWS: u32 = 6;

/// One panel: what is in it, its place in columns and rows, and a title where it is not that of the object.
struct Panel {
    kind: &'static str,
    id: String,
    title: Option<&'static str>,
    grid: [u32; 4],
}

pub(super) fn dashboard(dashboard: &Dashboard, form: Form, prefix: &str) -> SavedObject {
    let panels = panels(dashboard, form);
    let mut references: Vec<Reference> = panels
        .iter()
        .enumerate()
        .map(|(place, panel)| {
            let name = match form {
                Form::V7_10 => format!("panel_{place}"),
                Form::V8_8 => format!("{place}:panel_{place}"),
            };
            Reference { name, kind: panel.kind, id: panel.id.clone() }
        })
        .collect();
    let panels = panels.iter().enumerate().map(|(place, panel)| panel.json(place, form)).collect();
    let common = json!({
        "title": dashboard.title_for(prefix),
        "description": dashboard.description,
        "version": 1,
        "panelsJSON": text(&Value::Array(panels)),
        "optionsJSON": text(&json!({"useMargins": true, "hidePanelTitles": false})),
        "timeRestore": true,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": true, "value": 60_000},
        "kibanaSavedObjectMeta": search_source("", &[]),
    });
    let (version, attributes) = match form {
        Form::V7_10 => ("7.3.0", with(common, [("hits", json!(0))])),
        Form::V8_8 => {
            references.extend(dashboard.controls.iter().map(|control| {
                Reference::to_index(format!("controlGroup_{}:optionsListDataView", control.id()), control.index)
            }));
            ("8.7.0", with(common, [("controlGroupInput", control_group(dashboard.controls))]))
        }
    };
    SavedObject { kind: "dashboard", id: dashboard.id.to_owned(), attributes, references, version }
}

/// The controls of a dashboard as a visualization.
pub(super) fn control_panel(dashboard: &Dashboard) -> SavedObject {
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
    let params =
        json!({"controls": controls, "updateFiltersOnChange": true, "useTimeFilter": true, "pinFilters": false});
    let state = json!({"title": title, "type": "input_control_vis", "params": params, "aggs": []});
    SavedObject {
        kind: "visualization",
        id: control_panel_id(dashboard),
        attributes: json!({
            "title": title,
            "description": "",
            "version": 1,
            "kibanaSavedObjectMeta": search_source("", &[]),
            "visState": text(&state),
            "uiStateJSON": "{}",
        }),
        references: (dashboard.controls.iter().enumerate())
            .map(|(place, control)| Reference::to_index(name(place), control.index))
            .collect(),
        version: "7.8.0",
    }
}

/// The controls of a dashboard as Kibana has them since 8.3.
fn control_group(controls: &[Control]) -> Value {
    let panels: Map<String, Value> = controls
        .iter()
        .enumerate()
        .map(|(order, control)| {
            let input =
                json!({"id": control.id(), "fieldName": control.field, "title": control.label, "enhancements": {}});
            let panel = json!({
                "order": order, "width": "medium", "grow": true, "type": "optionsListControl", "explicitInput": input,
            });
            (control.id(), panel)
        })
        .collect();
    let settings =
        json!({"ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false});
    json!({
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": text(&Value::Object(panels)),
        "ignoreParentSettingsJSON": text(&settings),
    })
}

fn panels(dashboard: &Dashboard, form: Form) -> Vec<Panel> {
    let mut panels = Vec::new();
    let mut above = 0;
    if form == Form::V7_10 {
        above = CONTROL_ROWS;
        // A space: an empty title would be the object's own.
        let (id, title) = (control_panel_id(dashboard), Some(" "));
        panels.push(Panel { kind: "visualization", id, title, grid: [0, 0, 48, above] });
    }
    panels.extend(dashboard.panels.iter().map(|panel| Panel {
        kind: if matches!(panel.chart.view, View::Documents { .. }) { "search" } else { "visualization" },
        id: panel.chart.id.to_owned(),
        title: None,
        grid: [panel.x, above + panel.y, panel.width, panel.height],
    }));
    panels
}

impl Panel {
    fn json(&self, place: usize, form: Form) -> Value {
        let [x, y, w, h] = self.grid;
        let i = place.to_string();
        let panel = json!({
            "gridData": {"x": x, "y": y, "w": w, "h": h, "i": i},
            "panelIndex": i,
            "embeddableConfig": {},
            "panelRefName": format!("panel_{place}"),
        });
        let panel = match form {
            Form::V7_10 => with(panel, [("version", json!("7.9.0"))]),
            Form::V8_8 => with(panel, [("version", json!("8.8.0")), ("type", json!(self.kind))]),
        };
        match self.title {
            Some(title) => with(panel, [("title", json!(title))]),
            None => panel,
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
