//! A stage swapped for another with the same host.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::e2e::assert_same;
use crate::harness::{
    World, build, files, generated, guest, lines, skip, target, target_is_installed, wasip2_guest, workspace,
};

const FIELD: &str = "execution.input";

/// Samples through `flatten`, `between`, and into files.
fn pipeline(between: &str, last: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.files]
        plugin = "archive-source"
        grants.objects = "file:messages"
        [transforms.flatten]
        plugin = "flatten"
        inputs = ["files"]
        {between}
        [sinks.documents]
        plugin = "file-sink"
        inputs = ["{last}"]
        grants.objects = "file:{last}"
        options.format = "event"
        "#
    )
}

#[test]
fn redact_between_flatten_and_a_sink() {
    let world = World::new();
    for (n, message) in generated(38).iter().enumerate() {
        world.write(&format!("messages/{n}.json"), message);
    }
    let redact = build("plugins/examples/redact-rust").join("redact-rust.wasm");
    world.run(&pipeline("", "flatten"));
    world.run(&pipeline(
        &format!("[transforms.redact]\nplugin = {redact:?}\ninputs = [\"flatten\"]\noptions.field = \"{FIELD}\""),
        "redact",
    ));
    let mut expected = world.documents("flatten");
    let mut redacted = 0;
    for (_, body) in expected.values_mut() {
        if let Some(field) = body.get_mut(FIELD) {
            *field = json!("[redacted]");
            redacted += 1;
        }
    }
    assert!(redacted > 5, "{redacted}");
    assert_same(&world.documents("redact"), &expected);
}

/// The samples' accounts, collected by this source.
fn collected(source: &str) -> Vec<Value> {
    let world = World::new();
    world.run(&format!(
        r#"
        data_dir = "data"
        [sources.executions]
        {source}
        grants.xray = "file:{}"
        [sinks.messages]
        plugin = "file-sink"
        inputs = ["executions"]
        grants.objects = "file:messages"
        "#,
        workspace("samples/accounts").canonicalize().expect("samples").display()
    ));
    lines(&world.path("messages")).into_iter().map(|(_, line)| serde_json::from_str(&line).expect("JSON")).collect()
}

#[test]
fn another_source_collects_something_else() {
    const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:OrderFulfilment:order-100417";
    let ours = collected(&format!(
        "plugin = \"xray-source\"\n\
         grants.events = \"file:events.queue\"\n\
         options = {{ arns = [{ARN:?}], hand_over = \"final\", retry_secs = [1], stop_when_empty = true }}"
    ));
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0]["executions"][0]["executionArn"], ARN);

    let ten_years = 10 * 365 * 24 * 60;
    let plugin = guest("guest-xray-recent");
    let theirs = collected(&format!("plugin = {plugin:?}\noptions.minutes = {ten_years}"));
    let ids: BTreeSet<&str> = theirs.iter().map(|message| message["trace"]["Id"].as_str().expect("an id")).collect();
    let traces = |folder: &Path| {
        files(folder).into_iter().filter(|path| path.parent().is_some_and(|it| it.ends_with("traces"))).count()
    };
    assert_eq!((theirs.len(), ids.len()), (traces(&workspace("samples/accounts")), theirs.len()), "each trace once");
    assert!(theirs.iter().all(|message| message.get("executions").is_none()));
}

/// Runs events through a transform; returns what a sink gets, and the dead letters: sorted.
fn through(plugin: &Path, options: &str, events: &[String]) -> (Vec<Value>, BTreeSet<(Vec<u8>, String)>) {
    let world = World::new();
    world.write("messages/events.ndjson", events.join("\n"));
    let ended = world.run(&format!(
        r#"
        data_dir = "data"
        [sources.files]
        plugin = "archive-source"
        grants.objects = "file:messages"
        [transforms.middle]
        plugin = {plugin:?}
        inputs = ["files"]
        {options}
        [sinks.out]
        plugin = "print-sink"
        inputs = ["middle"]
        grants.output = "stdout"
        options.format = "event"
        "#
    ));
    let mut events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // The objects' own times, which are when this test wrote them.
    events.iter_mut().for_each(|event| drop(event.as_object_mut().expect("an event").remove("time")));
    events.sort_by_key(Value::to_string);
    (events, crate::e2e::reasons(&world.letters()))
}

/// The same stage in each language that can be built here.
fn redact() -> Vec<(&'static str, PathBuf)> {
    let mut built = vec![("Rust", build("plugins/examples/redact-rust").join("redact-rust.wasm"))];
    let works =
        |program: &str, args: &[&str]| Command::new(program).args(args).output().is_ok_and(|out| out.status.success());
    let python = works("python3", &["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"]);
    let node = works("node", &["--version"]) && works("npm", &["--version"]);
    for (language, name, there) in [("Python", "redact-python", python), ("JavaScript", "redact-javascript", node)] {
        if !there {
            skip(&format!("{name} is not built, there is no {language} here that can"));
            continue;
        }
        let out = target().join("test-guests").join(name);
        let script = workspace(&format!("plugins/examples/{name}/build.sh"));
        let output = Command::new("sh").arg(script).arg(&out).output().expect("sh");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        built.push((language, out.join(name).with_extension("wasm")));
    }
    built
}

