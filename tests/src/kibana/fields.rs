//! The fields that charts and controls use: they are in the mapping, and in documents.

use std::collections::{BTreeMap, BTreeSet};

use rayline::setup::kibana::chart::{Index, View};
use rayline::setup::kibana::dashboard::{DASHBOARDS, every_chart};
use rayline::setup::mapping::{EVERY, Kind};

use super::golden;

/// What is counted, split, sorted or chosen by must be found; what is only shown need not be.
#[test]
fn every_field_is_in_the_mapping_with_a_type_that_suits_its_use() {
    for chart in every_chart() {
        let shown: &[&str] = match &chart.view {
            View::Documents { columns, .. } => columns,
            View::Timeline { .. } | View::Numbers { .. } => &[],
        };
        for field in chart.fields() {
            let kind = kind(chart.index, field);
            assert!(is_found(kind) || shown.contains(&field), "{}: {field} is a {kind:?}", chart.id);
        }
    }
    for control in DASHBOARDS.iter().flat_map(|dashboard| dashboard.controls) {
        assert!(is_found(kind(control.index, control.field)), "{}", control.field);
    }
}

fn kind(index: Index, field: &str) -> Kind {
    let mut fields = EVERY.iter().copied().chain(index.kinds().iter().flat_map(|kind| kind.fields()));
    fields.find(|(name, _)| *name == field).unwrap_or_else(|| panic!("{field} is not in the mapping of {index:?}")).1
}

fn is_found(kind: Kind) -> bool {
    matches!(kind, Kind::Keyword(_) | Kind::Date | Kind::Boolean | Kind::Integer | Kind::Long | Kind::Double | Kind::Ip)
}

/// A field that is mapped but never written makes an empty chart.
#[test]
fn every_field_is_in_documents() {
    let documents = golden_fields();
    for chart in every_chart() {
        for field in chart.fields() {
            let index = chart.index;
            assert!(documents[&index].contains(field), "{}: no document of {index:?} has {field}", chart.id);
        }
    }
}

#[test]
fn a_choice_on_a_dashboard_is_a_field_of_all_its_charts() {
    let documents = golden_fields();
    for dashboard in &DASHBOARDS {
        for (control, panel) in
            dashboard.controls.iter().flat_map(|control| dashboard.panels.iter().map(move |panel| (control, panel)))
        {
            assert!(
                documents[&panel.chart.index].contains(control.field),
                "{} empties {}",
                control.field,
                panel.chart.id
            );
        }
    }
}

/// The fields of the golden documents, by the index they go to.
fn golden_fields() -> BTreeMap<Index, BTreeSet<String>> {
    let mut fields: BTreeMap<Index, BTreeSet<String>> = BTreeMap::new();
    for document in golden::documents() {
        for index in [document.index, Index::All] {
            fields.entry(index).or_default().extend(document.body.keys().cloned());
        }
    }
    fields
}
