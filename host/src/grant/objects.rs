//! A store of objects: what the guest calls.

mod ahead;
mod bucket;
mod credentials;
mod download;
mod error;
mod listing;
mod store;
mod upload;

use wasmtime::component::Resource;

pub use self::download::Download;
pub use self::error::StoreError;
pub use self::store::Store;
pub use self::upload::Upload;
use super::{State, not_granted};
use crate::stage::bindings::capability::{Error, Temporary};
pub use crate::stage::bindings::objects::{Compression, Object};
use crate::stage::bindings::objects::{Host, HostDownload, HostUpload, ItemError};

impl State {
    fn store(&self, binding: &str) -> Result<Store, Error> {
        self.grants.0.stores.get(binding).cloned().ok_or_else(|| not_granted(binding))
    }
}

impl Host for State {
    async fn list(
        &mut self,
        binding: String,
        prefix: String,
        start_after: Option<String>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<Object>, Error>> {
        let store = match self.store(&binding) {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        Ok(store.list(&prefix, start_after.as_deref(), max as usize).await.map_err(Error::from))
    }

    async fn open(&mut self, binding: String, key: String) -> wasmtime::Result<Result<Resource<Download>, Error>> {
        let store = match self.store(&binding) {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        match store.open_object(&key).await {
            Ok(download) => Ok(Ok(self.table.push(download)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn create(
        &mut self,
        binding: String,
        compression: Compression,
    ) -> wasmtime::Result<Result<Resource<Upload>, Error>> {
        match self.store(&binding).and_then(|store| store.create(compression).map_err(Error::from)) {
            Ok(upload) => Ok(Ok(self.table.push(upload)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn delete(&mut self, binding: String, keys: Vec<String>) -> wasmtime::Result<Result<Vec<ItemError>, Error>> {
        let store = match self.store(&binding) {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        let failed = store.delete_all(&keys).await.into_iter();
        // A guest's list has fewer than 2^32 items.
        Ok(Ok(failed.map(|(index, error)| ItemError { index: index as u32, error: error.into() }).collect()))
    }

    async fn read_ahead(&mut self, binding: String, keys: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.store(&binding).map(|store| store.read_ahead(&keys)))
    }
}

impl HostDownload for State {
    async fn read(&mut self, download: Resource<Download>, max_bytes: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let read = self.table.get_mut(&download)?.read(max_bytes as usize).await;
        Ok(read.map_err(Error::from))
    }

    async fn drop(&mut self, download: Resource<Download>) -> wasmtime::Result<()> {
        self.table.delete(download)?;
        Ok(())
    }
}

impl HostUpload for State {
    async fn write(&mut self, upload: Resource<Upload>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let written = self.table.get_mut(&upload)?.write(bytes).await;
        Ok(written.map_err(Error::from))
    }

    async fn commit(&mut self, upload: Resource<Upload>, key: String) -> wasmtime::Result<Result<String, Error>> {
        let committed = self.table.get_mut(&upload)?.commit(&key).await;
        Ok(committed.map_err(Error::from))
    }

    async fn drop(&mut self, upload: Resource<Upload>) -> wasmtime::Result<()> {
        self.table.delete(upload)?;
        Ok(())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::NotFound(key) => Error::NotFound(format!("there is no object `{key}`")),
            StoreError::Permanent(reason) => Error::Permanent(reason),
            // What is for the operator may name a place: it is for the log, not for the guest.
            StoreError::Refused(reason) => {
                tracing::error!("{reason}");
                Error::Permanent("the object store refuses; the host's log says why".to_owned())
            }
            StoreError::Failed(reason) => {
                tracing::warn!("{reason}");
                let reason = "the object store failed; the host's log says why".to_owned();
                Error::Temporary(Temporary { reason, after_ms: None })
            }
        }
    }
}

#[cfg(test)]
mod tests;
