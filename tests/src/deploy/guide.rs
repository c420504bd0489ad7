//! `deploy/README.md`: its commands name what is there.

use std::collections::BTreeSet;
use std::fs;

use super::files::{deploy, documents};
use super::stack::entries;
use crate::harness::workspace;

/// The commands, one a line.
fn commands() -> Vec<String> {
    let guide = fs::read_to_string(deploy("README.md")).expect("the guide");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let text: Vec<&str> = blocks.map(|(block, _)| block).collect();
    text.join("\n").replace("\\\n", " ").lines().map(str::to_owned).collect()
}

fn parameters(template: &str) -> BTreeSet<String> {
    let template = documents(template).pop().expect("a template");
    entries(&template["Parameters"]).map(|(name, _)| name.clone()).collect()
}

/// Those that have no default.
fn needed(template: &str) -> BTreeSet<String> {
    let template = documents(template).pop().expect("a template");
    let needed = entries(&template["Parameters"]).filter(|(_, parameter)| parameter["Default"].is_null());
    needed.map(|(name, _)| name.clone()).collect()
}

#[test]
fn every_stack_is_given_the_parameters_of_its_template() {
    let mut made = BTreeSet::new();
    for command in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        let Some(template) = words.iter().find_map(|word| word.split_once("deploy/")?.1.strip_suffix(".yaml")) else {
            continue;
        };
        if template.starts_with("kubernetes/") {
            continue;
        }
        let template = format!("{template}.yaml");
        // `Name=value` after --parameter-overrides, `ParameterKey=Name,ParameterValue=value` after --parameters.
        let given = words.iter().filter_map(|word| {
            let word = word.strip_prefix("ParameterKey=").unwrap_or(word);
            let (name, _) = word.split_once([',', '='])?;
            name.starts_with(|first: char| first.is_ascii_uppercase()).then(|| name.to_owned())
        });
        let given: BTreeSet<String> = given.filter(|name| name != "Enabled").collect();
        let known = parameters(&template);
        assert!(given.is_subset(&known), "{template} has no {:?}", given.difference(&known));
        let needed = needed(&template);
        assert!(needed.is_subset(&given), "{template} wants {:?}", needed.difference(&given));
        made.insert(template);
    }
    assert_eq!(made, super::files::TEMPLATES.map(str::to_owned).into());
}

#[test]
fn every_file_of_the_guide_is_there() {
    let mut named = 0;
    for command in commands() {
        let words = command.split_whitespace().map(|word| word.trim_start_matches("file://"));
        for path in words.filter(|word| word.starts_with("deploy/") || word.starts_with("pipelines/")) {
            assert!(workspace(path).exists(), "{command}: {path} is not there");
            named += 1;
        }
    }
    assert!(named > 6, "{named}");
}

#[test]
fn every_output_of_the_guide_is_there() {
    let guide = fs::read_to_string(deploy("README.md")).expect("the guide");
    let mut outputs = BTreeSet::new();
    for template in super::files::TEMPLATES {
        let template = documents(template).pop().expect("a template");
        outputs.extend(entries(&template["Outputs"]).map(|(name, _)| name.clone()));
    }
    let named: Vec<&str> = guide.split("$(output ").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!named.is_empty());
    assert!(named.iter().all(|name| outputs.contains(*name)), "{named:?} of {outputs:?}");
}
