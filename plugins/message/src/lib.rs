//! The forms that a raw message takes outside the pipeline, shared by the stages that read and write them:
//!
//! - on a queue: [`transport`] (gzip and base64), [`Envelope`] (what it says of itself)
//! - in the archive: [`Line`] (`rayline.archive/1`) and [`Partition`] (where it lies)
//! - as NDJSON for other programs: [`Ndjson`]
//!
//! [`Message`] is what the stages that read make of it; [`Attributes`] is what travels beside it.

mod attributes;
mod envelope;
mod line;
mod message;
mod ndjson;
mod partition;
mod time;
pub mod transport;

pub use attributes::Attributes;
pub use envelope::Envelope;
pub use line::Line;
pub use message::Message;
pub use ndjson::Ndjson;
pub use partition::{Partition, folder_name, hour_folder};
pub use time::{basic, nanoseconds, rfc3339};
