//! The file as a whole.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostic::{Diagnostic, Remedy};
use super::document::{self, Node, Report};
use super::fields::{Fields, Key, wrong_type};
use super::grants::{self, ObjectsGrant};
use super::reference::Resolver;
use super::stage::{self, Declared};
use super::{DeadLetter, Kind, graph};

/// What `parse` could read, and every error it found. `check` makes a pipeline of it.
pub struct Parsed {
    /// In the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    /// The pipeline's `data_dir`, or its default where it is not readable: where compiled components are kept.
    pub data_dir: PathBuf,
    pub(super) text: String,
    pub(super) path: PathBuf,
    pub(super) dead_letter: DeadLetter,
    pub(super) in_flight_bytes: u64,
    pub(super) api_address: Option<SocketAddr>,
    pub(super) stages: Vec<Declared>,
}

const ROOT: &[Key] = &[
    Key { name: "data_dir", example: "\"rayline-data\"" },
    Key { name: "dead_letter", example: "{ location = \"file:dead-letter\" }" },
    Key { name: "limits", example: "{ in_flight_bytes = 67_108_864 }" },
    Key { name: "api", example: "{ address = \"127.0.0.1:8686\" }" },
    Key { name: "sources", example: "{ inbox = { plugin = \"queue-source\" } }" },
    Key { name: "transforms", example: "{ flatten = { plugin = \"flatten\", inputs = [\"inbox\"] } }" },
    Key { name: "sinks", example: "{ out = { plugin = \"print-sink\", inputs = [\"inbox\"] } }" },
];
const DEAD_LETTER: &[Key] = &[
    Key { name: "location", example: "\"file:dead-letter\"" },
    Key { name: "max_ratio", example: "0.5" },
    Key { name: "probe_secs", example: "60" },
];
const LIMITS: &[Key] = &[Key { name: "in_flight_bytes", example: "67_108_864" }];
const API: &[Key] = &[Key { name: "address", example: "\"127.0.0.1:8686\"" }];

/// A smallest pipeline, for a file that declares none.
const FIRST_PIPELINE: &str = r#"
[sources.inbox]
plugin = "queue-source"
grants.queue = "file:inbox.queue"

[sinks.out]
plugin = "print-sink"
inputs = ["inbox"]
grants.output = "stdout"
"#;

/// Reads a pipeline file. `path` is where it lies, for its name and for the paths in it; `text` is what it holds; `files`
/// reads what `${file:…}` names.
pub fn parse(
    path: &Path,
    text: &str,
    env: &BTreeMap<String, String>,
    files: &dyn Fn(&Path) -> io::Result<String>,
) -> Parsed {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut report = Report { text, diagnostics: Vec::new() };
    let root = document::read(&Resolver { env, folder, files }, &mut report);
    let root = root.as_ref();
    let fields = root.and_then(|root| Fields::open(String::new(), root, ROOT, &mut report));

    let data_dir = fields.as_ref().and_then(|fields| fields.string("data_dir", &mut report));
    let data_dir = resolve(folder, data_dir.map_or("rayline-data", |word| word.text));
    let default_dead_letter = data_dir.join("dead-letter").join(name(path));
    let node = |name| fields.as_ref().and_then(|fields| fields.node(name));
    let dead_letter = dead_letter(node("dead_letter"), folder, default_dead_letter, &mut report);
    let in_flight_bytes = node("limits")
        .and_then(|node| Fields::open("limits".to_owned(), node, LIMITS, &mut report))
        .and_then(|limits| limits.integer("in_flight_bytes", 1..=i64::MAX as u64, &mut report));
    let api_address = node("api")
        .and_then(|node| Fields::open("api".to_owned(), node, API, &mut report))
        .and_then(|api| address(&api, &mut report));
    let (stages, is_complete) = stages(&node, folder, &mut report);
    if root.is_some() && stages.is_empty() && report.diagnostics.is_empty() {
        report.add(no_stage(text));
    }
    if is_complete {
        graph::check(&stages, &mut report);
    }

    let mut diagnostics = report.diagnostics;
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    Parsed {
        diagnostics,
        data_dir,
        text: text.to_owned(),
        path: path.to_owned(),
        dead_letter,
        in_flight_bytes: in_flight_bytes.unwrap_or(67_108_864),
        api_address,
        stages,
    }
}

/// The file's name without `.toml`.
pub(super) fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A path of the file, relative to the file's folder.
pub(super) fn resolve(folder: &Path, path: &str) -> PathBuf {
    // `components` drops the `.` of `./redact.wasm`.
    folder.join(path).components().collect()
}

fn dead_letter(table: Option<&Node>, folder: &Path, default: PathBuf, report: &mut Report<'_>) -> DeadLetter {
    let mut dead_letter =
        DeadLetter { location: ObjectsGrant::Folder(default), max_ratio: 0.5, probe: Duration::from_secs(60) };
    let Some(fields) = table.and_then(|table| Fields::open("dead_letter".to_owned(), table, DEAD_LETTER, report))
    else {
        return dead_letter;
    };
    if let Some(node) = fields.node("location")
        && let Some(location) = grants::read_objects(&fields.field("location"), node, folder, report)
    {
        dead_letter.location = location;
    }
    if let Some(ratio) = fields.number("max_ratio", 0.0..=1.0, report) {
        dead_letter.max_ratio = ratio;
    }
    if let Some(probe) = fields.secs("probe_secs", 1.0..=86_400.0, report) {
        dead_letter.probe = probe;
    }
    dead_letter
}

fn address(api: &Fields<'_>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let word = api.string("address", report)?;
    let address = word.text.parse().ok();
    if address.is_none() {
        let message = format!("{} is no IP address with a port", report.quote(word.span));
        let diagnostic = Diagnostic::new("api.address", word.span.clone(), message);
        report.add(diagnostic.write(word.span.clone(), "\"127.0.0.1:8686\""));
    }
    address
}

/// The stages of the three tables, sources first, and whether these are all.
fn stages<'n>(
    node: &impl Fn(&'static str) -> Option<&'n Node>,
    folder: &Path,
    report: &mut Report<'_>,
) -> (Vec<Declared>, bool) {
    let mut stages = Vec::new();
    let mut is_complete = true;
    for (kind, table) in [(Kind::Source, "sources"), (Kind::Transform, "transforms"), (Kind::Sink, "sinks")] {
        let Some(node) = node(table) else { continue };
        if !matches!(node.value, document::Value::Table(_)) {
            let example = ROOT.iter().find(|key| key.name == table).map_or("", |key| key.example);
            wrong_type(table, node, "a table", example, report);
            is_complete = false;
        }
        stages.extend(node.entries().iter().map(|entry| stage::read(kind, entry, folder, report)));
    }
    (stages, is_complete)
}

fn no_stage(text: &str) -> Diagnostic {
    let end = text.len();
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Diagnostic::new("", end..end, "the file declares no stage")
        .help(format!("write at least a source and a sink, for example:\n{}", FIRST_PIPELINE.trim_end()))
        .remedy(Remedy { span: end..end, text: format!("{gap}{FIRST_PIPELINE}") })
}
