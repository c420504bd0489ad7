//! What one stage may reach, one file per capability.
//!
//! - [`queue`]: a durable queue in a file, or of Amazon SQS.
//! - [`objects`]: objects in a folder, or on S3.
//! - [`http`]: an HTTP server.
//! - [`xray`]: traces and executions of AWS accounts, or recorded ones.
//! - [`console`]: standard output.
//! - [`aws`]: credentials of those that speak to AWS.
//! - [`check`]: what is found where a grant points, without running anything. `identity`: whose credentials they are.
//! - `log`, `clock`: always there. `wasi`: always there, and powerless.
//!
//! **A stage reaches nothing that its grants do not name**: [`Grants`] holds what the pipeline file granted, by binding
//! name, and is all that the functions here look into. No address ever enters a guest: errors that name one go to the log.

pub mod aws;
pub mod check;
pub mod console;
pub mod http;
pub mod objects;
pub mod queue;
pub mod xray;

pub(crate) mod identity;

mod clock;
mod log;
mod wasi;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use wasmtime::component::{HasSelf, Linker, ResourceTable};

use self::http::Client;
use self::objects::Store;
use self::queue::{Held, Queue};
use self::wasi::Wasi;
use self::xray::Xray;
use crate::pipeline::{Capability, Grant, Limits};
use crate::stage::Waker;
use crate::stage::bindings::{self, capability};
use crate::stage::limits::{GuestTime, MemoryLimit};

pub(crate) use self::log::{Journal, Words};

/// What one stage may reach, shared by its instances. Clones share everything.
#[derive(Clone, Default)]
pub struct Grants(Arc<Bound>);

#[derive(Default)]
struct Bound {
    stage: String,
    queues: BTreeMap<String, Queue>,
    stores: BTreeMap<String, Store>,
    clients: BTreeMap<String, Client>,
    xrays: BTreeMap<String, Xray>,
    consoles: BTreeSet<String>,
}

impl Grants {
    /// Opens everything that the stage of this name is granted. Queues and folders that are not there are made; of
    /// servers only SQS is spoken to, for its queues' limits, for as long as it takes.
    ///
    /// # Errors
    ///
    /// A file or folder cannot be opened, or is something else; a certificate or a region is missing; SQS has no such queue
    /// or refuses.
    pub async fn open(stage: &str, grants: &BTreeMap<String, Grant>) -> Result<Grants> {
        let mut bound = Bound { stage: stage.to_owned(), ..Bound::default() };
        for (name, grant) in grants {
            let context = || format!("cannot open what `grants.{name}` of the stage `{stage}` names");
            let name = name.clone();
            match grant {
                Grant::Queue(grant) => {
                    bound.queues.insert(name.clone(), Queue::open_patiently(grant).await.with_context(context)?);
                }
                Grant::Objects(grant) => {
                    bound.stores.insert(name.clone(), Store::open(grant).await.with_context(context)?);
                }
                Grant::Http(grant) => {
                    bound.clients.insert(name.clone(), Client::open(grant).await.with_context(context)?);
                }
                Grant::Xray(grant) => {
                    bound.xrays.insert(name.clone(), Xray::open(grant).await.with_context(context)?);
                }
                Grant::Console => {
                    bound.consoles.insert(name);
                }
            }
        }
        Ok(Grants(Arc::new(bound)))
    }

    /// The queues, by binding name: for metrics.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &Queue)> {
        self.0.queues.iter().map(|(name, queue)| (name.as_str(), queue))
    }

    /// The accounts that it may ask X-Ray and Step Functions about: for metrics.
    pub fn xrays(&self) -> impl Iterator<Item = &Xray> {
        self.0.xrays.values()
    }
}

/// What the store of one instance holds. Dropping it gives back what the instance received and did not settle.
pub(crate) struct State {
    pub(crate) grants: Grants,
    /// By binding name.
    pub(crate) held: BTreeMap<String, Held>,
    pub(crate) wake: Waker,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: Wasi,
    pub(crate) time: GuestTime,
    pub(crate) call_limit: Duration,
    pub(crate) memory: MemoryLimit,
    pub(crate) journal: Journal,
}

impl State {
    pub(crate) fn new(grants: Grants, instance: u64, wake: Waker, limits: &Limits) -> State {
        let journal = Journal::new(&grants.0.stage, instance);
        let held = grants.queues().map(|(name, queue)| (name.to_owned(), Held::new(queue.clone()))).collect();
        State {
            wasi: Wasi::new(&journal),
            grants,
            held,
            wake,
            table: ResourceTable::new(),
            time: GuestTime::new(),
            call_limit: limits.call,
            memory: MemoryLimit::new(limits.memory_bytes),
            journal,
        }
    }
}

/// Links what every stage has.
pub(crate) fn link_always(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasi::link(linker)?;
    bindings::log::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::types::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::capability::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// Links a capability. Whether a binding of it is granted shows when it is used.
pub(crate) fn link(linker: &mut Linker<State>, capability: Capability) -> wasmtime::Result<()> {
    match capability {
        Capability::Queue => bindings::queue::add_to_linker::<State, HasSelf<State>>(linker, |state| state),
        Capability::Objects => bindings::objects::add_to_linker::<State, HasSelf<State>>(linker, |state| state),
        Capability::Http => bindings::http::add_to_linker::<State, HasSelf<State>>(linker, |state| state),
        Capability::Xray => bindings::xray::add_to_linker::<State, HasSelf<State>>(linker, |state| state),
        Capability::Console => bindings::console::add_to_linker::<State, HasSelf<State>>(linker, |state| state),
    }
}

impl bindings::types::Host for State {}
impl capability::Host for State {}

/// What a capability answers for a binding that the pipeline file does not grant.
fn not_granted(binding: &str) -> capability::Error {
    capability::Error::NotGranted(format!("`grants.{binding}` is not there"))
}
