//! The Rayline host: loads WebAssembly components as pipeline stages and moves events between them.
//!
//! The modules, in the order a run passes through them:
//!
//! - [`pipeline`]: the TOML file as a [`pipeline::Pipeline`], with every error and its place.
//! - [`engine`]: the only `wasmtime::Config`, the epoch ticker, the compile cache.
//! - [`plugin`]: a component: which kind it is, what it imports, what it says of itself.
//! - [`grant`]: what one stage may reach, one file per capability.
//! - [`stage`]: one instance of a component in its own store: open, call, close.
//! - [`event`]: what flows between stages.
//! - [`delivery`]: claims and settlement, batching, retry, dead letter.
//! - [`run`]: the graph of stages and channels: start, drain, exit code.
//! - [`data_dir`]: the folder of one host.
//! - [`api`]: health and metrics.
//! - [`setup`]: what a run needs outside of Rayline.
//! - [`doctor`]: what stands in the way of a run.
//! - [`cli`]: one file per command.

#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod data_dir;
pub mod delivery;
pub mod doctor;
pub mod engine;
pub mod event;
#[cfg(feature = "failpoints")]
pub mod failpoint;
pub mod grant;
pub mod metrics;
pub mod pipeline;
pub mod plugin;
pub mod run;
pub mod setup;
pub mod stage;
