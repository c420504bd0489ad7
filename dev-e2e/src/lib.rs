#![allow(dead_code)]
#[cfg(test)] #[path = "../../tests/src/reference/mod.rs"] mod reference;
#[cfg(test)] #[path = "../../tests/src/harness/mod.rs"] mod harness;