#[test]
fn redact_gives_the_same_answer_in_every_language() {
    let mut events: Vec<String> = [
        r#"{"user.id":"u-1","name":"n","account":"111122223333"}"#,
        r#"{"user.id":42}"#,
        r#"{"user.id":null,"more":[1,2.5,-3,true,false,null]}"#,
        r#"{"user.id":{"deep":"u-1"},"text":"\u00e9 é \ud83d\ude00 \" \\ \n"}"#,
        r#"{"user":{"id":"nested"}}"#,
        r#"{}"#,
        r#"[{"user.id":"in a list"}]"#,
        r#""user.id""#,
        r#"this is no JSON"#,
        r#"{"user.id":NaN}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    events.extend((0..200).map(|n| format!(r#"{{"user.id":"u-{n}","n":{n}}}"#)));

    let options = "options.field = \"user.id\"";
    let mut answers = redact().into_iter().map(|(language, plugin)| (language, through(&plugin, options, &events)));
    let (_, (bodies, dead)) = answers.next().expect("Rust");
    assert_eq!((bodies.len(), dead.len()), (events.len() - 2, 2));
    let text = serde_json::to_string(&bodies).expect("JSON");
    assert!(!text.contains("u-1") && text.contains("nested") && text.contains("in a list"), "{text}");
    for (language, (other, other_dead)) in answers {
        assert_eq!(other, bodies, "{language}");
        assert_eq!(other_dead, dead, "{language}");
    }
}

/// A guest of `tests/guests` for `wasm32-wasip2`, where that can be built.
fn ordinary(name: &str) -> Option<PathBuf> {
    let there = target_is_installed("wasm32-wasip2");
    if !there {
        skip(&format!("{name} is not built, `rustup target add wasm32-wasip2` is missing"));
    }
    there.then(|| wasip2_guest(name))
}

#[test]
fn an_ordinary_guest_of_wasip2_that_uses_a_hash_map_runs() {
    let Some(plugin) = ordinary("guest-wasip2-hashmap") else { return };
    let events = ["{\"n\":1}".to_owned(), "{\"n\":22}".to_owned()];
    let (out, dead) = through(&plugin, "", &events);
    let bodies: Vec<_> = out.iter().map(|event| event["body"].clone()).collect();
    assert_eq!(bodies, [json!({ "different": 6 }), json!({ "different": 6 })]);
    assert!(dead.is_empty());
    let world = World::new();
    world
        .rayline(&["plugin", "show", plugin.to_str().expect("UTF-8")])
        .succeeds()
        .says("there and powerless")
        .says("wasi:random/");
}

#[test]
fn an_ordinary_guest_of_wasip2_reaches_nothing() {
    let Some(plugin) = ordinary("guest-wasip2-reach") else { return };
    // It is there: what is refused is not what nobody serves.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address").to_string();
    let tries = [
        ("bind", "127.0.0.1:0"),
        ("connect", address.as_str()),
        ("environment", "PATH"),
        ("look-up", "localhost:80"),
        ("read", "/etc/passwd"),
        ("request", address.as_str()),
        ("write", "/tmp/rayline-was-here"),
    ];
    let events = tries.map(|(what, place)| json!(format!("{what} {place}")).to_string());
    let (out, dead) = through(&plugin, "", &events);
    let bodies: Vec<Value> = out.iter().map(|event| event["body"].clone()).collect();
    assert_eq!(bodies, tries.map(|(what, _)| json!({ what: "refused" })));
    assert!(dead.is_empty(), "{dead:?}");
    server.set_nonblocking(true).expect("a socket");
    assert!(server.accept().is_err(), "nobody came");

    let (out, dead) = through(&plugin, "limits.call_secs = 2", &["\"sleep 86400\"".to_owned()]);
    assert_eq!(out, [] as [Value; 0]);
    let reasons: Vec<String> = dead.into_iter().map(|(_, reason)| reason).collect();
    assert!(matches!(&reasons[..], [reason] if reason.contains("2 s of computing or sleeping")), "{reasons:?}");
}

/// Built for the first 0.1: every later host runs them.
#[test]
fn frozen_guests_run() {
    let frozen = |name: &str| workspace("tests/guests/frozen").join(name).with_extension("wasm");
    let world = World::new();
    let ended = world.run(&format!(
        r#"
        data_dir = "data"
        [sources.in]
        plugin = {:?}
        options.count = 100
        [transforms.middle]
        plugin = {:?}
        inputs = ["in"]
        options.label = "x"
        [sinks.out]
        plugin = {:?}
        inputs = ["middle"]
        grants.queue = "file:out.queue"
        grants.console = "stdout"
        grants.objects = "file:objects"
        "#,
        frozen("source"),
        frozen("transform"),
        frozen("sink"),
    ));
    let number = |body: &Value| body["n"].as_u64().expect("a number");
    let numbers = |lines: &mut dyn Iterator<Item = String>| -> BTreeSet<u64> {
        lines.map(|line| number(&serde_json::from_str(&line).expect("JSON"))).collect()
    };
    assert_eq!(numbers(&mut ended.stdout.lines().map(str::to_owned)), (0..100).collect());
    assert_eq!(numbers(&mut lines(&world.path("objects")).into_iter().map(|(_, line)| line)), (0..100).collect());
    let left = world.take("out.queue").len();
    assert!((1..100).contains(&left), "it takes what it sent, and gives one of each batch back: {left}");
    assert!(world.letters().is_empty());

    // What else a transform can do, and a source of today.
    let (out, dead) = through(
        &frozen("transform"),
        "options.label = \"x\"\nbatch.max_events = 1",
        &["keep", "drop", "double", "part", "reject", "panic"].map(|word| format!("{{\"word\":\"{word}\"}}")),
    );
    let count = |word: &str| out.iter().filter(|event| event["body"]["word"] == word).count();
    assert_eq!(["keep", "drop", "double", "part", "reject", "panic"].map(count), [1, 0, 2, 1, 0, 0]);
    let reasons: Vec<&str> = dead.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for expected in ["asked to reject a part", "asked to reject", "asked to panic"] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:?}");
    }
}
