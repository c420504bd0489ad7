//! The pipelines that are shipped, and every command of the README.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::central::account::Account;
use crate::e2e::{flattened, reasons};
use crate::harness::{World, binary, lines, workspace};
use crate::kibana::recorder::{Answer, Recorder, Seen, opensearch, says};
use crate::servers::{Engine, search, unique};

/// A folder that looks like the project's, with the host where `make build` puts it.
fn project() -> World {
    let world = World::new();
    for name in ["plugins", "samples", "Makefile"] {
        std::os::unix::fs::symlink(workspace(name).canonicalize().expect("it is there"), world.path(name))
            .expect("a link");
    }
    for name in shipped() {
        let name = format!("pipelines/{name}");
        world.write(&name, fs::read(workspace(&name)).expect("a pipeline"));
    }
    fs::create_dir_all(world.path("target/release")).expect("a folder");
    fs::copy(binary(), world.path("target/release/rayline")).expect("a copy");
    for pipeline in ["demo", "replay", "collect", "events/replay"] {
        world.share_cache(&format!("target/demo/{pipeline}"));
    }
    world
}

fn shipped() -> Vec<String> {
    let entries = fs::read_dir(workspace("pipelines")).expect("pipelines");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Runs what `make demo` runs after building.
fn demo(world: &World) {
    let makefile = fs::read_to_string(workspace("Makefile")).expect("the Makefile");
    let (_, recipe) = makefile.split_once("\ndemo:").expect("a target `demo`");
    let recipe: Vec<&str> = recipe.lines().skip(1).take_while(|line| line.starts_with('\t')).collect();
    let recipe = recipe.join("\n").replace("\\\n", " ");
    let mut run = 0;
    for command in recipe.lines().map(|line| line.trim().trim_start_matches('@')) {
        if !command.contains("$(RAYLINE)") {
            continue;
        }
        shell(world, &command.replace("$(RAYLINE)", "target/release/rayline"));
        run += 1;
    }
    assert_eq!(run, 4, "{recipe}");
}

fn shell(world: &World, command: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(world.path("."))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("sh");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{stdout}\n{stderr}");
    format!("{stdout}{stderr}")
}

#[test]
fn the_shipped_pipelines_do_what_they_say() {
    let of_every_account = ["collect.toml", "direct.toml"];
    let of_the_log_account = ["central.toml", "replay-to-index.toml", "replay.toml"];
    let (collecting, others): (Vec<_>, Vec<_>) =
        shipped().into_iter().partition(|name| of_every_account.contains(&name.as_str()));
    let (elsewhere, here): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|name| of_the_log_account.contains(&name.as_str()));
    assert_eq!(collecting, of_every_account, "run by `collect::shipped`");
    assert_eq!(elsewhere, of_the_log_account, "run by `central`");
    assert_eq!(here, ["demo-collect.toml", "demo-replay.toml", "demo.toml"], "run by `demo`");

    let world = project();
    demo(&world);
    let archived = world.archived("target/demo/archive");
    let [messages, events] =
        ["messages", "events"].map(|name| fs::read_dir(workspace("samples").join(name)).expect("samples").count());
    assert_eq!(archived.len(), messages + events, "each message, and a trace or execution for each event");
    let (documents, rejections) = flattened(&archived);
    let text = |body: &Value| serde_json::to_string(body).expect("JSON");
    let expected: BTreeSet<String> = documents.iter().map(|(_, _, body)| text(body)).collect();
    let written = lines(&world.path("target/demo/documents")).into_iter();
    let written: BTreeSet<String> =
        written.map(|(_, line)| text(&serde_json::from_str(&line).expect("JSON"))).collect();
    assert_eq!(written, expected);
    let letters = crate::harness::letters(&world.path("target/demo/demo/dead-letter"));
    assert_eq!(reasons(&letters), rejections);
}

#[test]
fn the_stage_that_is_shown_is_the_example() {
    let readme = fs::read_to_string(workspace("README.md")).expect("the README");
    let shown = readme.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```")).expect("a stage");
    let example = fs::read_to_string(workspace("plugins/examples/redact-rust/src/lib.rs")).expect("the example");
    assert_eq!(shown.0, example);
}

/// Runs the commands of the log account on servers of the tests.
fn log_account(commands: &[&str]) {
    let account = Account::new(search(Engine::OpenSearch2), &unique("readme"), "30");
    let dashboards = Recorder::start(signed(opensearch("2.19.1")));
    for command in commands {
        let command = command.replace("https://kibana.example.com", &dashboards.url());
        match command.split(' ').collect::<Vec<_>>().as_slice() {
            ["export", variable] => {
                let (name, _) = variable.split_once('=').expect("a value");
                let known = ["RAYLINE_QUEUE", "RAYLINE_BUCKET", "RAYLINE_SEARCH", "RAYLINE_EVENTS", "RAYLINE_ACCOUNT"];
                assert!(known.contains(&name), "{command}");
            }
            // In every account: run by `collect`.
            ["rayline", "validate" | "doctor" | "run", "pipelines/collect.toml"] => {}
            ["rayline", args @ ..] if args.contains(&"run") => {
                let mut host = account.rayline(args).start();
                host.until_it_says("running");
                host.stops();
            }
            ["rayline", command @ ("validate" | "doctor"), file] => {
                let found = account.rayline(&[command, file]).succeeds();
                found.says("OpenSearch 2.19").says("index templates in place");
            }
            ["rayline", args @ ..] => drop(account.rayline(args).succeeds()),
            _ => panic!("README.md has a command that this test cannot run: {command}"),
        }
    }
    assert!(!dashboards.seen().is_empty());
}

/// Wants a signature, as the dashboards of Amazon OpenSearch Service do.
fn signed(answer: impl Fn(&Seen) -> Answer + Clone) -> impl Fn(&Seen) -> Answer + Clone {
    move |request| {
        let mut request = request.clone();
        let authorization = request.headers.get("authorization").map_or("", String::as_str);
        if !authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") {
            return says(403, json!({"message": "no signature"}));
        }
        request.headers.insert("authorization".to_owned(), "Basic ZWxhc3RpYzpzZWNyZXQ=".to_owned());
        answer(&request)
    }
}

#[test]
fn every_command_of_the_readme_runs() {
    let readme = fs::read_to_string(workspace("README.md")).expect("the README");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let commands = blocks.flat_map(|(block, _)| block.lines()).map(str::trim).filter(|line| !line.is_empty());
    let in_the_log_account = |line: &&str| line.starts_with("rayline ") || line.starts_with("export ");
    let (central, commands): (Vec<&str>, Vec<&str>) = commands.partition(in_the_log_account);
    assert!(central.len() > 6 && commands.len() > 4, "{central:?} {commands:?}");
    log_account(&central);
    let world = project();
    demo(&world);
    for command in commands {
        if let Some(goal) = command.strip_prefix("make ") {
            shell(&world, &format!("make -n {goal}"));
        } else if command.contains("target/release/rayline ") {
            let said = shell(&world, command);
            assert!(!said.is_empty(), "{command}");
        } else {
            panic!("README.md has a command that this test cannot run: {command}");
        }
    }
    assert!(world.path("redact.wasm").is_file(), "README.md builds the example");
}
