//! The files of `deploy/`.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::workspace;
use crate::servers::cfn_lint;

/// The templates of CloudFormation.
pub const TEMPLATES: [&str; 3] = ["log-account.yaml", "member-account.yaml", "ecs-task.yaml"];

/// A file of `deploy/`.
pub fn deploy(name: &str) -> PathBuf {
    workspace("deploy").join(name)
}

/// The documents of a YAML file of `deploy/`.
pub fn documents(name: &str) -> Vec<Value> {
    let answer = python(include_str!("documents.py"), &[deploy(name).to_str().expect("UTF-8")]);
    let Value::Array(mut files) = answer else { panic!("no list: {answer}") };
    match files.pop() {
        Some(Value::Array(documents)) => documents,
        other => panic!("{name}: {other:?}"),
    }
}

/// What a program in Python writes: JSON.
pub fn python(program: &str, args: &[&str]) -> Value {
    let output = interpreter().args(["-c", program]).args(args).output().expect("Python");
    serde_json::from_slice(&checked(output)).expect("JSON")
}

/// Python. Its own programs name the folder where they were installed, and were moved since.
fn interpreter() -> Command {
    Command::new(cfn_lint().join("bin/python"))
}

fn checked(output: Output) -> Vec<u8> {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    output.stdout
}

#[test]
fn cfn_lint_has_nothing_to_say() {
    let output =
        interpreter().arg(cfn_lint().join("bin/cfn-lint")).args(TEMPLATES.map(deploy)).output().expect("cfn-lint");
    assert_eq!(String::from_utf8_lossy(&checked(output)), "");
}
