//! A component: which kind of stage it is, what it imports, what it says of itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wasmtime::component::{InstancePre, Linker};

use crate::engine::Engine;
use crate::grant::{self, Grants, State};
use crate::pipeline::{Binding, Capability, Kind, Limits, PluginFacts, PluginProblem, PluginRef, WIT_VERSION};
use crate::stage::bindings::{processor, reader, stage, writer};
use crate::stage::{self as stages, Waker};
use embedded::SHIPPED;

/// The components that are built into this binary.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
}

/// A component that is compiled, linked and known by what it says of itself. Clones share everything.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    name: String,
    facts: PluginFacts,
    ends: Ends,
    engine: Engine,
    pre: InstancePre<State>,
    exports: Exports,
}

/// Whether a source finishes by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "EndsText")]
pub enum Ends {
    /// It reads for ever.
    #[default]
    Never,
    /// It always finishes.
    Always,
    /// It finishes where this boolean option is true.
    Option(String),
}

/// Where the component's functions are, by kind.
pub(crate) enum Exports {
    Source(stage::GuestIndices, reader::GuestIndices),
    Transform(stage::GuestIndices, processor::GuestIndices),
    Sink(stage::GuestIndices, writer::GuestIndices),
}

/// What a component imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// Interfaces of `rayline:stage`: what it can do, where it is granted.
    pub capabilities: Vec<String>,
    /// Interfaces of WASI: there, and powerless.
    pub powerless: Vec<String>,
}

impl Plugin {
    /// Loads a component and asks it what it is. Blocks: compiling a large one for the first time takes long.
    ///
    /// # Errors
    ///
    /// It is not there, or is no stage that this host can run.
    pub fn load(engine: &Engine, plugin: &PluginRef) -> Result<Plugin, PluginProblem> {
        match plugin {
            PluginRef::Shipped(name) => match SHIPPED.iter().find(|(shipped, _)| shipped == name) {
                Some((name, bytes)) => Plugin::from_bytes(engine, name, bytes),
                None => Err(PluginProblem::NotShipped { shipped: shipped().map(str::to_owned).collect() }),
            },
            PluginRef::File(path) => {
                let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                Plugin::from_bytes(engine, &name, &read(path)?)
            }
        }
    }

    /// Loads a component from its bytes. `name` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// It is no stage that this host can run.
    pub fn from_bytes(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Plugin, PluginProblem> {
        recognise(bytes)?;
        let component = engine
            .compile(name, bytes)
            .map_err(|error| PluginProblem::Broken { reason: one_line(&error.root_cause().to_string()) })?;
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<String> = ty.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        let kind = kind(&exports)?;
        let wanted = wanted(&imports)?;

        let mut linker = Linker::new(engine.wasmtime());
        let linked = grant::link_always(&mut linker)
            .and_then(|()| wanted.iter().try_for_each(|(capability, _)| grant::link(&mut linker, *capability)));
        let pre = linked
            .and_then(|()| linker.instantiate_pre(&component))
            .map_err(|error| PluginProblem::Broken { reason: one_line(&format!("{error:#}")) })?;
        let Description { summary, options, bindings, ends } = understand(&describe(engine, &pre)?)?;
        let bindings = bindings.into_iter().map(binding).collect::<Result<Vec<Binding>, PluginProblem>>()?;
        distinct(&bindings)?;
        for (capability, import) in &wanted {
            if !bindings.iter().any(|binding| binding.capability == *capability) {
                return Err(PluginProblem::ImportWithoutBinding { import: import.clone(), capability: *capability });
            }
        }

        let exports = Exports::find(kind, &pre)
            .map_err(|error| PluginProblem::Broken { reason: one_line(&format!("{error:#}")) })?;
        let facts = PluginFacts { kind, summary, options_schema: options, bindings, imports };
        Ok(Plugin(Arc::new(Loaded { name: name.to_owned(), facts, ends, engine: engine.clone(), pre, exports })))
    }

    /// What it is called in messages: the name of a shipped one, the file's name without `.wasm`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// By the world it targets.
    pub fn kind(&self) -> Kind {
        self.0.facts.kind
    }

    /// What it says of itself.
    pub fn facts(&self) -> &PluginFacts {
        &self.0.facts
    }

    /// Whether it finishes by itself, if it is a source.
    pub fn ends(&self) -> &Ends {
        &self.0.ends
    }

    /// What it imports, by whether that gives it any power.
    pub fn imports(&self) -> Imports {
        let (powerless, capabilities) =
            self.0.facts.imports.iter().cloned().partition(|name| name.starts_with("wasi:"));
        Imports { capabilities, powerless }
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        self.0.engine.wasmtime()
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.0.pre
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.0.exports
    }
}

/// The names of the plugins that are shipped with the host, in alphabetical order.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&'static str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.into_iter()
}

impl Exports {
    fn find(kind: Kind, pre: &InstancePre<State>) -> wasmtime::Result<Exports> {
        let stage = stage::GuestIndices::new(pre)?;
        Ok(match kind {
            Kind::Source => Exports::Source(stage, reader::GuestIndices::new(pre)?),
            Kind::Transform => Exports::Transform(stage, processor::GuestIndices::new(pre)?),
            Kind::Sink => Exports::Sink(stage, writer::GuestIndices::new(pre)?),
        })
    }
}

/// What `describe` returns. Members it does not know are ignored: later versions may add some.
#[derive(Deserialize)]
struct Description {
    summary: String,
    #[serde(default)]
    options: Option<Value>,
    #[serde(default)]
    bindings: Vec<BindingText>,
    #[serde(default)]
    ends: Ends,
}

