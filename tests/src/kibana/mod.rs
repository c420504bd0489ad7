//! Dashboards. No Kibana and no OpenSearch Dashboards can be had from a package registry, so they are checked by their
//! structure, by an import into a server that answers as these do, and by running the search behind each chart.

mod charts;
mod counts;
mod fields;
mod golden;
mod import;
mod objects;
pub mod recorder;
