//! Every test of the project, in one binary. The table of contents:

/// Every error of a pipeline file and its remedy.
#[cfg(test)]
mod validate;
