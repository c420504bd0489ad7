//! `rayline`: glue.

#![forbid(unsafe_code)]

fn main() {}