#[derive(Deserialize)]
struct BindingText {
    name: String,
    capability: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    summary: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EndsText {
    Always(bool),
    Option(String),
}

impl From<EndsText> for Ends {
    fn from(text: EndsText) -> Ends {
        match text {
            EndsText::Always(true) => Ends::Always,
            EndsText::Always(false) => Ends::Never,
            EndsText::Option(name) => Ends::Option(name),
        }
    }
}

/// What `describe` may use.
const LIMITS: Limits = Limits { memory_bytes: 512 << 20, call: Duration::from_secs(30) };

/// Calls `describe` on an instance to which nothing is granted.
fn describe(engine: &Engine, pre: &InstancePre<State>) -> Result<String, PluginProblem> {
    block_on(async {
        let state = State::new(Grants::default(), 0, Waker::default(), &LIMITS);
        let mut store = stages::new_store(engine.wasmtime(), state);
        let time = store.data().time.clone();
        let call = async {
            let indices = stage::GuestIndices::new(pre)?;
            let instance = pre.instantiate_async(&mut store).await?;
            indices.load(&mut store, &instance)?.call_describe(&mut store).await
        };
        time.count(call)
            .await
            .map_err(|error| PluginProblem::Trap { reason: stages::trap(&error, store.data()).reason })
    })
}

fn understand(text: &str) -> Result<Description, PluginProblem> {
    serde_json::from_str(text).map_err(|error| PluginProblem::BadDescription { reason: error.to_string() })
}

fn binding(text: BindingText) -> Result<Binding, PluginProblem> {
    let BindingText { name, capability, required, summary } = text;
    match Capability::from_name(&capability) {
        Some(capability) => Ok(Binding { name, capability, required, summary }),
        None => {
            let reason = format!("the binding `{name}` is of `{capability}`, which is no capability of this host");
            Err(PluginProblem::BadDescription { reason })
        }
    }
}

fn distinct(bindings: &[Binding]) -> Result<(), PluginProblem> {
    let mut names: Vec<&str> = bindings.iter().map(|binding| binding.name.as_str()).collect();
    names.sort_unstable();
    match names.iter().zip(names.iter().skip(1)).find(|(name, next)| name == next) {
        Some((name, _)) => {
            Err(PluginProblem::BadDescription { reason: format!("it lists the binding `{name}` twice") })
        }
        None => Ok(()),
    }
}

/// Runs a future to its end on a thread of its own, since the caller may be in a runtime already.
fn block_on<T: Send>(future: impl Future<Output = Result<T, PluginProblem>> + Send) -> Result<T, PluginProblem> {
    let broken = |reason: String| PluginProblem::Broken { reason };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| broken(error.to_string()))?.block_on(future)
        });
        run.join().unwrap_or_else(|_| Err(broken("the host failed while it asked the component".to_owned())))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PluginProblem> {
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PluginProblem::Missing,
        _ => PluginProblem::Unreadable { reason: error.to_string() },
    })
}

/// By the first eight bytes: magic number, version, and whether it is a module or a component.
fn recognise(bytes: &[u8]) -> Result<(), PluginProblem> {
    match bytes.first_chunk::<8>() {
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(PluginProblem::CoreModule),
        Some([0, b'a', b's', b'm', ..]) => Ok(()),
        _ => Err(PluginProblem::NotWasm),
    }
}

/// The kind of stage that exports these interfaces.
fn kind(exports: &[String]) -> Result<Kind, PluginProblem> {
    let ours = || exports.iter().filter_map(|name| Interface::of_ours(name));
    if let Some(other) = ours().find(|interface| !interface.is_spoken()) {
        return Err(PluginProblem::WitVersion { found: other.version.to_owned() });
    }
    if !ours().any(|interface| interface.name == "stage") {
        return Err(PluginProblem::NotAStage);
    }
    ours()
        .find_map(|interface| match interface.name {
            "reader" => Some(Kind::Source),
            "processor" => Some(Kind::Transform),
            "writer" => Some(Kind::Sink),
            _ => None,
        })
        .ok_or(PluginProblem::NotAStage)
}

/// The capabilities among these imports, each with the import's own name.
fn wanted(imports: &[String]) -> Result<Vec<(Capability, String)>, PluginProblem> {
    let mut wanted = Vec::new();
    for import in imports {
        let unknown = || PluginProblem::UnknownImport { import: import.clone() };
        match Interface::of_ours(import) {
            Some(interface) if !interface.is_spoken() => {
                return Err(PluginProblem::WitVersion { found: interface.version.to_owned() });
            }
            Some(interface) => match (Capability::from_name(interface.name), interface.name) {
                (Some(capability), _) => wanted.push((capability, import.clone())),
                (None, "types" | "capability" | "log" | "clock") => {}
                _ => return Err(unknown()),
            },
            None if POWERLESS.iter().any(|package| import.starts_with(package)) && import.contains("@0.2.") => {}
            None => return Err(unknown()),
        }
    }
    Ok(wanted)
}

const POWERLESS: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// The parts of `rayline:stage/NAME@VERSION`.
struct Interface<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn of_ours(text: &'a str) -> Option<Interface<'a>> {
        let (name, version) = text.strip_prefix("rayline:stage/")?.split_once('@')?;
        Some(Interface { name, version })
    }

    /// 0.1.x only adds, so a component for 0.1.0 runs on every 0.1.x host. One for a later 0.1.x may want what this
    /// host does not have.
    fn is_spoken(&self) -> bool {
        let minor_and_patch = |version: &str| {
            let (minor, patch) = version.rsplit_once('.')?;
            Some((minor.to_owned(), patch.parse::<u32>().ok()?))
        };
        match (minor_and_patch(self.version), minor_and_patch(WIT_VERSION)) {
            (Some((minor, patch)), Some((own_minor, own_patch))) => minor == own_minor && patch <= own_patch,
            _ => false,
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
