//! The only [`wasmtime::Config`], the epoch ticker and the compile cache.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tracing::info;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, EngineWeak};

/// How often a guest that computes lets others run, and looks whether its time is spent.
pub const TICK: Duration = Duration::from_millis(10);

/// From when on a compilation is worth a line in the log.
const LONG: Duration = Duration::from_secs(1);

/// Compiles components and runs their instances. Clones share everything; the ticker ends with the last user.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
}

impl Engine {
    /// An engine that keeps compiled components in `cache_dir`, if given, which it makes and closes to other users:
    /// whoever writes there runs code in this process.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or closed, or this machine cannot run WebAssembly.
    pub fn new(cache_dir: Option<&Path>) -> Result<Engine> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        // Host functions are async, the contract's are not: nothing needs the machinery for concurrent guests.
        config.concurrency_support(false);
        if let Some(folder) = cache_dir {
            let folder = private_folder(folder)
                .with_context(|| format!("cannot prepare the folder for compiled components, {}", folder.display()))?;
            let mut cache = CacheConfig::new();
            cache.with_directory(folder);
            config.cache(Some(Cache::new(cache).map_err(|error| anyhow!("{error:#}"))?));
        }
        let inner =
            wasmtime::Engine::new(&config).map_err(|error| anyhow!("cannot start the wasm engine: {error:#}"))?;
        let weak = inner.weak();
        thread::Builder::new().name("epoch".to_owned()).spawn(move || tick(&weak))?;
        Ok(Engine { inner })
    }

    /// Compiles a component, or takes it from the cache. `name` is for the log, which says so when it takes long: a
    /// component in Python or JavaScript takes 20 s and more.
    ///
    /// # Errors
    ///
    /// The bytes are no component that this engine can run.
    pub fn compile(&self, name: &str, bytes: &[u8]) -> wasmtime::Result<Component> {
        let start = Instant::now();
        let (done, waiting) = channel::<()>();
        let component = thread::scope(|scope| {
            scope.spawn(move || {
                if waiting.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                    info!(plugin = name, "compiling; the result is kept for the next start");
                }
            });
            let component = Component::new(&self.inner, bytes);
            drop(done);
            component
        })?;
        let took = start.elapsed();
        if took >= LONG {
            info!(plugin = name, seconds = took.as_secs_f64(), "compiled");
        }
        Ok(component)
    }

    /// For linkers and stores.
    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }
}

/// Moves the epoch on until nobody uses the engine any more.
fn tick(engine: &EngineWeak) {
    loop {
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

/// The folder's full path, once it is there and only its owner can enter it.
fn private_folder(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    folder.canonicalize()
}
