//! Every error of a pipeline file: its full text, and that its remedy, done to the letter, leaves a valid pipeline.
//!
//! - `syntax`: what is no TOML.
//! - `keys`: keys and tables that are missing, unknown, misplaced or taken.
//! - `values`: types, ranges, addresses, `${…}`.
//! - `graph`: who reads whom.
//! - `plugins`: components that cannot be used, or not there.
//! - `grants`, `options`: what a plugin wants of its stage; `http`: the grant of a server; `xray`: of accounts.
//! - `whole`: what a valid file becomes; many errors at once; secrets.
//!
//! `UPDATE_EXPECT=1 cargo test` rewrites the expected texts.

mod grants;
mod graph;
mod http;
mod keys;
mod options;
mod plugins;
mod syntax;
mod values;
mod whole;
mod world;
mod xray;

use std::path::Path;

use expect_test::Expect;
use rayline::pipeline::{self, Diagnostic, Pipeline};
use world::World;

/// A valid pipeline, line 1 is empty.
const VALID: &str = r#"
data_dir = "data"

[sources.inbox]
plugin = "queue-source"
grants.queue = "file:inbox.queue"

[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]

[sinks.documents]
plugin = "file-sink"
inputs = ["flatten"]
grants.objects = "file:documents"
"#;

/// Where the tests' pipeline files are said to lie.
const PATH: &str = "pipelines/my.toml";

/// A file with an error, what is said of it, and what then mends it.
struct Case {
    file: String,
    mend: Mend,
    expected: Expect,
}

/// How a test does what a message says.
enum Mend {
    /// Makes the edits that the diagnostics carry, the last first.
    Edit,
    /// Does it by hand: replaces the one text by the other.
    Replace(&'static str, &'static str),
    /// Does something outside of the file.
    World(fn(&mut World)),
}

/// `VALID` with `from` replaced by `to`.
fn valid_but(from: &str, to: &str) -> String {
    replace(VALID, from, to)
}

/// `VALID` with more lines in its sink, from line 15 on.
fn sink_with(lines: &str) -> String {
    valid_but("grants.objects", &format!("{lines}\ngrants.objects"))
}

fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must be once in the file:\n{text}");
    text.replacen(from, to, 1)
}

fn validate(file: &str, world: &World) -> Result<Pipeline, Vec<Diagnostic>> {
    let parsed = pipeline::parse(Path::new(PATH), file, &world.env, &|path| world.file(path));
    pipeline::check(parsed, &|plugin| world.plugin(plugin))
}

/// Checks each case in a world of its own.
fn check(cases: impl IntoIterator<Item = Case>) {
    cases.into_iter().for_each(|case| check_in(World::new(), case));
}

/// Compares the case's message, follows its help, and wants a valid pipeline.
fn check_in(mut world: World, Case { file, mend, expected }: Case) {
    let Err(diagnostics) = validate(&file, &world) else { panic!("no error in:\n{file}") };
    let shown = pipeline::render(&diagnostics, Path::new(PATH), &file, false);
    expected.assert_eq(&shown);
    for diagnostic in &diagnostics {
        let remedy = diagnostic.remedy.as_ref().map_or("", |remedy| remedy.text.trim_matches([' ', ',', '\n']));
        assert!(!diagnostic.help.is_empty(), "no help in:\n{shown}");
        assert!(diagnostic.help.contains(remedy), "the help does not name its remedy `{remedy}`:\n{shown}");
    }
    let mended = match mend {
        Mend::Edit => edited(&file, diagnostics),
        Mend::Replace(from, to) => replace(&file, from, to),
        Mend::World(change) => {
            change(&mut world);
            file
        }
    };
    if let Err(diagnostics) = validate(&mended, &world) {
        let left = pipeline::render(&diagnostics, Path::new(PATH), &mended, false);
        panic!("the remedy of\n{shown}leaves\n{mended}\nwith\n{left}");
    }
}

fn edited(file: &str, mut diagnostics: Vec<Diagnostic>) -> String {
    diagnostics.sort_by_key(|diagnostic| diagnostic.remedy.as_ref().map(|remedy| remedy.span.start));
    diagnostics.iter().rev().fold(file.to_owned(), |file, diagnostic| match &diagnostic.remedy {
        Some(remedy) => remedy.apply(&file),
        None => panic!("no edit comes with `{}: {}`", diagnostic.field, diagnostic.message),
    })
}
