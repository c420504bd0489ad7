//! What a Rayline stage in Rust is written with.
//!
//! A stage is one type that implements [`Transform`], [`Source`] or [`Sink`], exported once:
//!
//! ```
//! use rayline_sdk::{Context, Event, Failure, NewEvent, NoOptions, Output, Transform};
//!
//! struct Upper;
//!
//! impl Transform for Upper {
//!     type Options = NoOptions;
//!     const SUMMARY: &'static str = "Writes every body in capitals";
//!
//!     fn open(_: NoOptions, _: &Context) -> Result<Self, Failure> {
//!         Ok(Upper)
//!     }
//!
//!     fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
//!         out.push(&NewEvent::like(event), &event.body.to_ascii_uppercase());
//!         Ok(())
//!     }
//! }
//!
//! rayline_sdk::export_transform!(Upper);
//! ```
//!
//! The crate is a `cdylib` (and an `rlib`, so that tests can use it); `rayline plugin build DIR` makes the component.
//!
//! # Where things are
//!
//! - [`Transform`], [`Source`], [`Sink`]: one trait, its output builder and its export macro each.
//! - [`Event`], [`Batch`]: what comes in, a view of the flat layout of `wit/stage.wit`.
//! - [`Context`], [`Binding`], [`Ends`], [`Failure`]: what a stage is told, says of itself, and answers.
//! - [`log`], [`clock`], [`queue`], [`objects`], [`http`], [`xray`], [`console`]: the capabilities; [`CapabilityError`] is why
//!   a call failed.
//! - [`testing`]: drives a stage in an ordinary `cargo test`, with capabilities that live in memory.
//!
//! # What holds
//!
//! - **A component imports only what its code uses.** Naming a binding imports nothing, calling a capability does. `log`
//!   is the exception: every stage reports its panics through it.
//! - **No time from std.** It traps on this target: [`clock`] is the only one.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod adapter;
#[doc(hidden)]
pub mod bindings;
mod capability;
pub mod clock;
pub mod console;
mod context;
mod describe;
mod event;
mod export;
mod failure;
mod flat;
pub mod http;
pub mod log;
pub mod objects;
pub mod queue;
mod sink;
mod source;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod transform;
pub mod xray;

pub use capability::CapabilityError;
pub use context::{Context, NoOptions};
pub use describe::{Binding, Capability, Ends};
pub use event::{Batch, Event, Events, Labels};
pub use failure::Failure;
pub use sink::{Exceptions, Sink};
pub use source::{Outcome, Reading, Settlement, Source, SourceEvent, SourceOutput};
pub use transform::{NewEvent, NewLabels, Output, Transform};
