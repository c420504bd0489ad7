//! What the components add: whether each stage's plugin, grants and options fit together.

use std::path::Path;

use super::diagnostic::{Diagnostic, Remedy, Span};
use super::document::{Node, Report, Value, join};
use super::facts::{Binding, Capability, PluginFacts, PluginProblem, WIT_VERSION};
use super::fields::{list, nearest, wrong_type};
use super::parse::{Parsed, name};
use super::stage::Declared;
use super::{Kind, Pipeline, PluginRef, Stage, grants, graph, options};

/// A pipeline that is ready to run, or every error: those of [`parse`](super::parse) and those that show once the
/// components are known. `plugins` loads a component; it is asked once for each stage.
pub fn check(
    parsed: Parsed,
    plugins: &impl Fn(&PluginRef) -> Result<PluginFacts, PluginProblem>,
) -> Result<Pipeline, Vec<Diagnostic>> {
    let Parsed { diagnostics, data_dir, text, path, dead_letter, in_flight_bytes, api_address, stages } = parsed;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut report = Report { text: &text, diagnostics };
    let stages = stages.into_iter().filter_map(|declared| stage(declared, plugins, folder, &mut report)).collect();
    let mut diagnostics = report.diagnostics;
    if diagnostics.is_empty() {
        let name = name(&path);
        return Ok(Pipeline { name, path, data_dir, dead_letter, in_flight_bytes, api_address, stages });
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    Err(diagnostics)
}

/// The stage with its grants and options. Where it cannot be one, that is reported.
fn stage(
    mut declared: Declared,
    plugins: &impl Fn(&PluginRef) -> Result<PluginFacts, PluginProblem>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<Stage> {
    let mut stage = declared.stage.take()?;
    let plugin = declared.table.entry("plugin").map(|entry| entry.node.span.clone()).unwrap_or_default();
    let facts = match plugins(&stage.plugin) {
        Ok(facts) => facts,
        Err(problem) => {
            let diagnostic = unusable(&problem, &stage, join(&declared.path(), "plugin"), plugin, report);
            report.add(diagnostic);
            return None;
        }
    };
    if facts.kind != declared.kind {
        let path = declared.path();
        report.diagnostics.retain(|diagnostic| !graph::comes_of_wrong_kind(diagnostic, &path));
        report.add(wrong_kind(&declared, facts.kind, plugin, report));
        return None;
    }
    grants(&declared, &facts.bindings, folder, &mut stage, report);
    stage.options = options::read(&declared, facts.options_schema.as_ref(), report);
    Some(stage)
}

/// The grants that the plugin's bindings want, each in the form of its capability.
fn grants(declared: &Declared, bindings: &[Binding], folder: &Path, stage: &mut Stage, report: &mut Report<'_>) {
    let empty = Node { span: declared.name_span.clone(), value: Value::Table(Vec::new()) };
    let given = declared.table.entry("grants").map(|entry| &entry.node);
    let table = given.unwrap_or(&empty);
    let path = join(&declared.path(), "grants");
    if !matches!(table.value, Value::Table(_)) {
        wrong_type(&path, table, "a table", &all(bindings, table, report), report);
        return;
    }
    if declared.meant.contains(&"grants") {
        return;
    }
    let names = || bindings.iter().map(|binding| binding.name.as_str());
    let mut meant = Vec::new();
    for entry in table.entries() {
        let Some(binding) = bindings.iter().find(|binding| binding.name == entry.key) else {
            let free: Vec<&str> = names().filter(|name| table.entry(name).is_none()).collect();
            let only = free.first().copied().filter(|_| free.len() == 1);
            let free = nearest(&entry.key, free.into_iter()).or(only);
            meant.extend(free);
            let diagnostic = Diagnostic::new(join(&path, &entry.key), entry.key_span.clone(), "unknown grant");
            report.add(diagnostic.rename_or_remove(report.text, table, entry, free, names()));
            continue;
        };
        let field = join(&path, &entry.key);
        if let Some(grant) = grants::read(binding.capability, &field, &entry.node, folder, report) {
            stage.grants.insert(entry.key.clone(), grant);
        }
    }
    let is_missing = |binding: &&Binding| {
        binding.required && table.entry(&binding.name).is_none() && !meant.contains(&binding.name.as_str())
    };
    for binding in bindings.iter().filter(is_missing) {
        let message = format!("this grant is missing; the plugin needs it: {}", binding.summary);
        let diagnostic = Diagnostic::new(join(&path, &binding.name), declared.name_span.clone(), message);
        let example = grants::example(binding.capability);
        report.add(match given {
            Some(given) => diagnostic.add_key(report.text, given, "", &binding.name, example),
            None => {
                let key = format!("grants.{}", binding.name);
                diagnostic.add_key(report.text, &declared.table, "plugin", &key, example)
            }
        });
    }
}

/// A table with a grant for each binding: what was written instead of a table, where it is the only one.
fn all(bindings: &[Binding], written: &Node, report: &Report<'_>) -> String {
    let value = |binding: &Binding| match written.value {
        Value::String(_) if bindings.len() == 1 => report.quote(&written.span).to_owned(),
        _ => grants::example(binding.capability).to_owned(),
    };
    let members: Vec<String> =
        bindings.iter().map(|binding| format!("{} = {}", binding.name, value(binding))).collect();
    if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
}

/// The plugin cannot be loaded: why, and what to do.
fn unusable(problem: &PluginProblem, stage: &Stage, field: String, span: Span, report: &Report<'_>) -> Diagnostic {
    let message = format!("{}: {problem}", report.quote(&span));
    let diagnostic = Diagnostic::new(field, span.clone(), message);
    match problem {
        PluginProblem::NotShipped { shipped } => {
            let shipped = || shipped.iter().map(String::as_str);
            let name = match &stage.plugin {
                PluginRef::Shipped(name) => name.as_str(),
                PluginRef::File(_) => "",
            };
            match nearest(name, shipped()) {
                Some(name) => diagnostic.write(span, format!("\"{name}\"")),
                None => {
                    let known = list(shipped());
                    diagnostic.help(format!("name one of {known}, or a file: its path has a `/` or ends in `.wasm`"))
                }
            }
        }
        PluginProblem::Missing => {
            diagnostic.help("put the component there, or correct the path; a relative one begins at this file's folder")
        }
        PluginProblem::Unreadable { .. } => diagnostic.help("let the user that runs rayline read the file"),
        PluginProblem::NotWasm => {
            diagnostic.help("name a WebAssembly component; `rayline plugin build` makes one of a Rust crate")
        }
        PluginProblem::CoreModule => {
            diagnostic.help("make it a component: `rayline plugin build` does for a Rust crate")
        }
        PluginProblem::Broken { .. } => diagnostic.help("build it again, for example with `rayline plugin build`"),
        PluginProblem::NotAStage => diagnostic
            .help(format!("build it for the world `source`, `transform` or `sink` of rayline:stage@{WIT_VERSION}")),
        PluginProblem::WitVersion { .. } => {
            diagnostic.help(format!("build it again with rayline:stage@{WIT_VERSION} or the SDK of this version"))
        }
        PluginProblem::UnknownImport { .. } => {
            let known = Capability::ALL.into_iter().map(Capability::name).chain(["log", "clock"]);
            diagnostic.help(format!("build it without this import; the capabilities are {}", list(known)))
        }
        PluginProblem::ImportWithoutBinding { capability, .. } => diagnostic.help(format!(
            "build it with a binding of the capability `{}` in its `describe`, or without this import",
            capability.name()
        )),
        PluginProblem::Trap { .. } | PluginProblem::BadDescription { .. } => diagnostic.help(
            "use another build of the plugin; its `describe` must depend on nothing and answer as wit/stage.wit says",
        ),
    }
}

/// A source among the sinks, and the like.
fn wrong_kind(declared: &Declared, found: Kind, plugin: Span, report: &Report<'_>) -> Diagnostic {
    let (found, wanted) = (found.name(), declared.kind.name());
    let message = format!("{} is a {found}, not a {wanted}", report.quote(&plugin));
    let diagnostic = Diagnostic::new(join(&declared.path(), "plugin"), plugin, message)
        .help(format!("use a {wanted}, or declare the stage as `{found}s.{}`", declared.name));
    // Only where one place names the table: `[sinks.x]` without a `[sinks.x.batch]`.
    let table = format!("{wanted}s.{}", declared.name);
    let start = declared.name_span.end.saturating_sub(table.len());
    let is_here = report.text.get(start..).is_some_and(|rest| rest.starts_with(&table));
    let is_once = report.text.matches(&table).count() == 1;
    let text = format!("{found}s.{}", declared.name);
    diagnostic.remedy((is_here && is_once).then_some(Remedy { span: start..declared.name_span.end, text }))
}
