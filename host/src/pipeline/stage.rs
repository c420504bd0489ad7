//! One stage of the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Span};
use super::document::{Entry, Node, Report, Value, join};
use super::fields::{Fields, Key, integer, wrong_type};
use super::parse::resolve;
use super::{Batch, Instances, Kind, Limits, PluginRef, Retry, Stage};

/// A stage as far as it could be read.
pub(super) struct Declared {
    pub name: String,
    pub name_span: Span,
    pub kind: Kind,
    /// Its table, for the places of its keys.
    pub table: Node,
    /// Keys that unknown ones were probably meant to be.
    pub meant: Vec<&'static str>,
    /// `None`: unreadable, and reported. Empty for a source.
    pub inputs: Option<Vec<Input>>,
    /// Without grants and options, which depend on its plugin. `None`: its `plugin` is unreadable, and reported.
    pub stage: Option<Stage>,
}

/// One of a stage's `inputs`.
pub(super) struct Input {
    pub name: String,
    pub span: Span,
}

impl Declared {
    /// `sinks.index`.
    pub fn path(&self) -> String {
        format!("{}s.{}", self.kind.name(), self.name)
    }
}

const PLUGIN: Key = Key { name: "plugin", example: "\"./my-stage.wasm\"" };
const GRANTS: Key = Key { name: "grants", example: "{ queue = \"file:inbox.queue\" }" };
const OPTIONS: Key = Key { name: "options", example: "{}" };
const INSTANCES: Key = Key { name: "instances", example: "2" };
const RETRY: Key = Key { name: "retry", example: "{ initial_secs = 1 }" };
const LIMITS: Key = Key { name: "limits", example: "{ call_secs = 30 }" };
const INPUTS: Key = Key { name: "inputs", example: "[\"inbox\"]" };
const BATCH: Key = Key { name: "batch", example: "{ max_events = 1_000 }" };

const STAGE_KEYS: &[Key] = &[PLUGIN, INPUTS, GRANTS, OPTIONS, INSTANCES, BATCH, RETRY, LIMITS];
const SOURCE_KEYS: &[Key] = &[PLUGIN, GRANTS, OPTIONS, INSTANCES, RETRY, LIMITS];
const INSTANCES_KEYS: &[Key] = &[Key { name: "min", example: "1" }, Key { name: "max", example: "8" }];
const BATCH_KEYS: &[Key] = &[
    Key { name: "max_events", example: "1_000" },
    Key { name: "max_bytes", example: "1_048_576" },
    Key { name: "timeout_secs", example: "1" },
    Key { name: "group_by", example: "[\"account\"]" },
];
const RETRY_KEYS: &[Key] = &[
    Key { name: "initial_secs", example: "1" },
    Key { name: "max_secs", example: "60" },
    Key { name: "max_attempts", example: "10" },
];
const LIMITS_KEYS: &[Key] =
    &[Key { name: "call_secs", example: "30" }, Key { name: "memory_bytes", example: "536_870_912" }];

/// Reads `[sources.NAME]`, `[transforms.NAME]` or `[sinks.NAME]`.
pub(super) fn read(kind: Kind, entry: &Entry, folder: &Path, report: &mut Report<'_>) -> Declared {
    let table = without_foreign_keys(kind, entry, report);
    let (name, name_span) = (entry.key.clone(), entry.key_span.clone());
    let mut declared = Declared { name, name_span, kind, table, meant: Vec::new(), inputs: None, stage: None };
    check_name(&declared.path(), entry, report);
    if !matches!(declared.table.value, Value::Table(_)) {
        no_table(&declared, report);
        return declared;
    }
    let keys = if kind == Kind::Source { SOURCE_KEYS } else { STAGE_KEYS };
    let Some(fields) = Fields::open(declared.path(), &declared.table, keys, report) else { return declared };
    let inputs = inputs(kind, &fields, report);
    let names = inputs.iter().flatten().map(|input| input.name.clone()).collect();
    let plugin = plugin(kind, &fields, folder, report);
    if let Some(node) = fields.node("options").filter(|node| !matches!(node.value, Value::Table(_))) {
        wrong_type(&fields.field("options"), node, "a table", OPTIONS.example, report);
    }
    let instances = instances(&fields, report);
    let batch = batch(kind, &fields, report);
    let retry = retry(&fields, report);
    let limits = limits(&fields, report);
    let stage = plugin.map(|plugin| Stage {
        name: entry.key.clone(),
        kind,
        plugin,
        inputs: names,
        grants: BTreeMap::new(),
        options: serde_json::Value::Object(serde_json::Map::new()),
        instances,
        batch,
        retry,
        limits,
    });
    declared.meant = fields.meant;
    Declared { inputs, stage, ..declared }
}

