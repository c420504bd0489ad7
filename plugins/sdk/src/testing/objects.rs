//! Stores of objects in memory, without compression: an object is what was written. A binding is granted once a test has
//! called [`grant`], [`put`] or [`all`] for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::bindings::capability::Error;
use crate::bindings::objects::{Compression, ItemError, Object};

thread_local! {
    static STORES: RefCell<BTreeMap<String, BTreeMap<String, Vec<u8>>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants the binding an empty store.
pub fn grant(binding: &str) {
    with(binding, |_| ());
}

/// Puts an object into the binding's store.
pub fn put(binding: &str, key: &str, content: &[u8]) {
    with(binding, |store| store.insert(key.to_owned(), content.to_vec()));
}

/// Everything in the binding's store.
pub fn all(binding: &str) -> BTreeMap<String, Vec<u8>> {
    with(binding, |store| store.clone())
}

pub(crate) fn list(binding: &str, prefix: &str, start_after: Option<&str>, max: u32) -> Result<Vec<Object>, Error> {
    let start = start_after.filter(|key| *key >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
    granted(binding, |store| {
        let found = store.range::<str, _>((start, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let object = |(key, content): (&String, &Vec<u8>)| Object {
            key: key.clone(),
            size: content.len() as u64,
            modified: super::clock::now(),
        };
        found.take(max as usize).map(object).collect()
    })
}

pub(crate) fn open(binding: &str, key: &str) -> Result<Download, Error> {
    granted(binding, |store| store.get(key).cloned())?
        .map(|content| Download { content, read: Cell::new(0) })
        .ok_or_else(|| Error::NotFound(key.to_owned()))
}

pub(crate) fn read_ahead(binding: &str, _keys: &[String]) -> Result<(), Error> {
    granted(binding, |_| ())
}

pub(crate) fn create(binding: &str, _compression: Compression) -> Result<Upload, Error> {
    granted(binding, |_| Upload { binding: binding.to_owned(), content: RefCell::default() })
}

pub(crate) fn delete(binding: &str, keys: &[String]) -> Result<Vec<ItemError>, Error> {
    granted(binding, |store| store.retain(|key, _| !keys.contains(key)))?;
    Ok(Vec::new())
}

pub(crate) struct Download {
    content: Vec<u8>,
    read: Cell<usize>,
}

impl Download {
    pub(crate) fn read(&self, max_bytes: u32) -> Result<Vec<u8>, Error> {
        let rest = self.content.get(self.read.get()..).unwrap_or_default();
        let bytes: Vec<u8> = rest.iter().take(max_bytes as usize).copied().collect();
        self.read.set(self.read.get() + bytes.len());
        Ok(bytes)
    }
}

pub(crate) struct Upload {
    binding: String,
    content: RefCell<Vec<u8>>,
}

impl Upload {
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.content.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    /// Any hash that follows the content alone does for a test: FNV-1a.
    pub(crate) fn commit(&self, key: &str) -> Result<String, Error> {
        let content = self.content.take();
        let hash = content
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let key = key.replace("{hash}", &format!("{hash:016x}"));
        granted(&self.binding, |store| store.insert(key.clone(), content))?;
        Ok(key)
    }
}

fn with<R>(binding: &str, call: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> R) -> R {
    STORES.with_borrow_mut(|stores| call(stores.entry(binding.to_owned()).or_default()))
}

fn granted<R>(binding: &str, call: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> R) -> Result<R, Error> {
    STORES.with_borrow_mut(|stores| match stores.get_mut(binding) {
        Some(store) => Ok(call(store)),
        None => Err(Error::NotGranted(binding.to_owned())),
    })
}
