//! What a run needs in other programs, put there by `rayline setup`, and what `rayline prune` takes away again.
//!
//! - [`mapping`]: the one description of the fields and their types.
//! - [`template`]: index templates, as a server takes them.
//! - [`retention`]: policies by which a server deletes old indices by itself.
//! - [`server`]: which search server it is, and calls to it.
//! - [`elasticsearch`]: installs what is missing or different.
//! - [`indices`]: where a pipeline's stages write.
//! - [`prune`]: deletes old indices, on servers without such policies too.
//! - [`kibana`]: index patterns, charts and dashboards.

pub mod elasticsearch;
pub mod indices;
pub mod kibana;
pub mod mapping;
pub mod prune;
pub mod retention;
pub mod server;
pub mod template;
