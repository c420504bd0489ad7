//! What a stage says of itself.

use std::any::TypeId;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{NoOptions, Sink, Source, Transform};

/// Something outside that the stage wants to reach. The pipeline's `grants.NAME` says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The name in `grants.NAME` and in the capability's calls.
    pub name: &'static str,
    /// What kind of thing it is.
    pub capability: Capability,
    /// Whether the stage is useless without.
    pub required: bool,
    /// What it is for, in one line.
    pub summary: &'static str,
}

impl Binding {
    /// A binding that every pipeline must grant.
    pub fn required(name: &'static str, capability: Capability, summary: &'static str) -> Binding {
        Binding { name, capability, required: true, summary }
    }

    /// A binding that a pipeline may grant: without it, calls answer
    /// [`NotGranted`](crate::CapabilityError::NotGranted).
    pub fn optional(name: &'static str, capability: Capability, summary: &'static str) -> Binding {
        Binding { name, capability, required: false, summary }
    }
}

/// A capability that needs a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// [`queue`](crate::queue).
    Queue,
    /// [`objects`](crate::objects).
    Objects,
    /// [`http`](crate::http).
    Http,
    /// [`xray`](crate::xray).
    Xray,
    /// [`console`](crate::console).
    Console,
}

/// Whether a source finishes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It reads for ever.
    Never,
    /// It always finishes.
    Always,
    /// It finishes where this boolean option is true.
    Option(&'static str),
}

impl Serialize for Ends {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Ends::Never => serializer.serialize_bool(false),
            Ends::Always => serializer.serialize_bool(true),
            Ends::Option(name) => serializer.serialize_str(name),
        }
    }
}

/// What `describe` returns.
#[derive(Serialize)]
struct Description {
    summary: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Schema>,
    bindings: Vec<Binding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Ends>,
}

pub(crate) fn source<T: Source>() -> Value {
    description::<T::Options>(T::SUMMARY, T::bindings(), Some(T::ENDS))
}

pub(crate) fn transform<T: Transform>() -> Value {
    description::<T::Options>(T::SUMMARY, T::bindings(), None)
}

pub(crate) fn sink<T: Sink>() -> Value {
    description::<T::Options>(T::SUMMARY, T::bindings(), None)
}

fn description<O: JsonSchema + 'static>(summary: &'static str, bindings: Vec<Binding>, ends: Option<Ends>) -> Value {
    let options = (TypeId::of::<O>() != TypeId::of::<NoOptions>()).then(|| schema_for!(O));
    json!(Description { summary, options, bindings, ends })
}
