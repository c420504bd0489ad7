//! Every test of the project, in one binary. The table of contents:

/// The specification of the documents as a plain, slow program.
#[cfg(test)]
mod reference;

/// An index that takes external versions, as Elasticsearch does.
#[cfg(test)]
mod model;

/// What `flatten` makes of messages.
#[cfg(test)]
mod flatten;

/// Every error of a pipeline file and its remedy.
#[cfg(test)]
mod validate;
