//! What a component says of itself, or why it cannot be used. The host's `plugin` module finds it out; `check` compares
//! it with the pipeline file.

use serde_json::Value;

use super::Kind;

/// The version of the package `rayline:stage` that this host speaks.
pub const WIT_VERSION: &str = "0.1.0";

/// A usable component: which kind of stage it is, and what its `describe` says.
#[derive(Clone, Debug)]
pub struct PluginFacts {
    /// By the world it targets.
    pub kind: Kind,
    /// One line.
    pub summary: String,
    /// JSON Schema of its options. `None`: it has none.
    pub options_schema: Option<Value>,
    /// What it wants to reach.
    pub bindings: Vec<Binding>,
    /// The interfaces it imports, as the component names them (`rayline:stage/queue@0.1.0`).
    pub imports: Vec<String>,
}

/// A name under which a stage reaches something; `grants.NAME` of the pipeline says what.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Unique in the plugin.
    pub name: String,
    /// Which interface.
    pub capability: Capability,
    /// Whether the stage works without it.
    pub required: bool,
    /// What for, in one line.
    pub summary: String,
}

/// An interface of `wit/capabilities.wit` that a stage has only where it is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Messages of a queue.
    Queue,
    /// Objects of a store.
    Objects,
    /// An HTTP server, or several equal ones.
    Http,
    /// X-Ray and Step Functions of some accounts.
    Xray,
    /// The host's standard output.
    Console,
}

impl Capability {
    /// All there are.
    pub const ALL: [Capability; 5] =
        [Capability::Queue, Capability::Objects, Capability::Http, Capability::Xray, Capability::Console];

    /// The interface's name, which is also the name in `describe`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Queue => "queue",
            Capability::Objects => "objects",
            Capability::Http => "http",
            Capability::Xray => "xray",
            Capability::Console => "console",
        }
    }

    /// The capability of this name.
    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

/// Why a plugin cannot be used. A reason is one line without a value from the pipeline file: no path, no option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginProblem {
    /// No plugin of this name is shipped.
    #[error("no plugin of this name is shipped with this host")]
    NotShipped {
        /// The names of those that are.
        shipped: Vec<String>,
    },
    /// The file is not there.
    #[error("there is no such file")]
    Missing,
    /// The file cannot be read.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// The system's words.
        reason: String,
    },
    /// The file does not begin like WebAssembly.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// A core module.
    #[error("the file is a WebAssembly module, not a component")]
    CoreModule,
    /// It begins like a component and does not compile.
    #[error("the component does not compile: {reason}")]
    Broken {
        /// The compiler's words.
        reason: String,
    },
    /// A component of something else.
    #[error("the component is no stage: it exports neither a source, nor a transform, nor a sink of rayline:stage")]
    NotAStage,
    /// Built for another version of `rayline:stage`.
    #[error("the component speaks rayline:stage {found}, this host speaks {WIT_VERSION}")]
    WitVersion {
        /// `0.2.0`.
        found: String,
    },
    /// It imports something that no grant can give.
    #[error("the component imports `{import}`, which is no capability of this host")]
    UnknownImport {
        /// As the component names it.
        import: String,
    },
    /// It imports a capability for which its `describe` lists no binding.
    #[error("the component imports `{import}`, but its `describe` lists no binding of the capability `{}`", capability.name())]
    ImportWithoutBinding {
        /// As the component names it.
        import: String,
        /// Which one that is.
        capability: Capability,
    },
    /// `describe` trapped.
    #[error("the component trapped in `describe`: {reason}")]
    Trap {
        /// The trap and, if the component said any, its last words.
        reason: String,
    },
    /// `describe` answered something that is no description.
    #[error("what the component's `describe` says cannot be used: {reason}")]
    BadDescription {
        /// What is wrong with it.
        reason: String,
    },
}
