//! Who may do what: `deploy/calls.toml` is the list, and everything else agrees with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::files::{TEMPLATES, deploy, documents, python};
use super::stack::{REGION, Stack, entries, list, text};
use crate::harness::workspace;

/// `deploy/calls.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Of each use: IAM's actions, and the calls that ask for them.
    uses: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    free: Free,
    roles: BTreeMap<String, Role>,
}

/// Calls that IAM asks nothing for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Free {
    calls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    template: String,
    resource: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Uses, and of what.
    may: BTreeMap<String, Vec<String>>,
}

/// Actions, each with a resource.
type Allowed = BTreeSet<(String, String)>;

fn calls() -> List {
    toml::from_str(&fs::read_to_string(deploy("calls.toml")).expect("the list")).expect("TOML")
}

#[test]
fn each_role_allows_what_is_listed_and_nothing_else() {
    let list = calls();
    for (name, role) in &list.roles {
        let parameters: Vec<_> = role.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let stack = Stack::new(&role.template, REGION, &parameters);
        let allowed = allowed(&stack, &role.resource);
        let mut expected = Allowed::new();
        for (of, resources) in &role.may {
            let actions = list.uses.get(of).unwrap_or_else(|| panic!("{name}: there is no use {of}"));
            expected
                .extend(resources.iter().flat_map(|on| actions.keys().map(move |action| (action.clone(), on.clone()))));
        }
        let (more, less): (Vec<_>, Vec<_>) =
            (allowed.difference(&expected).collect(), expected.difference(&allowed).collect());
        assert!(more.is_empty() && less.is_empty(), "{name} allows what is not listed: {more:?}; and not: {less:?}");
    }
}

#[test]
fn every_role_is_listed() {
    let listed: BTreeSet<(String, String)> =
        calls().roles.into_values().map(|role| (role.template, role.resource)).collect();
    let mut roles = BTreeSet::new();
    for template in TEMPLATES {
        let document = documents(template).pop().expect("a template");
        for (name, resource) in entries(&document["Resources"]) {
            assert!(
                !["AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::User", "AWS::IAM::Group"]
                    .contains(&resource["Type"].as_str().expect("a type")),
                "{template}: the tests do not look into {name}"
            );
            if resource["Type"] == "AWS::IAM::Role" {
                roles.insert((template.to_owned(), name.clone()));
            }
        }
    }
    assert_eq!(roles, listed);
}

/// Every call of an SDK of AWS that the host's code makes is in the list, and no other.
#[test]
fn the_list_has_the_calls_of_the_code() {
    let list = calls();
    let listed = list.uses.values().flat_map(BTreeMap::values).flatten().chain(&list.free.calls);
    // The SDK's own provider of credentials assumes roles, and `object_store` calls S3.
    let by_others = |call: &String| call == "sts.AssumeRole" || call.starts_with("s3.");
    let listed: BTreeSet<String> = listed.filter(|call| !by_others(call)).cloned().collect();

    let code = code(&workspace("host/src"));
    let services = python(include_str!("operations.py"), &["sqs", "xray", "stepfunctions", "sts"]);
    let mut made = BTreeSet::new();
    for (service, operations) in entries(&services) {
        for (call, function) in entries(operations) {
            if code.contains(&format!(".{}()", text(function))) {
                made.insert(format!("{service}.{call}"));
            }
        }
    }
    assert_eq!(made, listed);
    assert!(code.contains("AssumeRoleProvider"));
}

/// What a role allows by its own policies and by those of its stack that are attached to it.
fn allowed(stack: &Stack, role: &str) -> Allowed {
    let properties = stack.properties(role);
    let own = list(&properties["Policies"]).into_iter().map(|policy| policy["PolicyDocument"].clone());
    let attached = list(&properties["ManagedPolicyArns"]).into_iter().map(|name| {
        let name = text(&name);
        assert!(stack.is_a(&name, "AWS::IAM::ManagedPolicy"), "{role} has the policy {name}, which is not ours");
        stack.properties(&name)["PolicyDocument"].clone()
    });
    let mut allowed = Allowed::new();
    for statement in own.chain(attached).flat_map(|policy| list(&policy["Statement"])) {
        assert_eq!(statement["Effect"], "Allow", "{role}: {statement}");
        let keys: BTreeSet<&str> = entries(&statement).map(|(key, _)| key.as_str()).collect();
        let known = BTreeSet::from(["Action", "Condition", "Effect", "Resource", "Sid"]);
        assert!(keys.is_subset(&known), "{role}: {statement}");
        allowed.extend(pairs(&statement));
    }
    for (action, _) in &allowed {
        assert!(!action.contains('*'), "{role} allows {action}");
    }
    allowed
}

/// The actions of a statement with each of its resources.
pub fn pairs(statement: &Value) -> Vec<(String, String)> {
    let resources = list(&statement["Resource"]);
    let actions = list(&statement["Action"]).into_iter();
    actions.flat_map(|action| resources.iter().map(move |on| (text(&action), text(on)))).collect()
}

/// All Rust below a folder.
fn code(folder: &Path) -> String {
    let mut code = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            code += &self::code(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code += &fs::read_to_string(&path).expect("a file");
        }
    }
    code
}
