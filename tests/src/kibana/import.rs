//! `rayline setup kibana`: what it sends, and what it says when that fails.

use rayline::setup::kibana::object::Form;
use serde_json::{Value, json};

use super::recorder::{Answer, Objects, Recorder, Seen, file, kibana, kibana_with, opensearch, says};
use crate::harness::{Ended, World};

const AUTH: &str = r#"{ basic = { user = "elastic", password = "secret" } }"#;

fn pipeline(auth: &str) -> String {
    format!(
        r#"
        data_dir = "data"
        [sources.in]
        plugin = "queue-source"
        grants.queue = "file:q"
        [sinks.index]
        plugin = "elasticsearch-sink"
        inputs = ["in"]
        grants.http = {{ urls = ["http://127.0.0.1:9"], auth = {auth} }}
        "#
    )
}

fn pipeline_for(prefix: &str, auth: &str) -> String {
    format!("{}options.index_prefix = {prefix:?}\n", pipeline(auth))
}

/// Runs the command against the server.
fn setup(server: &Recorder, auth: &str, more: &[&str]) -> Ended {
    run(server, &pipeline(auth), more)
}

fn run(server: &Recorder, pipeline: &str, more: &[&str]) -> Ended {
    let world = World::new();
    world.write("pipeline.toml", pipeline);
    let url = server.url();
    world.rayline(&[&["setup", "kibana", "pipeline.toml", "--url", &url], more].concat()).ends()
}

/// The command must fail and say this.
fn fails(answer: impl Fn(&Seen) -> Answer + Clone + Send + Sync + 'static, more: &[&str], says: &str) {
    let server = Recorder::start(answer);
    setup(&server, AUTH, more).with_code(1).says(says);
}