/// Reports a stage that is something else than a table.
fn no_table(declared: &Declared, report: &mut Report<'_>) {
    let (path, node) = (declared.path(), &declared.table);
    if matches!(&node.value, Value::List(items) if items.len() == 1) && report.quote(&node.span).starts_with("[[") {
        let diagnostic = Diagnostic::new(&path, node.span.clone(), "`[[…]]` makes a list, wanted a table");
        report.add(diagnostic.write(node.span.clone(), format!("[{path}]")));
        return;
    }
    let example = match declared.kind {
        Kind::Source => "{ plugin = \"queue-source\", grants = { queue = \"file:inbox.queue\" } }",
        Kind::Transform => "{ plugin = \"flatten\", inputs = [\"inbox\"] }",
        Kind::Sink => "{ plugin = \"print-sink\", inputs = [\"inbox\"], grants = { output = \"stdout\" } }",
    };
    wrong_type(&path, node, "a table", example, report);
}

/// The stage's table without what only stages of another kind have; that is reported here, in words of its own.
fn without_foreign_keys(kind: Kind, entry: &Entry, report: &mut Report<'_>) -> Node {
    let mut table = entry.node.clone();
    if let Value::Table(entries) = &mut table.value
        && kind == Kind::Source
    {
        entries.retain(|key| {
            let message = match key.key.as_str() {
                "inputs" => "a source has no inputs: it reads no other stage",
                "batch" => "a source has no batch: it makes its own",
                _ => return true,
            };
            let field = join(&format!("sources.{}", entry.key), &key.key);
            let diagnostic = Diagnostic::new(field, key.key_span.clone(), message);
            report.add(diagnostic.remove_key(report.text, &entry.node, key, ""));
            false
        });
    }
    table
}

/// Names become names of files and labels of metrics.
fn check_name(path: &str, entry: &Entry, report: &mut Report<'_>) {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if entry.key.is_empty() || !entry.key.chars().all(is_good) {
        let good = entry.key.replace(|c| !is_good(c), "-");
        let good = if good.is_empty() { "stage".to_owned() } else { good };
        let message = "a stage's name has only letters, digits, `-` and `_`";
        report.add(Diagnostic::new(path, entry.key_span.clone(), message).write(entry.key_span.clone(), good));
    }
}

