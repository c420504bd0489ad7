//! The image, and what runs it: they name the same files, variables, ports, folders and users as the pipelines and roles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::files::{deploy, documents};
use super::stack::{REGION, Stack, entries, list, text};
use crate::harness::workspace;

/// What a container is given.
struct Container {
    pipeline: String,
    environment: BTreeMap<String, String>,
    /// Those that it can write to.
    folders: BTreeSet<String>,
    ports: Vec<Value>,
}

/// The instructions of the image, one a line.
fn image() -> Vec<String> {
    let text = fs::read_to_string(deploy("Dockerfile")).expect("the Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What the image's instructions of this name say.
fn instructions(name: &str) -> Vec<String> {
    let prefix = format!("{name} ");
    image().iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

/// Files that are copied from the project, and where to.
fn copies() -> Vec<(String, String)> {
    let mut copies = Vec::new();
    for instruction in instructions("COPY").iter().filter(|instruction| !instruction.starts_with("--from")) {
        let mut paths: Vec<&str> = instruction.split(' ').collect();
        let to = paths.pop().expect("a place");
        copies.extend(paths.into_iter().map(|path| (path.to_owned(), to.to_owned())));
    }
    copies
}

/// The pipelines in the image.
fn pipelines() -> BTreeSet<String> {
    let files = copies().into_iter().filter(|(_, to)| to == "/etc/rayline/");
    files.map(|(path, to)| format!("{to}{}", path.rsplit('/').next().expect("a name"))).collect()
}

/// Variables that a pipeline in the image wants, and those of them that it must have.
fn variables(pipeline: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = pipeline.rsplit('/').next().expect("a name");
    let text = fs::read_to_string(workspace("pipelines").join(name)).expect("a pipeline");
    let text: String = text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let named = || text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let all = named().map(|name| name.split(":-").next().expect("a name").to_owned()).collect();
    (all, named().filter(|name| !name.contains(":-")).map(str::to_owned).collect())
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let ignored = fs::read_to_string(workspace(".dockerignore")).expect(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let copied: Vec<String> = copies().into_iter().map(|(path, _)| path).collect();
    for path in &copied {
        assert!(workspace(path).exists(), "{path} is not there");
        assert!(!ignored.iter().any(|name| path.split('/').next() == Some(name)), "{path} is left out");
    }
    let manifest = fs::read_to_string(workspace("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
    for member in manifest["workspace"]["members"].as_array().expect("a list") {
        let folder = member.as_str().expect("a path").split('/').next().expect("a folder");
        assert!(copied.iter().any(|path| path == folder), "cargo wants {member}");
    }
    let toolchain = fs::read_to_string(workspace("rust-toolchain.toml")).expect("a toolchain");
    let toolchain: toml::Table = toml::from_str(&toolchain).expect("TOML");
    let version = toolchain["toolchain"]["channel"].as_str().expect("a version");
    assert!(instructions("ARG").contains(&format!("RUST={version}")), "the Dockerfile builds with another Rust");
}

#[test]
fn the_image_has_nothing_else_and_is_nobody() {
    let lines = image();
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    assert_eq!(lines[last], "FROM scratch");
    assert!(lines[last..].contains(&"USER 65532:65532".to_owned()), "{lines:?}");
    assert!(lines[last..].iter().any(|line| line.ends_with("/etc/ssl/certs/ca-certificates.crt")), "{lines:?}");
    assert_eq!(instructions("ENTRYPOINT"), [r#"["/rayline"]"#]);
    for pipeline in ["central", "collect", "direct", "replay", "replay-to-index"] {
        assert!(pipelines().contains(&format!("/etc/rayline/{pipeline}.toml")), "{pipeline}");
    }
    let command: Value = serde_json::from_str(&instructions("CMD")[0]).expect("JSON");
    assert_eq!(command, json!(["run", "/etc/rayline/central.toml"]));
}

/// What must hold of a container, whoever runs it.
fn check(container: &Container) {
    assert!(pipelines().contains(&container.pipeline), "{} is not in the image", container.pipeline);
    let (all, needed) = variables(&container.pipeline);
    for name in &needed {
        let value = container.environment.get(name).unwrap_or_else(|| panic!("{} wants {name}", container.pipeline));
        assert!(!value.is_empty(), "{} wants {name}", container.pipeline);
    }
    assert!(all.contains("RAYLINE_API_ADDRESS") && all.contains("RAYLINE_DATA_DIR"), "{all:?}");
    let port = container.environment["RAYLINE_API_ADDRESS"].rsplit(':').next().expect("a port").to_owned();
    let ports: Vec<String> = container.ports.iter().map(text).collect();
    assert_eq!(ports, instructions("EXPOSE"));
    assert_eq!(ports, [port]);
    let volumes: BTreeSet<String> = serde_json::from_str(&instructions("VOLUME")[0]).expect("JSON");
    assert_eq!(container.folders, volumes);
}

#[test]
fn ecs_runs_the_image() {
    for pipeline in ["central", "collect", "direct"] {
        let stack = Stack::new("ecs-task.yaml", REGION, &[("Pipeline", pipeline)]);
        let task = stack.properties("Task");
        let containers = list(&task["ContainerDefinitions"]);
        assert_eq!(containers.len(), 1, "{containers:?}");
        let host = &containers[0];
        assert_eq!(host["ReadonlyRootFilesystem"], true);
        assert_eq!(instructions("USER"), [text(&host["User"])]);
        let pairs = |list: Value, name: &str, value: &str| -> BTreeMap<String, String> {
            super::stack::list(&list).iter().map(|item| (text(&item[name]), text(&item[value]))).collect()
        };
        check(&Container {
            pipeline: text(&host["Command"][1]),
            environment: pairs(host["Environment"].clone(), "Name", "Value"),
            folders: pairs(host["MountPoints"].clone(), "ContainerPath", "SourceVolume").into_keys().collect(),
            ports: list(&host["PortMappings"]).iter().map(|port| port["ContainerPort"].clone()).collect(),
        });
        let made = stack.resources();
        assert_eq!(made.contains_key("Scaling"), pipeline == "central", "only who reads the queue grows with it");
    }
}

/// The one document of a kind.
fn document<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    let document = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    document
}

#[test]
fn kubernetes_runs_the_image() {
    for (name, template, role) in
        [("central", "log-account.yaml", "CentralRole"), ("collector", "member-account.yaml", "CollectorRole")]
    {
        let documents = documents(&format!("kubernetes/{name}.yaml"));
        let pod = &document(&documents, "Deployment")["spec"]["template"]["spec"];
        let host = &pod["containers"][0];
        let mut environment: BTreeMap<String, String> = BTreeMap::new();
        environment
            .extend(entries(&document(&documents, "ConfigMap")["data"]).map(|(key, value)| (key.clone(), text(value))));
        environment.extend(list(&host["env"]).iter().map(|item| (text(&item["name"]), text(&item["value"]))));
        assert_eq!(host["envFrom"], json!([{"configMapRef": {"name": name}}]));
        check(&Container {
            pipeline: text(&host["args"][1]),
            environment,
            folders: list(&host["volumeMounts"]).iter().map(|mount| text(&mount["mountPath"])).collect(),
            ports: list(&host["ports"]).iter().map(|port| port["containerPort"].clone()).collect(),
        });

        // Nobody, who can write nowhere else.
        let (of_pod, of_host) = (&pod["securityContext"], &host["securityContext"]);
        let user = format!("{}:{}", of_pod["runAsUser"], of_pod["runAsGroup"]);
        assert_eq!((of_pod["runAsNonRoot"].clone(), instructions("USER")), (json!(true), vec![user]));
        assert_eq!(of_host["readOnlyRootFilesystem"], true);
        assert_eq!(of_host["allowPrivilegeEscalation"], false);
        assert_eq!(of_host["capabilities"], json!({"drop": ["ALL"]}));

        // A pause is no reason to be restarted.
        let asked = |probe: &str| (text(&host[probe]["httpGet"]["path"]), text(&host[probe]["httpGet"]["port"]));
        assert_eq!(asked("readinessProbe"), ("/health".to_owned(), text(&host["ports"][0]["name"])));
        assert_eq!(asked("livenessProbe").0, "/metrics");
        assert_eq!(asked("startupProbe").0, "/metrics");

        // The role that trusts this service account.
        let account = document(&documents, "ServiceAccount");
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
        let stack = Stack::new(template, REGION, &[("OidcProvider", "example.com/id")]);
        let properties = stack.properties(role);
        let arn = text(&account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]);
        assert_eq!(arn.rsplit('/').next(), Some(text(&properties["RoleName"]).as_str()));
        let subject = format!("{}:{}", text(&account["metadata"]["namespace"]), text(&account["metadata"]["name"]));
        let trust = text(&properties["AssumeRolePolicyDocument"]);
        assert!(trust.contains(&format!("\"system:serviceaccount:{subject}\"")), "{subject}: {trust}");
    }
}

#[test]
fn keda_scales_the_central_host() {
    let scaling = documents("kubernetes/scaling.yaml");
    let central = documents("kubernetes/central.yaml");
    let (scaled, host) = (document(&scaling, "ScaledObject"), document(&central, "Deployment"));
    assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], host["metadata"]["name"]);
    assert_eq!(scaled["metadata"]["namespace"], host["metadata"]["namespace"]);
    assert!(host["spec"]["replicas"].is_null(), "KEDA says how many");
    let queue = &document(&central, "ConfigMap")["data"]["RAYLINE_QUEUE"];
    let trigger = &scaled["spec"]["triggers"][0];
    assert_eq!((&trigger["type"], &trigger["metadata"]["queueURL"]), (&json!("aws-sqs-queue"), queue));
    let authentication = &document(&scaling, "TriggerAuthentication")["metadata"]["name"];
    assert_eq!(&trigger["authenticationRef"]["name"], authentication);
}