#[test]
fn the_objects_are_imported_in_the_form_that_the_server_takes() {
    type Case =
        (Recorder, &'static str, &'static [&'static str], &'static str, (&'static str, Option<&'static str>), Form);
    let cases: [Case; 9] = [
        (Recorder::start(kibana("7.9.0")), "Kibana 7.9.0", &[], "", ("kbn-xsrf", None), Form::V7_10),
        (
            Recorder::start(kibana("7.17.29")),
            "Kibana 7.17.29",
            &["--space", "xray"],
            "/s/xray",
            ("kbn-xsrf", None),
            Form::V7_10,
        ),
        (Recorder::start(kibana("8.7.1")), "Kibana 8.7.1", &[], "", ("kbn-xsrf", None), Form::V7_10),
        (Recorder::start(kibana("8.19.2")), "Kibana 8.19.2", &[], "", ("kbn-xsrf", None), Form::V8_8),
        (
            Recorder::start(kibana("9.0.1")),
            "Kibana 9.0.1",
            &["--space", "xray"],
            "/s/xray",
            ("kbn-xsrf", None),
            Form::V8_8,
        ),
        (Recorder::start(kibana("9.1.0-SNAPSHOT")), "Kibana 9.1.0-SNAPSHOT", &[], "", ("kbn-xsrf", None), Form::V8_8),
        (
            Recorder::start(opensearch("1.3.20")),
            "OpenSearch Dashboards 1.3.20",
            &[],
            "",
            ("osd-xsrf", None),
            Form::V7_10,
        ),
        (
            Recorder::start(opensearch("2.19.1")),
            "OpenSearch Dashboards 2.19.1",
            &["--tenant", "global"],
            "",
            ("osd-xsrf", Some("global")),
            Form::V7_10,
        ),
        (
            Recorder::start(opensearch("3.6.0")),
            "OpenSearch Dashboards 3.6.0",
            &["--tenant", "ops"],
            "",
            ("osd-xsrf", Some("ops")),
            Form::V7_10,
        ),
    ];
    for (server, name, args, base, (xsrf, tenant), form) in cases {
        let count = form.objects("xray").len();
        setup(&server, AUTH, args)
            .with_code(0)
            .says(&format!("{name}: {count} objects"))
            .says(&format!("{}{base}/app/dashboards#/view/rayline-executions", server.url()))
            .says(&format!("{}{base}/app/dashboards#/view/rayline-services", server.url()));
        let seen = server.seen();
        let import = seen.last().expect("a request");
        assert_eq!(
            (import.method.as_str(), &import.path),
            ("POST", &format!("{base}/api/saved_objects/_import?overwrite=true"))
        );
        assert_eq!(import.headers[xsrf], "true", "{name}");
        assert_eq!(import.headers.get("securitytenant").map(String::as_str), tenant, "{name}");
        assert_eq!(file(import), form.ndjson("xray"), "{name}");
    }
}

#[test]
fn a_second_import_replaces_what_is_there_and_touches_nothing_else() {
    for (version, form) in [("7.9.0", Form::V7_10), ("8.19.2", Form::V8_8)] {
        let objects = Objects::default();
        objects.put("dashboard", "mine", json!("my own"));
        let server = Recorder::start(kibana_with(&objects, version));
        setup(&server, AUTH, &[]).with_code(0);
        let first = objects.all();
        assert_eq!(first.len(), form.objects("xray").len() + 1);
        objects.put("visualization", "rayline-status", json!("somebody's change"));
        setup(&server, AUTH, &[]).with_code(0);
        assert_eq!(objects.all(), first, "Kibana {version}");
    }
}

#[test]
fn the_objects_of_several_prefixes_are_side_by_side() {
    let objects = Objects::default();
    let server = Recorder::start(kibana_with(&objects, "9.0.1"));
    let link = |id: &str| format!("{}/app/dashboards#/view/{id}\n", server.url());
    setup(&server, AUTH, &[]).with_code(0).says(&format!("X-Ray: executions: {}", link("rayline-executions")));
    let acme = run(&server, &pipeline_for("acme", AUTH), &[]).with_code(0);
    acme.says(&format!("X-Ray: executions (acme): {}", link("rayline-executions.acme")));
    assert_eq!(objects.all().len(), 2 * Form::V8_8.objects("xray").len());
    let imports: Vec<String> = server.seen().iter().filter(|seen| seen.method == "POST").map(file).collect();
    assert_eq!(imports, ["xray", "acme"].map(|prefix| Form::V8_8.ndjson(prefix)));
}

/// Since Kibana 8 an id is unique among all spaces: in a second one the objects get others.
#[test]
fn the_links_follow_objects_that_the_server_renamed() {
    let renaming = |request: &Seen| match request.method.as_str() {
        "POST" => says(
            200,
            json!({"success": true, "successCount": Form::V8_8.objects("xray").len(), "successResults": [
                {"type": "dashboard", "id": "rayline-executions", "destinationId": "0b1c", "overwrite": true},
                {"type": "dashboard", "id": "rayline-services", "overwrite": true}]}),
        ),
        _ => kibana("9.0.1")(request),
    };
    let server = Recorder::start(renaming);
    let ended = setup(&server, AUTH, &["--space", "xray"]).with_code(0);
    ended.says("/s/xray/app/dashboards#/view/0b1c").says("/s/xray/app/dashboards#/view/rayline-services");
}

#[test]
fn what_the_server_says_of_an_object_is_shown() {
    let count = Form::V8_8.objects("xray").len();
    let error = |error: Value| json!([{"type": "visualization", "id": "rayline-status", "error": error}]);
    for (errors, says) in [
        (
            error(json!({"type": "missing_references", "references": [{"type": "index-pattern", "id": "gone"}]})),
            "visualization rayline-status: the server does not find index-pattern gone",
        ),
        (error(json!({"type": "unsupported_type"})), "the server has no objects of this kind"),
        (error(json!({"type": "conflict"})), "delete the copies there"),
        (
            error(json!({"type": "ambiguous_conflict", "destinations": [{"id": "a"}, {"id": "b"}]})),
            "delete the copies there",
        ),
        (
            error(
                json!({"type": "unknown", "statusCode": 422, "message": "belongs to a more recent version of Kibana"}),
            ),
            "visualization rayline-status: belongs to a more recent version of Kibana",
        ),
        (error(json!({"type": "unknown"})), "visualization rayline-status: the server gives no reason"),
    ] {
        let taken = count - 1;
        let answer = json!({"success": false, "successCount": taken, "errors": errors});
        let server = Recorder::start(answering(200, answer));
        setup(&server, AUTH, &[])
            .with_code(1)
            .says(&format!("Kibana 8.19.2 took {taken} of {count} objects"))
            .says(says);
    }
    // No error, and yet not everything.
    fails(answering(200, json!({"success": true, "successCount": 3})), &[], "took 3 of");
    fails(answering(200, json!("fine")), &[], "something that is no verdict on it");
}

#[test]
fn an_import_that_is_refused_says_what_to_do() {
    let message = |text: &str| json!({"statusCode": 403, "error": "Forbidden", "message": text});
    for (status, answer, says) in [
        (403, message("Unable to bulk_create dashboard"), "it says: Unable to bulk_create dashboard"),
        (403, json!({}), "all privileges on Dashboard, Visualize, Discover"),
        (401, json!({}), "check the `auth` of `grants.http`"),
        (
            413,
            json!({"message": "Payload content length greater than maximum allowed"}),
            "answered with 413; it says: Payload",
        ),
        (500, json!({"message": "An internal server error occurred."}), "answered with 500; it says: An internal"),
    ] {
        fails(answering(status, answer), &[], says);
    }
}

#[test]
fn another_server_is_told_from_kibana() {
    let ok = |body: Value| move |_: &Seen| says(200, body.clone());
    fails(ok(json!({"tagline": "You Know, for Search"})), &[], "this is neither Kibana nor OpenSearch Dashboards");
    let reduced = json!({"status": {"overall": {"level": "available"}}});
    fails(ok(reduced), &[], "the server tells its version to users only");
    fails(|_: &Seen| (200, Vec::new(), "<html>".to_owned()), &[], "this is neither Kibana nor OpenSearch Dashboards");
    let elasticsearch = json!({"error": "no handler found for uri [/api/status] and method [GET]"});
    fails(move |_: &Seen| says(400, elasticsearch.clone()), &[], "this is neither Kibana nor OpenSearch Dashboards");
    let login = |_: &Seen| (302, vec![("location", "https://login.example.com/".to_owned())], String::new());
    fails(login, &[], "a redirect to https://login.example.com/");
    fails(|_: &Seen| says(503, json!({})), &[], "the server is starting, or cannot reach its cluster (503)");
    fails(kibana("7.8.1"), &[], "Kibana 7.8.1 is not supported");
    fails(kibana("6.8.23"), &[], "Kibana 6.8.23 is not supported");
    fails(ok(json!({"version": {"number": "new"}, "status": {}})), &[], "Kibana new is not supported");
}

#[test]
fn wrong_credentials_and_places_are_told() {
    let server = Recorder::start(kibana("8.19.2"));
    let wrong = AUTH.replace("secret", "wrong");
    let ended = setup(&server, &wrong, &[]).with_code(1).says("the server does not accept the credentials (401)");
    assert!(!ended.stderr.contains("wrong"), "a password is shown: {}", ended.stderr);
    assert!(!ended.stderr.contains("neither Kibana"), "{}", ended.stderr);

    fails(kibana("8.19.2"), &["--space", "prod"], "Kibana 8.19.2 has no space prod: create it");
    fails(kibana("8.19.2"), &["--space", "a/../b"], "is no identifier of a space");
    fails(kibana("8.19.2"), &["--tenant", "global"], "Kibana 8.19.2 has no tenants");
    fails(opensearch("2.19.1"), &["--space", "xray"], "OpenSearch Dashboards 2.19.1 has no spaces");

    let world = World::new();
    world.write("pipeline.toml", pipeline(AUTH));
    let args = ["setup", "kibana", "pipeline.toml", "--url"];
    world
        .rayline(&[&args[..], &["http://127.0.0.1:1"]].concat())
        .ends()
        .with_code(1)
        .says("cannot reach the server of --url");
    for (url, says) in [
        ("kibana.example.com", "write it as https://kibana.example.com"),
        ("kibana.example.com:5601", "write it as https://kibana.example.com"),
        ("https://elastic:secret@kibana.example.com", "--url has credentials"),
        ("https://kibana.example.com/app/home#/", "is a page: end it before"),
    ] {
        let ended = world.rayline(&[&args[..], &[url]].concat()).ends().with_code(1).says(says);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn a_pipeline_must_have_one_index() {
    let world = World::new();
    let one = pipeline(AUTH);
    let second = one.split_once("[sinks.index]").expect("a sink").1;
    world.write(
        "none.toml",
        one.replace("elasticsearch-sink", "file-sink").replace("grants.http", "grants.objects = \"file:f\" #"),
    );
    world.write("two.toml", format!("{one}\n[sinks.other]{second}"));
    world.write("wrong.toml", one.replace("queue-source", "queue-sauce"));
    for (file, code, says) in [
        ("none.toml", 1, "none.toml has no stage with the plugin elasticsearch-sink"),
        ("two.toml", 1, "several stages with the plugin elasticsearch-sink (index, other)"),
        ("wrong.toml", 2, "queue-sauce"),
        ("missing.toml", 1, "cannot read the pipeline file missing.toml"),
    ] {
        world.rayline(&["setup", "kibana", file, "--url", "http://127.0.0.1:1"]).ends().with_code(code).says(says);
    }
}

#[test]
fn the_objects_are_printed_without_a_server_and_a_pipeline() {
    let world = World::new();
    for (args, form) in
        [(&["--print"][..], Form::V7_10), (&["--print=7.10"], Form::V7_10), (&["--print=8.8"], Form::V8_8)]
    {
        let printed = world.rayline(&[&["setup", "kibana"], args].concat()).succeeds().stdout;
        assert_eq!(printed, form.ndjson("xray"));
        world.write("acme.toml", pipeline_for("acme", AUTH));
        let printed = world.rayline(&[&["setup", "kibana", "acme.toml"], args].concat()).succeeds().stdout;
        assert_eq!(printed, form.ndjson("acme"));
    }
    world.rayline(&["setup", "kibana"]).ends().with_code(2).says("--url");
    world.rayline(&["setup", "kibana", "--print=9"]).ends().with_code(2).says("8.8");
}

/// Kibana 8.19, but for this answer to the import.
fn answering(status: u16, body: Value) -> impl Fn(&Seen) -> Answer + Clone {
    move |request| if request.method == "POST" { says(status, body.clone()) } else { kibana("8.19.2")(request) }
}
