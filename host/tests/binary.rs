//! That there is a binary: cargo builds it for a package's own integration tests only, and the tests of the project run
//! it as it is.

use std::process::Command;

#[test]
fn the_binary_says_which_contract_it_serves() {
    let output = Command::new(env!("CARGO_BIN_EXE_rayline")).arg("--version").output().unwrap();
    let version = format!("rayline {}\nstage contract: rayline:stage@0.1.0\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), version);
}
