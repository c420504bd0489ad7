//! The grant of a server: addresses, exactly one way to prove who one is, secrets.

use std::path::PathBuf;
use std::time::Duration;

use expect_test::expect;
use rayline::pipeline::{Auth, Aws, Grant, HttpGrant, Secret};

use super::world::World;
use super::{Case, Mend, check, valid_but, validate};

/// `VALID` with a sink that is granted this server.
fn granted(http: &str) -> String {
    let sink = format!("plugin = \"./search.wasm\"\ninputs = [\"flatten\"]\ngrants.http = {http}");
    valid_but("plugin = \"file-sink\"\ninputs = [\"flatten\"]\ngrants.objects = \"file:documents\"", &sink)
}

fn read(http: &str) -> HttpGrant {
    let pipeline = validate(&granted(http), &World::new()).unwrap();
    let Grant::Http(grant) = &pipeline.stages[2].grants["http"] else { panic!("a server") };
    grant.clone()
}

#[test]
fn every_form() {
    let grant = read(r#""https://search.example.com""#);
    assert_eq!(grant, HttpGrant::new("https://search.example.com".parse().unwrap()));
    assert_eq!((grant.timeout, grant.connect_timeout), (Duration::from_secs(60), Duration::from_secs(5)));

    let grant = read(
        r#"{ urls = ["http://a:9200/search", "http://[::1]:9200"], ca_file = "ca.pem", timeout_secs = 2.5, connect_timeout_secs = 1 }"#,
    );
    let urls: Vec<&str> = grant.urls.iter().map(|url| url.as_str()).collect();
    assert_eq!(urls, ["http://a:9200/search", "http://[::1]:9200/"]);
    assert_eq!(grant.ca_file, Some(PathBuf::from("pipelines/ca.pem")));
    assert_eq!((grant.timeout, grant.connect_timeout), (Duration::from_millis(2500), Duration::from_secs(1)));

    let aws = Aws {
        region: Some("eu-west-1".to_owned()),
        role_arn: Some("arn:aws:iam::111122223333:role/rayline".to_owned()),
        external_id: Some("acme".to_owned()),
    };
    let password = Secret::new("hunter2");
    let cases = [
        (r#""none""#, Auth::None),
        (
            r#"{ basic = { user = "elastic", password = "${file:/run/secrets/password}" } }"#,
            Auth::Basic { user: "elastic".to_owned(), password },
        ),
        (r#"{ api_key = "${SECRET}" }"#, Auth::ApiKey(Secret::new("hunter2"))),
        (r#"{ bearer = "${SECRET}" }"#, Auth::Bearer(Secret::new("hunter2"))),
        (r#"{ aws = "es" }"#, Auth::Aws { service: "es".to_owned(), aws: Aws::default() }),
        (
            r#"{ aws = "aoss", region = "eu-west-1", role_arn = "arn:aws:iam::111122223333:role/rayline", external_id = "acme" }"#,
            Auth::Aws { service: "aoss".to_owned(), aws },
        ),
    ];
    for (auth, expected) in cases {
        let grant = read(&format!(r#"{{ urls = ["https://search.example.com"], auth = {auth} }}"#));
        assert_eq!(grant.auth, expected);
        assert!(!format!("{grant:?}").contains("hunter2"));
    }
}

#[test]
fn addresses() {
    check([
        Case {
            file: granted("9200"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http: found an integer, wanted a string or a table with `urls`
                ╭─[pipelines/my.toml:15:15]
             14 │ inputs = ["flatten"]
             15 │ grants.http = 9200
                ·               ────
                ╰────
              help: write `"https://search.example.com"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#""search.example.com:9200""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http: "search.example.com:9200" is no address of a server; it begins with `https://` or `http://`
                ╭─[pipelines/my.toml:15:15]
             14 │ inputs = ["flatten"]
             15 │ grants.http = "search.example.com:9200"
                ·               ─────────────────────────
                ╰────
              help: write `"https://search.example.com:9200"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#"{ urls = ["ftp://search.example.com"] }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.http.urls[0]: "ftp://search.example.com" is no address of a server; it begins with `https://` or `http://`
                    ╭─[pipelines/my.toml:15:25]
                 14 │ inputs = ["flatten"]
                 15 │ grants.http = { urls = ["ftp://search.example.com"] }
                    ·                         ──────────────────────────
                    ╰────
                  help: write `"https://search.example.com"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: granted(r#"{ urls = ["https://a", "https://elastic:hunter2@b"] }"#),
            mend: Mend::Replace(
                r#""https://elastic:hunter2@b"] }"#,
                r#""https://b"], auth = { basic = { user = "rayline", password = "${file:/run/secrets/password}" } } }"#,
            ),
            expected: expect![[r#"
                  × sinks.documents.grants.http.urls[1]: credentials do not belong into an address: it is shown in logs
                    ╭─[pipelines/my.toml:15:38]
                 14 │ inputs = ["flatten"]
                 15 │ grants.http = { urls = ["https://a", "https://elastic:hunter2@b"] }
                    ·                                      ───────────────────────────
                    ╰────
                  help: write the address without what stands before its `@`, and beside it `auth = { basic = { user = "rayline", password = "${file:/run/secrets/password}" } }`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: granted(r#""https://search.example.com/?pretty""#),
            mend: Mend::Replace("/?pretty", ""),
            expected: expect![[r#"
                  × sinks.documents.grants.http: "https://search.example.com/?pretty" is more than the address of a server
                    ╭─[pipelines/my.toml:15:15]
                 14 │ inputs = ["flatten"]
                 15 │ grants.http = "https://search.example.com/?pretty"
                    ·               ────────────────────────────────────
                    ╰────
                  help: end the address before its `?` or `#`; the stage says the rest

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: granted("{ urls = [] }"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.urls: no server is named
                ╭─[pipelines/my.toml:15:24]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = [] }
                ·                        ──
                ╰────
              help: write `["https://search.example.com"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#"{ urls = "https://a" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.urls: found a string, wanted a list of strings
                ╭─[pipelines/my.toml:15:24]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = "https://a" }
                ·                        ───────────
                ╰────
              help: write `["https://a"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#"{ url = "https://a", auth = "none" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.url: the key is `urls`, with a list
                ╭─[pipelines/my.toml:15:17]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { url = "https://a", auth = "none" }
                ·                 ───
                ╰────
              help: write `urls = ["https://a"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#"{ auth = { aws = "es" } }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http: `urls` is missing
                ╭─[pipelines/my.toml:15:15]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { auth = { aws = "es" } }
                ·               ─────────────────────────
                ╰────
              help: add `urls = ["https://search.example.com"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: granted(r#"{ urls = ["https://a"], timeout = 5 }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.http.timeout: unknown key
                    ╭─[pipelines/my.toml:15:39]
                 14 │ inputs = ["flatten"]
                 15 │ grants.http = { urls = ["https://a"], timeout = 5 }
                    ·                                       ───────
                    ╰────
                  help: remove it; known here: `urls`, `auth`, `ca_file`, `timeout_secs`, `connect_timeout_secs`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn credentials() {
    let with = |auth: &str| granted(&format!(r#"{{ urls = ["https://a"], auth = {auth} }}"#));
    check([
        Case {
            file: with(r#""basic""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth: "basic" is no auth; it is "none", or a table with one of `basic`, `api_key`, `bearer`, `aws`
                ╭─[pipelines/my.toml:15:46]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = "basic" }
                ·                                              ───────
                ╰────
              help: write `{ basic = { user = "rayline", password = "${file:/run/secrets/password}" } }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with("true"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth: found a boolean, wanted "none" or a table
                ╭─[pipelines/my.toml:15:46]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = true }
                ·                                              ────
                ╰────
              help: write `{ basic = { user = "rayline", password = "${file:/run/secrets/password}" } }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with("{}"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth: it has none of `basic`, `api_key`, `bearer`, `aws`
                ╭─[pipelines/my.toml:15:46]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = {} }
                ·                                              ──
                ╰────
              help: write `{ basic = { user = "rayline", password = "${file:/run/secrets/password}" } }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ region = "eu-west-1" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth: it has none of `basic`, `api_key`, `bearer`, `aws`
                ╭─[pipelines/my.toml:15:46]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = { region = "eu-west-1" } }
                ·                                              ────────────────────────
                ╰────
              help: write `{ basic = { user = "rayline", password = "${file:/run/secrets/password}" } }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ apikey = "${SECRET}" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth.apikey: unknown key
                ╭─[pipelines/my.toml:15:48]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = { apikey = "${SECRET}" } }
                ·                                                ──────
                ╰────
              help: write `api_key`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ api_key = "${SECRET}", aws = "es" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth.aws: there is `api_key` already, and only one can be used
                ╭─[pipelines/my.toml:15:71]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = { api_key = "${SECRET}", aws = "es" } }
                ·                                                                       ───
                ╰────
              help: remove it, or remove `api_key`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ bearer = "${SECRET}", region = "eu-west-1" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.http.auth.region: `bearer` has no use for it
                    ╭─[pipelines/my.toml:15:70]
                 14 │ inputs = ["flatten"]
                 15 │ grants.http = { urls = ["https://a"], auth = { bearer = "${SECRET}", region = "eu-west-1" } }
                    ·                                                                      ──────
                    ╰────
                  help: remove it; it belongs beside `aws`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: with(r#"{ basic = { user = "elastic" } }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth.basic: `password` is missing
                ╭─[pipelines/my.toml:15:56]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = { basic = { user = "elastic" } } }
                ·                                                        ────────────────────
                ╰────
              help: add `password = "${file:/run/secrets/password}"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ basic = "elastic:${SECRET}" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.http.auth.basic: found a string, wanted a table
                ╭─[pipelines/my.toml:15:56]
             14 │ inputs = ["flatten"]
             15 │ grants.http = { urls = ["https://a"], auth = { basic = "elastic:${SECRET}" } }
                ·                                                        ───────────────────
                ╰────
              help: write `{ user = "rayline" }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ basic = { user = "elastic:x", password = "${SECRET}" } }"#),
            mend: Mend::Edit,
            expected: expect![[r#""#]],
        },
        Case {
            file: with(r#"{ bearer = "${EMPTY}" }"#),
            mend: Mend::Replace("EMPTY", "SECRET"),
            expected: expect![[r#""#]],
        },
    ]);
}

#[test]
fn no_message_shows_a_secret_that_came_from_elsewhere() {
    let files = [
        granted(r#""https://elastic:${SECRET}@a""#),
        granted(r#"{ urls = ["https://a/?key=${SECRET}"] }"#),
        granted(r#""${SECRET}""#),
        granted(r#"{ urls = ["https://a"], auth = "${SECRET}" }"#),
        granted(r#"{ urls = ["https://a"], auth = { api_key = "${SECRET}", bearer = "${SECRET}" } }"#),
        granted(r#"{ urls = ["https://a"], auth = { basic = { user = "${SECRET}:x", password = "x" } } }"#),
        granted(r#"{ urls = ["https://a"], timeout_secs = "${SECRET}" }"#),
    ];
    for file in files {
        let diagnostics = validate(&file, &World::new()).unwrap_err();
        assert!(!format!("{diagnostics:?}").contains("hunter2"), "{diagnostics:?}");
    }
}
