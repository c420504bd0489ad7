//! `rayline plugin list|show|build`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rayline_builder::Progress;

use super::Exit;
use super::load::Loader;
use crate::pipeline::PluginRef;
use crate::plugin::{Plugin, shipped};

/// What to do with plugins.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the plugins that are shipped with this host.
    #[command(after_help = "Example:\n  rayline plugin list")]
    List,
    /// Show what a plugin says of itself: its kind, options, bindings and imports.
    #[command(after_help = "Examples:\n  rayline plugin show flatten\n  rayline plugin show ./redact.wasm")]
    Show {
        /// A shipped plugin's name, or a file.
        plugin: String,
    },
    /// Build a Rust crate into a plugin.
    #[command(after_help = "Example:\n  rayline plugin build plugins/examples/redact-rust -o redact.wasm")]
    Build {
        /// The crate's folder.
        folder: PathBuf,
        /// Where to write the component. Default: `NAME.wasm` here.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// When the plugin cannot be loaded or built.
pub fn plugin(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::List => list(),
        Command::Show { plugin } => show(&plugin),
        Command::Build { folder, output } => build(&folder, output),
    }
}

fn list() -> anyhow::Result<Exit> {
    let loader = Loader::new(None)?;
    for name in shipped() {
        let plugin = loader.plugin(&PluginRef::Shipped(name.to_owned()))?;
        println!("{name:18} {:10} {}", plugin.facts().kind.name(), plugin.facts().summary);
    }
    Ok(Exit::Done)
}

fn show(name: &str) -> anyhow::Result<Exit> {
    let is_file = name.contains('/') || name.ends_with(".wasm");
    let reference = if is_file { PluginRef::File(name.into()) } else { PluginRef::Shipped(name.to_owned()) };
    let plugin = Loader::new(None)?.plugin(&reference).with_context(|| format!("cannot use the plugin {name}"))?;
    print!("{}", description(name, &plugin)?);
    Ok(Exit::Done)
}

fn description(name: &str, plugin: &Plugin) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let facts = plugin.facts();
    let mut text = format!("{name}: a {}\n{}\n", facts.kind.name(), facts.summary);
    if !facts.bindings.is_empty() {
        text.push_str("\nGrants:\n");
    }
    for binding in &facts.bindings {
        let required = if binding.required { "required" } else { "optional" };
        writeln!(text, "  grants.{} ({}, {required}): {}", binding.name, binding.capability.name(), binding.summary)?;
    }
    if let Some(schema) = &facts.options_schema {
        writeln!(text, "\nOptions (JSON Schema):\n{}", serde_json::to_string_pretty(schema)?)?;
    }
    let (powerless, capabilities): (Vec<_>, Vec<_>) =
        facts.imports.iter().partition(|import| import.starts_with("wasi:"));
    for (title, imports) in [("Imports", capabilities), ("Imports that are there and powerless", powerless)] {
        if !imports.is_empty() {
            writeln!(text, "\n{title}:")?;
            for import in imports {
                writeln!(text, "  {import}")?;
            }
        }
    }
    Ok(text)
}

fn build(folder: &Path, output: Option<PathBuf>) -> anyhow::Result<Exit> {
    let target = folder.join("target").join("rayline");
    let components = rayline_builder::build(folder, &[], &target, Progress::Shown)?;
    if let (Some(output), [_, _, ..]) = (&output, &components[..]) {
        bail!("{} makes {} plugins, -o {} names one file", folder.display(), components.len(), output.display());
    }
    for component in components {
        let output = output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.wasm", component.package)));
        std::fs::copy(&component.path, &output).with_context(|| format!("cannot write {}", output.display()))?;
        println!("{}", output.display());
    }
    Ok(Exit::Done)
}
