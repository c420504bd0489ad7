//! `rayline validate`.

use std::path::PathBuf;

use super::Exit;
use super::load::Loader;

/// Prints `ok` for each file without errors, and every error of the others.
///
/// # Errors
/// When a file cannot be read.
pub fn validate(files: &[PathBuf]) -> anyhow::Result<Exit> {
    let loader = Loader::for_pipelines(files, false)?;
    let mut exit = Exit::Done;
    for file in files {
        match loader.pipeline(file)? {
            Ok(pipeline) => println!("{}: ok, {} stages", file.display(), pipeline.stages.len()),
            Err(report) => {
                eprint!("{report}");
                exit = Exit::Invalid;
            }
        }
    }
    Ok(exit)
}
