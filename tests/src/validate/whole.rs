//! What a valid file becomes; many errors at once; secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect;
use rayline::pipeline::{
    Aws, FileQueueGrant, Grant, Kind, ObjectsGrant, PluginRef, QueueGrant, S3Grant, SqsGrant, render,
};
use serde_json::json;

use super::world::{World, file};
use super::{PATH, VALID, edited, valid_but, validate};

#[test]
fn defaults() {
    let file = VALID.replace("data_dir = \"data\"\n", "");
    let pipeline = validate(&file, &World::new()).unwrap();
    assert_eq!(pipeline.name, "my");
    assert_eq!(pipeline.path, Path::new(PATH));
    assert_eq!(pipeline.data_dir, Path::new("pipelines/rayline-data"));
    assert_eq!(pipeline.in_flight_bytes, 67_108_864);
    assert_eq!(pipeline.api_address, None);
    assert_eq!(
        pipeline.dead_letter.location,
        ObjectsGrant::Folder(PathBuf::from("pipelines/rayline-data/dead-letter/my"))
    );
    assert_eq!(pipeline.dead_letter.max_ratio, 0.5);
    assert_eq!(pipeline.dead_letter.probe, Duration::from_secs(60));

    let [source, transform, sink] = pipeline.stages.as_slice() else { panic!("three stages") };
    assert_eq!([source.kind, transform.kind, sink.kind], [Kind::Source, Kind::Transform, Kind::Sink]);
    assert_eq!([&source.name, &transform.name, &sink.name], ["inbox", "flatten", "documents"]);
    assert_eq!(source.plugin, PluginRef::Shipped("queue-source".to_owned()));
    assert_eq!(sink.inputs, ["flatten"]);
    assert_eq!(transform.batch.timeout, Duration::ZERO);
    assert_eq!(sink.batch.timeout, Duration::from_secs(1));
    assert_eq!((sink.batch.max_bytes, sink.batch.max_events), (1_048_576, 1_000));
    assert_eq!((sink.instances.min, sink.instances.max), (1, 1));
    assert_eq!((sink.retry.initial, sink.retry.max), (Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!(sink.retry.max_attempts, None);
    assert_eq!((sink.limits.memory_bytes, sink.limits.call), (536_870_912, Duration::from_secs(30)));
    assert_eq!(sink.options, json!({}));
    let queue = QueueGrant::File(FileQueueGrant {
        path: PathBuf::from("pipelines/inbox.queue"),
        visibility: Duration::from_secs(30),
        max_hold: Duration::from_secs(43_200),
    });
    assert_eq!(source.grants["queue"], Grant::Queue(queue));
    assert_eq!(sink.grants["objects"], Grant::Objects(ObjectsGrant::Folder(PathBuf::from("pipelines/documents"))));
}

#[test]
fn every_key() {
    let text = r#"
        data_dir = "/var/lib/rayline"
        dead_letter = { location = "file:../dead", max_ratio = 1, probe_secs = 1.5 }
        limits.in_flight_bytes = 1_000
        api.address = "[::1]:9000"

        [sinks.out]
        plugin = "file-sink"
        inputs = ["redact", "inbox"]
        grants = { objects = { url = "file:///srv/out" } }
        instances = { min = 2, max = 8 }
        batch = { max_bytes = 10, max_events = 20, timeout_secs = 0.25, group_by = ["account", "region"] }
        retry = { initial_secs = 0.5, max_secs = 2, max_attempts = 3 }
        limits = { memory_bytes = 65_536, call_secs = 0.1 }
        options = { format = "event", rate = 5, fields = ["a"], share = 1, rotate.max_bytes = 1, labels.x = 1 }

        [sinks.console]
        plugin = "print-sink"
        inputs = ["inbox"]
        grants.output = "stdout"

        [transforms]
        redact = { plugin = "./redact.wasm", inputs = ["inbox"], instances = 3, options.field = "user" }

        [sources.inbox]
        plugin = "queue-source"
        grants.queue = { url = "file:/q/inbox", visibility_secs = 0.5, max_hold_secs = 60 }
    "#;
    let pipeline = validate(text, &World::new()).unwrap();
    assert_eq!(pipeline.data_dir, Path::new("/var/lib/rayline"));
    assert_eq!(pipeline.dead_letter.location, ObjectsGrant::Folder(PathBuf::from("pipelines/../dead")));
    assert_eq!((pipeline.dead_letter.max_ratio, pipeline.dead_letter.probe), (1.0, Duration::from_millis(1500)));
    assert_eq!(pipeline.in_flight_bytes, 1_000);
    assert_eq!(pipeline.api_address.unwrap().to_string(), "[::1]:9000");

    let names: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["inbox", "redact", "out", "console"]);
    let [source, redact, out, console] = pipeline.stages.as_slice() else { panic!("four stages") };
    let queue = QueueGrant::File(FileQueueGrant {
        path: PathBuf::from("/q/inbox"),
        visibility: Duration::from_millis(500),
        max_hold: Duration::from_secs(60),
    });
    assert_eq!(source.grants["queue"], Grant::Queue(queue));
    assert_eq!(redact.plugin, file("redact.wasm"));
    assert_eq!((redact.instances.min, redact.instances.max), (3, 3));
    assert_eq!(redact.options, json!({"field": "user"}));
    assert_eq!(out.inputs, ["redact", "inbox"]);
    assert_eq!(out.grants["objects"], Grant::Objects(ObjectsGrant::Folder(PathBuf::from("/srv/out"))));
    assert_eq!((out.instances.min, out.instances.max), (2, 8));
    assert_eq!((out.batch.max_bytes, out.batch.max_events), (10, 20));
    assert_eq!(out.batch.timeout, Duration::from_millis(250));
    assert_eq!(out.batch.group_by, ["account", "region"]);
    assert_eq!((out.retry.initial, out.retry.max), (Duration::from_millis(500), Duration::from_secs(2)));
    assert_eq!(out.retry.max_attempts, Some(3));
    assert_eq!((out.limits.memory_bytes, out.limits.call), (65_536, Duration::from_millis(100)));
    let options = json!({
        "format": "event", "rate": 5, "fields": ["a"], "share": 1, "rotate": {"max_bytes": 1}, "labels": {"x": 1}
    });
    assert_eq!(out.options, options);
    assert_eq!(console.grants["output"], Grant::Console);
}

#[test]
fn objects_on_s3() {
    let plain = |bucket: &str, prefix: &str| S3Grant {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint_url: None,
        path_style: false,
        kms_key_id: None,
        aws: Aws::default(),
    };
    let all = S3Grant {
        endpoint_url: Some("http://minio:9000".to_owned()),
        path_style: true,
        kms_key_id: Some("alias/logs".to_owned()),
        aws: Aws {
            region: Some("eu-west-1".to_owned()),
            role_arn: Some("arn:aws:iam::111122223333:role/r".to_owned()),
            external_id: Some("x".to_owned()),
        },
        ..plain("acme", "raw/all")
    };
    let cases = [
        (r#""s3://acme""#, plain("acme", ""), "s3://acme"),
        (r#""s3://acme/""#, plain("acme", ""), "s3://acme"),
        (r#"{ url = "s3://acme.logs_2/a b/c" }"#, plain("acme.logs_2", "a b/c"), "s3://acme.logs_2/a b/c"),
        (
            r#"{ url = "s3://acme/raw/all/", region = "eu-west-1", endpoint_url = "http://minio:9000/", path_style = "${FOLLOW}", kms_key_id = "alias/logs", role_arn = "arn:aws:iam::111122223333:role/r", external_id = "x" }"#,
            all,
            "s3://acme/raw/all",
        ),
    ];
    for (written, expected, shown) in cases {
        let text = valid_but("\"file:documents\"", written);
        let text = super::replace(&text, "data_dir = \"data\"", &format!("dead_letter.location = {written}"));
        let pipeline = validate(&text, &World::new()).unwrap();
        let expected = ObjectsGrant::S3(expected);
        assert_eq!(pipeline.stages[2].grants["objects"], Grant::Objects(expected.clone()));
        assert_eq!(pipeline.dead_letter.location, expected);
        assert_eq!(expected.to_string(), shown);
    }
}

#[test]
fn queues_of_sqs() {
    let plain = |url: &str, endpoint: &str, region: Option<&str>| SqsGrant {
        url: url.to_owned(),
        endpoint: endpoint.to_owned(),
        aws: Aws { region: region.map(str::to_owned), ..Aws::default() },
        claim_check: None,
        accounts: BTreeMap::new(),
        visibility: None,
        max_hold: Duration::from_secs(43_200),
    };
    let (url, endpoint) =
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", "https://sqs.eu-west-1.amazonaws.com");
    let (local, emulator) = ("http://127.0.0.1:9324/000000000000/inbox", "http://127.0.0.1:9324");
    let mut all = plain(url, endpoint, Some("eu-west-1"));
    all.aws.role_arn = Some("arn:aws:iam::111122223333:role/r".to_owned());
    all.aws.external_id = Some("x".to_owned());
    all.claim_check = Some(S3Grant {
        bucket: "acme".to_owned(),
        prefix: "payloads".to_owned(),
        endpoint_url: None,
        path_style: false,
        kms_key_id: None,
        aws: Aws::default(),
    });
    all.accounts = BTreeMap::from([("AROA1".to_owned(), "444455556666".to_owned())]);
    (all.visibility, all.max_hold) = (Some(Duration::from_secs(60)), Duration::from_secs(3600));
    let cases = [
        (format!("\"{url}\""), plain(url, endpoint, Some("eu-west-1"))),
        (format!("\"{local}\""), plain(local, emulator, None)),
        (format!("{{ url = \"{local}\", region = \"eu-west-2\" }}"), plain(local, emulator, Some("eu-west-2"))),
        (
            format!(
                r#"{{ url = "{url}", region = "eu-west-1", role_arn = "arn:aws:iam::111122223333:role/r", external_id = "x", claim_check = "s3://acme/payloads", accounts = {{ AROA1 = "444455556666" }}, visibility_secs = 60, max_hold_secs = 3600 }}"#
            ),
            all,
        ),
    ];
    for (written, expected) in cases {
        let pipeline = validate(&valid_but("\"file:inbox.queue\"", &written), &World::new()).unwrap();
        assert_eq!(pipeline.stages[0].grants["queue"], Grant::Queue(QueueGrant::Sqs(Box::new(expected))));
    }
}

/// References stand for strings, and for numbers and booleans where those are wanted.
#[test]
fn references() {
    let options = r#"options = { rate = "${EVENTS}", follow = "${FOLLOW}", from = "${DAY:-2026-01-31}", fields = ["${EVENTS}", "a-${EVENTS}", "$${EVENTS}", "${EMPTY}", "${EMPTY:-b}"] }
instances = "${INSTANCES:-3}"
batch = { max_events = "${EVENTS}", timeout_secs = "${SECS:-0.5}" }
grants.objects"#;
    let text =
        super::replace(&valid_but("grants.objects", options), "\"file:inbox.queue\"", "\"${file:/run/secrets/queue}\"");
    let pipeline = validate(&text, &World::new()).unwrap();
    let sink = &pipeline.stages[2];
    let fields = ["500", "a-500", "${EVENTS}", "", "b"];
    assert_eq!(sink.options, json!({"rate": 500, "follow": true, "from": "2026-01-31", "fields": fields}));
    assert_eq!(sink.instances.min, 3);
    assert_eq!((sink.batch.max_events, sink.batch.timeout), (500, Duration::from_millis(500)));
    let Grant::Queue(QueueGrant::File(queue)) = &pipeline.stages[0].grants["queue"] else { panic!("a queue") };
    assert_eq!(queue.path, Path::new("pipelines/secret.queue"));
}

/// One error of each phase, in the order of their places, with a remedy that mends all.
#[test]
fn all_at_once() {
    let text = r#"
data_dir = work
limits.in_flight_bytes = 0

[sources.inbox]
plugin = "queue-sorce"
grant.queue = "file:inbox.queue"

[transforms.redact]
plugin = "./redact.wasm"
inputs = ["inbx"]
options.filed = "user"

[sinks.out]
plugin = "print-sink"
inputs = ["redact"]
instances = "2"
"#;
    let world = World::new();
    let diagnostics = validate(text, &world).unwrap_err();
    expect![[r#"
          × a string stands in quotes
           ╭─[pipelines/my.toml:2:12]
         1 │ 
         2 │ data_dir = work
           ·            ────
         3 │ limits.in_flight_bytes = 0
           ╰────
          help: write `"work"`

          × limits.in_flight_bytes: 0 is too small; the least is 1
           ╭─[pipelines/my.toml:3:26]
         2 │ data_dir = work
         3 │ limits.in_flight_bytes = 0
           ·                          ─
         4 │ 
           ╰────
          help: write `1`

          × sources.inbox.plugin: "queue-sorce": no plugin of this name is shipped with this host
           ╭─[pipelines/my.toml:6:10]
         5 │ [sources.inbox]
         6 │ plugin = "queue-sorce"
           ·          ─────────────
         7 │ grant.queue = "file:inbox.queue"
           ╰────
          help: write `"queue-source"`

          × sources.inbox.grant: unknown key
           ╭─[pipelines/my.toml:7:1]
         6 │ plugin = "queue-sorce"
         7 │ grant.queue = "file:inbox.queue"
           · ─────
         8 │ 
           ╰────
          help: write `grants`

          × transforms.redact.inputs[0]: there is no stage "inbx"
            ╭─[pipelines/my.toml:11:11]
         10 │ plugin = "./redact.wasm"
         11 │ inputs = ["inbx"]
            ·           ──────
         12 │ options.filed = "user"
            ╰────
          help: write `"inbox"`

          × transforms.redact.options.filed: unknown option
            ╭─[pipelines/my.toml:12:9]
         11 │ inputs = ["inbx"]
         12 │ options.filed = "user"
            ·         ─────
         13 │ 
            ╰────
          help: write `field`

          × sinks.out.grants.output: this grant is missing; the plugin needs it: where the lines go
            ╭─[pipelines/my.toml:14:8]
         13 │ 
         14 │ [sinks.out]
            ·        ───
         15 │ plugin = "print-sink"
            ╰────
          help: add `grants.output = "stdout"`

          × sinks.out.instances: found a string, wanted an integer
            ╭─[pipelines/my.toml:17:13]
         16 │ inputs = ["redact"]
         17 │ instances = "2"
            ·             ───
            ╰────
          help: write `2`

        pipelines/my.toml: 8 errors
    "#]]
    .assert_eq(&render(&diagnostics, Path::new(PATH), text, false));
    let mended = edited(text, diagnostics);
    // The grant of a plugin whose name was wrong shows now.
    let left = validate(&mended, &world).map_err(|left| render(&left, Path::new(PATH), &mended, false));
    left.unwrap();
}

/// No message shows what a reference stands for.
#[test]
fn secrets_do_not_show() {
    let places = [
        ("\"data\"", "\"${SECRET}\"\napi.address = \"${SECRET}\""),
        ("plugin = \"flatten\"", "plugin = \"${SECRET}\""),
        ("plugin = \"flatten\"", "plugin = \"./${SECRET}.wasm\""),
        ("[\"inbox\"]", "[\"${SECRET}\"]"),
        ("\"file:inbox.queue\"", "\"${SECRET}\""),
        ("\"file:inbox.queue\"", "{ url = \"ftp:${SECRET}\" }"),
        ("grants.objects", "batch.max_events = \"${SECRET}\"\ngrants.objects"),
        ("grants.objects", "options.rate = \"${SECRET}\"\ngrants.objects"),
        ("grants.objects", "options.format = \"${SECRET}\"\ngrants.objects"),
        ("grants.objects", "options.from = \"${SECRET}\"\ngrants.objects"),
        ("grants.objects", "options.fields = \"${SECRET}\"\ngrants.objects"),
        ("grants.objects", "options.rotate = \"${SECRET}\"\ngrants.objects"),
    ];
    for (from, to) in places {
        let text = valid_but(from, to);
        let Err(diagnostics) = validate(&text, &World::new()) else { panic!("no error in:\n{text}") };
        let shown = format!("{diagnostics:?}\n{}", render(&diagnostics, Path::new(PATH), &text, false));
        assert!(shown.contains("SECRET"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn colour_adds_escapes_only() {
    let text = valid_but("plugin = \"flatten\"", "plugin = \"flaten\"");
    let diagnostics = validate(&text, &World::new()).unwrap_err();
    let plain = render(&diagnostics, Path::new(PATH), &text, false);
    let coloured = render(&diagnostics, Path::new(PATH), &text, true);
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}
