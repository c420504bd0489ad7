//! The pipeline file: TOML to [`Pipeline`], with every error and its place.
//!
//! - [`model`]: a checked pipeline, what the rest of the host works with.
//! - [`facts`]: what a component says of itself, or why it cannot be used.
//! - [`grants`]: what a binding can be bound to.
//! - [`diagnostic`]: one error, its place and its remedy; how a list of them is shown.
//! - `document`: the TOML as a tree with spans; `syntax`: what to write where it is no TOML.
//! - `reference`: `${NAME}`, `${NAME:-default}`, `${file:/path}`.
//! - `fields`: reading keys of a table by name, type and range; `edit`: where a remedy adds or removes a line.
//! - `parse`, `stage`, `graph`: the file, one stage, who reads whom.
//! - `check`: what the components add; `options`, `schema`: a stage's options against its plugin's JSON Schema.
//!
//! **[`parse`] does no I/O**: it takes the text, the environment and a way to read `${file:…}`. **No diagnostic shows a
//! value that came out of `${…}`**: values are quoted from the source text only.

pub mod diagnostic;
pub mod facts;
pub mod grants;
pub mod model;

mod check;
mod document;
mod edit;
mod fields;
mod graph;
mod options;
mod parse;
mod reference;
mod schema;
mod stage;
mod syntax;

pub use check::check;
pub use diagnostic::{Diagnostic, Remedy, render};
pub use facts::{Binding, Capability, PluginFacts, PluginProblem, WIT_VERSION};
pub use grants::{
    Account, AccountsGrant, Auth, Aws, Endpoints, FileQueueGrant, Grant, HttpGrant, ObjectsGrant, QueueGrant, S3Grant,
    Secret, SqsGrant, XrayGrant,
};
pub use model::{Batch, DeadLetter, Instances, Kind, Limits, Pipeline, PluginRef, Retry, Stage};
pub use parse::{Parsed, parse};