fn inputs(kind: Kind, fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<Input>> {
    if kind == Kind::Source || fields.is_missing("inputs") {
        return Some(Vec::new());
    }
    let words = fields.strings("inputs", report)?;
    Some(words.iter().map(|word| Input { name: word.text.to_owned(), span: word.span.clone() }).collect())
}

fn plugin(kind: Kind, fields: &Fields<'_>, folder: &Path, report: &mut Report<'_>) -> Option<PluginRef> {
    if fields.is_missing("plugin") {
        let example = match kind {
            Kind::Source => "\"queue-source\"",
            Kind::Transform => "\"flatten\"",
            Kind::Sink => "\"print-sink\"",
        };
        let message = "`plugin` is missing: the component to run, one that is shipped or a .wasm file";
        let diagnostic = Diagnostic::new(&fields.path, fields.table.span.clone(), message);
        report.add(diagnostic.add_key(report.text, fields.table, "inputs", "plugin", example));
    }
    let word = fields.string("plugin", report)?;
    let is_file = word.text.contains('/') || word.text.ends_with(".wasm");
    Some(if is_file { PluginRef::File(resolve(folder, word.text)) } else { PluginRef::Shipped(word.text.to_owned()) })
}

fn instances(fields: &Fields<'_>, report: &mut Report<'_>) -> Instances {
    const MOST: u64 = 1024;
    let one = Instances { min: 1, max: 1 };
    let Some(node) = fields.node("instances") else { return one };
    let path = fields.field("instances");
    if !matches!(node.value, Value::Table(_)) {
        let count = integer(&path, node, INSTANCES.example, 1..=MOST, report).map_or(1, |count| count as u32);
        return Instances { min: count, max: count };
    }
    let Some(table) = Fields::open(path, node, INSTANCES_KEYS, report) else { return one };
    let min = table.integer("min", 1..=MOST, report).map(|count| count as u32);
    let max = table.integer("max", 1..=MOST, report).map(|count| count as u32);
    if let (Some(min), Some(max), Some(node)) = (min, max, table.node("max"))
        && max < min
    {
        below(&table.field("max"), node, "min", &min.to_string(), report);
    }
    let min = min.unwrap_or(1);
    Instances { min, max: max.unwrap_or(min).max(min) }
}

fn batch(kind: Kind, fields: &Fields<'_>, report: &mut Report<'_>) -> Batch {
    // Ends of bodies are 32-bit numbers in the contract.
    const MOST: u64 = u32::MAX as u64;
    let timeout = if kind == Kind::Sink { Duration::from_secs(1) } else { Duration::ZERO };
    let mut batch = Batch { max_bytes: 1_048_576, max_events: 1_000, timeout, group_by: Vec::new() };
    let Some(node) = fields.node("batch") else { return batch };
    let Some(table) = Fields::open(fields.field("batch"), node, BATCH_KEYS, report) else { return batch };
    if let Some(bytes) = table.integer("max_bytes", 1..=MOST, report) {
        batch.max_bytes = bytes as usize;
    }
    if let Some(events) = table.integer("max_events", 1..=MOST, report) {
        batch.max_events = events as usize;
    }
    if let Some(timeout) = table.secs("timeout_secs", 0.0..=86_400.0, report) {
        batch.timeout = timeout;
    }
    if let Some(labels) = table.strings("group_by", report) {
        batch.group_by = labels.iter().map(|label| label.text.to_owned()).collect();
    }
    batch
}

fn retry(fields: &Fields<'_>, report: &mut Report<'_>) -> Retry {
    let default = Retry { initial: Duration::from_secs(1), max: Duration::from_secs(60), max_attempts: None };
    let Some(node) = fields.node("retry") else { return default };
    let Some(table) = Fields::open(fields.field("retry"), node, RETRY_KEYS, report) else { return default };
    let initial = table.secs("initial_secs", 0.001..=86_400.0, report);
    let max = table.secs("max_secs", 0.001..=86_400.0, report);
    let max_attempts = table.integer("max_attempts", 1..=u64::from(u32::MAX), report).map(|count| count as u32);
    if let (Some(initial), Some(max), Some(node)) = (initial, max, table.node("max_secs"))
        && max < initial
    {
        below(&table.field("max_secs"), node, "initial_secs", &initial.as_secs_f64().to_string(), report);
    }
    match (initial, max) {
        (Some(initial), None) => Retry { initial, max: default.max.max(initial), max_attempts },
        (None, Some(max)) => Retry { initial: default.initial.min(max), max, max_attempts },
        (initial, max) => {
            Retry { initial: initial.unwrap_or(default.initial), max: max.unwrap_or(default.max), max_attempts }
        }
    }
}

fn limits(fields: &Fields<'_>, report: &mut Report<'_>) -> Limits {
    let mut limits = Limits { memory_bytes: 536_870_912, call: Duration::from_secs(30) };
    let Some(node) = fields.node("limits") else { return limits };
    let Some(table) = Fields::open(fields.field("limits"), node, LIMITS_KEYS, report) else { return limits };
    // From one page to all that 32-bit addresses reach.
    if let Some(bytes) = table.integer("memory_bytes", 65_536..=4_294_967_296, report) {
        limits.memory_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    // Time is counted in ticks of 10 ms.
    if let Some(call) = table.secs("call_secs", 0.01..=86_400.0, report) {
        limits.call = call;
    }
    limits
}

fn below(field: &str, node: &Node, other: &str, bound: &str, report: &mut Report<'_>) {
    let diagnostic = Diagnostic::new(field, node.span.clone(), format!("this is less than `{other}`"));
    report.add(diagnostic.write(node.span.clone(), bound));
}
