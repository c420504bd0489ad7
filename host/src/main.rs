//! `rayline`: see the crate's library for where things are.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rayline::cli::main()
}
