//! Pipeline files from the command line, ready to run, or every error in them on standard error.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::engine::Engine;
use crate::pipeline::{self, Diagnostic, Pipeline, PluginProblem, PluginRef};
use crate::plugin::Plugin;
use crate::run::Plugins;

/// Loads components, each file once.
pub struct Loader {
    engine: Engine,
    plugins: RefCell<BTreeMap<PluginRef, Result<Plugin, PluginProblem>>>,
}

impl Loader {
    /// A loader that keeps compiled components in `cache`, where there is one.
    ///
    /// # Errors
    /// When the cache cannot be used.
    pub fn new(cache: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Loader { engine: Engine::new(cache)?, plugins: RefCell::default() })
    }

    /// A loader that keeps compiled components in the `data_dir` of these pipelines: the first, if it is there or is to
    /// be made.
    ///
    /// # Errors
    /// When the cache cannot be used.
    pub fn for_pipelines(files: &[PathBuf], make: bool) -> anyhow::Result<Self> {
        let data_dir = files.first().and_then(|file| {
            let text = std::fs::read_to_string(file).ok()?;
            Some(parse(file, &text).data_dir)
        });
        let cache = data_dir.filter(|folder| make || folder.is_dir()).map(|folder| folder.join("cache"));
        Loader::new(cache.as_deref())
    }

    /// A component by its reference.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn plugin(&self, reference: &PluginRef) -> Result<Plugin, PluginProblem> {
        let mut plugins = self.plugins.borrow_mut();
        plugins.entry(reference.clone()).or_insert_with(|| Plugin::load(&self.engine, reference)).clone()
    }

    /// Every component loaded so far.
    pub fn plugins(&self) -> Plugins {
        let plugins = self.plugins.borrow();
        plugins.iter().filter_map(|(name, plugin)| Some((name.clone(), plugin.clone().ok()?))).collect()
    }

    /// The pipelines of these files; `None` when one has errors, which are then on standard error, all of all files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn pipelines(&self, files: &[PathBuf]) -> anyhow::Result<Option<Vec<Pipeline>>> {
        let mut pipelines = Vec::new();
        for file in files {
            match self.pipeline(file)? {
                Ok(pipeline) => pipelines.push(pipeline),
                Err(report) => eprint!("{report}"),
            }
        }
        Ok((pipelines.len() == files.len()).then_some(pipelines))
    }

    /// The pipeline of a file, or the report of its errors.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pipeline(&self, file: &Path) -> anyhow::Result<Result<Pipeline, String>> {
        let text = read(file)?;
        let check = || -> Result<Pipeline, Vec<Diagnostic>> {
            pipeline::check(parse(file, &text), &|reference| Ok(self.plugin(reference)?.facts().clone()))
        };
        Ok(check().map_err(|diagnostics| pipeline::render(&diagnostics, file, &text, stderr().is_terminal())))
    }
}

/// Reads a pipeline file.
///
/// # Errors
/// When it is not there or is no text.
pub fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read the pipeline file {}", file.display()))
}

fn parse(file: &Path, text: &str) -> pipeline::Parsed {
    let env: BTreeMap<String, String> =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    pipeline::parse(file, text, &env, &|path| std::fs::read_to_string(path))
}
