//! Drives a stage in an ordinary `cargo test`, with capabilities that live in memory, one set for each test (thread).
//!
//! ```
//! # use rayline_sdk::{Context, Event, Failure, NoOptions, Output, Transform};
//! # struct Keep;
//! # impl Transform for Keep {
//! #     type Options = NoOptions;
//! #     const SUMMARY: &'static str = "Keeps every event";
//! #     fn open(_: NoOptions, _: &Context) -> Result<Self, Failure> { Ok(Keep) }
//! #     fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
//! #         out.keep(event);
//! #         Ok(())
//! #     }
//! # }
//! use rayline_sdk::testing::{self, Input};
//!
//! let done = testing::transform::<Keep>("{}", &[Input::body("{\"a\":1}").label("account", "111122223333")]).unwrap();
//! assert_eq!(done.events[0].body, "{\"a\":1}");
//! assert!(done.rejected.is_empty());
//! ```

pub mod clock;
pub mod console;
mod driver;
pub mod http;
pub mod log;
pub mod objects;
pub mod queue;
pub mod xray;

pub use driver::{
    Input, OpenSink, OpenSource, OpenTransform, Read, Rejected, Seen, Transformed, Verdict, Written, describe_sink,
    describe_source, describe_transform, open_sink, open_source, open_transform, transform,
};
