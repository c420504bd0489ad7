//! The folder that a host keeps its checkpoints and compiled components in: one host at a time.

use std::path::Path;

/// Held while a host works in a `data_dir`.
#[derive(Debug)]
pub struct DataDir(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] std::fs::File);

/// Why a `data_dir` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another host works in it.
    #[error("another host works in {0}: stop it, or give this pipeline a `data_dir` of its own")]
    Taken(String),
    /// It cannot be made or opened.
    #[error("cannot use the folder {folder}: {error}")]
    Unusable {
        /// The folder.
        folder: String,
        /// The system's words.
        error: std::io::Error,
    },
}

impl DataDir {
    /// Makes the folder if need be and takes it for this process.
    ///
    /// # Errors
    /// When it is taken or cannot be used.
    pub fn take(folder: &Path) -> Result<Self, DataDirError> {
        let name = folder.display().to_string();
        let open = || {
            std::fs::create_dir_all(folder)?;
            std::fs::OpenOptions::new().create(true).append(true).open(folder.join("lock"))
        };
        let file = open().map_err(|error| DataDirError::Unusable { folder: name.clone(), error })?;
        match file.try_lock() {
            Ok(()) => Ok(DataDir(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(DataDirError::Taken(name)),
            Err(std::fs::TryLockError::Error(error)) => Err(DataDirError::Unusable { folder: name, error }),
        }
    }
}
