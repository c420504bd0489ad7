//! Grants that are missing, unknown, or of a form that their capability does not have.

use expect_test::expect;

use super::{Case, Mend, check, sink_with, valid_but};

#[test]
fn a_missing_grant() {
    check([
        Case {
            file: valid_but(
                r#"grants.objects = "file:documents"
"#,
                "",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: where the files are
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.documents]
                    ·        ─────────
                 13 │ plugin = "file-sink"
                    ╰────
                  help: add `grants.objects = "file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"plugin = "file-sink"
inputs = ["flatten"]
grants.objects = "file:documents""#,
                r#"plugin = "copy-sink"
inputs = ["flatten"]
grants.archive = "file:documents""#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.queue: this grant is missing; the plugin needs it: the queue it works with
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.documents]
                    ·        ─────────
                 13 │ plugin = "copy-sink"
                    ╰────
                  help: add `grants.queue = "file:inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"[sinks.documents]
plugin = "file-sink"
inputs = ["flatten"]
grants.objects = "file:documents""#,
                r#"[sinks]
documents = { plugin = "file-sink", inputs = ["flatten"] }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: where the files are
                    ╭─[pipelines/my.toml:13:1]
                 12 │ [sinks]
                 13 │ documents = { plugin = "file-sink", inputs = ["flatten"] }
                    · ─────────
                    ╰────
                  help: add `grants.objects = "file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"grants.objects = "file:documents""#, "[sinks.documents.grants]"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: where the files are
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.documents]
                    ·        ─────────
                 13 │ plugin = "file-sink"
                    ╰────
                  help: add `objects = "file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn an_unknown_grant() {
    check([
        Case {
            file: valid_but("grants.objects", "grants.object"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.object: unknown grant
                ╭─[pipelines/my.toml:15:8]
             14 │ inputs = ["flatten"]
             15 │ grants.object = "file:documents"
                ·        ──────
                ╰────
              help: write `objects`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but("grants.objects", "grants.bucket"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.bucket: unknown grant
                ╭─[pipelines/my.toml:15:8]
             14 │ inputs = ["flatten"]
             15 │ grants.bucket = "file:documents"
                ·        ──────
                ╰────
              help: write `objects`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(
                r#"plugin = "flatten""#,
                r#"plugin = "flatten"
grants.queue = "file:inbox.queue""#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.grants.queue: unknown grant
                    ╭─[pipelines/my.toml:10:8]
                  9 │ plugin = "flatten"
                 10 │ grants.queue = "file:inbox.queue"
                    ·        ─────
                 11 │ inputs = ["inbox"]
                    ╰────
                  help: remove it; known here: none

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with(r#"grants.bucket = "file:x""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.bucket: unknown grant
                ╭─[pipelines/my.toml:15:8]
             14 │ inputs = ["flatten"]
             15 │ grants.bucket = "file:x"
                ·        ──────
             16 │ grants.objects = "file:documents"
                ╰────
              help: remove it; known here: `objects`

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}

#[test]
fn an_unknown_scheme() {
    check([
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""sqs:inbox""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: "sqs:inbox" is no address of a queue; this version supports `https:` and `file:`
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "sqs:inbox"
                   ·                ───────────
                 7 │ 
                   ╰────
                  help: write `"file:inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:documents""#, r#""https://bucket.s3.amazonaws.com/documents""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects: "https://bucket.s3.amazonaws.com/documents" is no address of an object store; this version supports `s3:` and `file:`
                    ╭─[pipelines/my.toml:15:18]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = "https://bucket.s3.amazonaws.com/documents"
                    ·                  ───────────────────────────────────────────
                    ╰────
                  help: write `"file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"dead_letter.location = "gs://bucket/dead""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.location: "gs://bucket/dead" is no address of an object store; this version supports `s3:` and `file:`
                   ╭─[pipelines/my.toml:2:24]
                 1 │ 
                 2 │ dead_letter.location = "gs://bucket/dead"
                   ·                        ──────────────────
                 3 │ 
                   ╰────
                  help: write `"file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn an_s3_address() {
    let with = |address: &str| valid_but("\"file:documents\"", address);
    check([
        Case {
            file: with(r#""s3://""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.objects: "s3://" has no bucket's name
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ grants.objects = "s3://"
                ·                  ───────
                ╰────
              help: write `"s3://my-bucket/raw"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#""s3://my bucket/documents""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.objects: "s3://my bucket/documents" has no bucket's name
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ grants.objects = "s3://my bucket/documents"
                ·                  ──────────────────────────
                ╰────
              help: write `"s3://my-bucket/raw"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket//documents" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.objects.url: "s3://bucket//documents" has a prefix with an empty part, `.` or `..`
                ╭─[pipelines/my.toml:15:26]
             14 │ inputs = ["flatten"]
             15 │ grants.objects = { url = "s3://bucket//documents" }
                ·                          ────────────────────────
                ╰────
              help: write `"s3://my-bucket/raw"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#""s3://bucket/../documents""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.objects: "s3://bucket/../documents" has a prefix with an empty part, `.` or `..`
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ grants.objects = "s3://bucket/../documents"
                ·                  ──────────────────────────
                ╰────
              help: write `"s3://my-bucket/raw"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket", endpoint_url = "minio:9000" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.endpoint_url: "minio:9000" is no server's address
                    ╭─[pipelines/my.toml:15:56]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "s3://bucket", endpoint_url = "minio:9000" }
                    ·                                                        ────────────
                    ╰────
                  help: write `"https://s3.example.com"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket", endpoint_url = "https://s3.example.com/documents" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.endpoint_url: "https://s3.example.com/documents" is no server's address
                    ╭─[pipelines/my.toml:15:56]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "s3://bucket", endpoint_url = "https://s3.example.com/documents" }
                    ·                                                        ──────────────────────────────────
                    ╰────
                  help: write `"https://s3.example.com"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket", path_style = "true" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.path_style: found a string, wanted a boolean
                    ╭─[pipelines/my.toml:15:54]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "s3://bucket", path_style = "true" }
                    ·                                                      ──────
                    ╰────
                  help: write `true`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket", kms_key = "k" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grants.objects.kms_key: unknown key
                ╭─[pipelines/my.toml:15:41]
             14 │ inputs = ["flatten"]
             15 │ grants.objects = { url = "s3://bucket", kms_key = "k" }
                ·                                         ───────
                ╰────
              help: write `kms_key_id`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: with(r#"{ url = "s3://bucket", external_id = 3, role_arn = "" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.external_id: found an integer, wanted a string
                    ╭─[pipelines/my.toml:15:55]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "s3://bucket", external_id = 3, role_arn = "" }
                    ·                                                       ─
                    ╰────
                  help: write `"my-external-id"`

                  × sinks.documents.grants.objects.role_arn: the string is empty
                    ╭─[pipelines/my.toml:15:69]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "s3://bucket", external_id = 3, role_arn = "" }
                    ·                                                                     ──
                    ╰────
                  help: write `"arn:aws:iam::111122223333:role/rayline"`

                pipelines/my.toml: 2 errors
            "#]],
        },
    ]);
}

#[test]
fn keys_of_s3_on_a_folder() {
    check([
        Case {
            file: valid_but("\"file:documents\"", r#"{ url = "file:documents", region = "eu-west-1" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.region: a folder has no such key; it is for `s3://`
                    ╭─[pipelines/my.toml:15:44]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "file:documents", region = "eu-west-1" }
                    ·                                            ──────
                    ╰────
                  help: remove it

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"data_dir = "data""#,
                "[dead_letter.location]\nurl = \"file:dead\"\npath_style = true\nkms_key_id = \"k\"",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.location.path_style: a folder has no such key; it is for `s3://`
                   ╭─[pipelines/my.toml:4:1]
                 3 │ url = "file:dead"
                 4 │ path_style = true
                   · ──────────
                 5 │ kms_key_id = "k"
                   ╰────
                  help: remove it

                  × dead_letter.location.kms_key_id: a folder has no such key; it is for `s3://`
                   ╭─[pipelines/my.toml:5:1]
                 4 │ path_style = true
                 5 │ kms_key_id = "k"
                   · ──────────
                 6 │ 
                   ╰────
                  help: remove it

                pipelines/my.toml: 2 errors
            "#]],
        },
    ]);
}

#[test]
fn a_bare_path() {
    check([
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""./inbox.queue""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: "./inbox.queue" is no address of a queue; this version supports `https:` and `file:`
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "./inbox.queue"
                   ·                ───────────────
                 7 │ 
                   ╰────
                  help: write `"file:./inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""${FOLDER:-.}/inbox.queue""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: "${FOLDER:-.}/inbox.queue" is no address of a queue; this version supports `https:` and `file:`
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "${FOLDER:-.}/inbox.queue"
                   ·                ──────────────────────────
                 7 │ 
                   ╰────
                  help: write `"file:${FOLDER:-.}/inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn an_empty_address() {
    check([Case {
        file: valid_but(r#""file:inbox.queue""#, r#""file:""#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sources.inbox.grants.queue: "file:" is no address of a queue; this version supports `https:` and `file:`
               ╭─[pipelines/my.toml:6:16]
             5 │ plugin = "queue-source"
             6 │ grants.queue = "file:"
               ·                ───────
             7 │ 
               ╰────
              help: write `"file:inbox.queue"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_wrong_form() {
    check([
        Case {
            file: valid_but(r#""file:inbox.queue""#, "3"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sources.inbox.grants.queue: found an integer, wanted a string or a table with `url`
               ╭─[pipelines/my.toml:6:16]
             5 │ plugin = "queue-source"
             6 │ grants.queue = 3
               ·                ─
             7 │ 
               ╰────
              help: write `"file:inbox.queue"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, "{ visibility_secs = 30 }"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: `url` is missing
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { visibility_secs = 30 }
                   ·                ────────────────────────
                 7 │ 
                   ╰────
                  help: add `url = "file:inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#"{ url = "file:inbox.queue", visibilty_secs = 30 }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue.visibilty_secs: unknown key
                   ╭─[pipelines/my.toml:6:44]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "file:inbox.queue", visibilty_secs = 30 }
                   ·                                            ──────────────
                 7 │ 
                   ╰────
                  help: write `visibility_secs`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#"{ url = "inbox.queue" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue.url: "inbox.queue" is no address of a queue; this version supports `https:` and `file:`
                   ╭─[pipelines/my.toml:6:24]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "inbox.queue" }
                   ·                        ─────────────
                 7 │ 
                   ╰────
                  help: write `"file:inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#""file:inbox.queue""#,
                r#"{ url = "file:inbox.queue", visibility_secs = 30, max_hold_secs = 10 }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue.max_hold_secs: this is less than `visibility_secs`
                   ╭─[pipelines/my.toml:6:82]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "file:inbox.queue", visibility_secs = 30, max_hold_secs = 10 }
                   ·                                                                                  ──
                 7 │ 
                   ╰────
                  help: write `30`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#"{ url = "file:inbox.queue", visibility_secs = 100_000 }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue.visibility_secs: 100_000 is too large; the most is 43200
                   ╭─[pipelines/my.toml:6:62]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "file:inbox.queue", visibility_secs = 100_000 }
                   ·                                                              ───────
                 7 │ 
                   ╰────
                  help: write `43200`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:documents""#, r#"{ url = "file:documents", visibility_secs = 30 }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects.visibility_secs: unknown key
                    ╭─[pipelines/my.toml:15:44]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = { url = "file:documents", visibility_secs = 30 }
                    ·                                            ───────────────
                    ╰────
                  help: remove it; known here: `url`, `region`, `endpoint_url`, `path_style`, `kms_key_id`, `role_arn`, `external_id`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"grants.objects = "file:documents""#, r#"grants = "file:documents""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants: found a string, wanted a table
                    ╭─[pipelines/my.toml:15:10]
                 14 │ inputs = ["flatten"]
                 15 │ grants = "file:documents"
                    ·          ────────────────
                    ╰────
                  help: write `{ objects = "file:documents" }`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_console_that_is_not_there() {
    check([Case {
        file: valid_but(
            r#"plugin = "file-sink"
inputs = ["flatten"]
grants.objects = "file:documents""#,
            r#"plugin = "print-sink"
inputs = ["flatten"]
grants.output = "stderr""#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.documents.grants.output: "stderr" is no console grant; there is only "stdout"
                ╭─[pipelines/my.toml:15:17]
             14 │ inputs = ["flatten"]
             15 │ grants.output = "stderr"
                ·                 ────────
                ╰────
              help: write `"stdout"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_queue_of_sqs() {
    let sqs = |grant: &str| valid_but(r#""file:inbox.queue""#, grant);
    let cases = [
        (
            r#""https://sqs.eu-west-1.amazonaws.com/inbox""#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.queue: "https://sqs.eu-west-1.amazonaws.com/inbox" is no URL of a queue: it has an account and a name
               ╭─[pipelines/my.toml:6:16]
             5 │ plugin = "queue-source"
             6 │ grants.queue = "https://sqs.eu-west-1.amazonaws.com/inbox"
               ·                ───────────────────────────────────────────
             7 │ 
               ╰────
              help: write `"https://sqs.eu-west-1.amazonaws.com/111122223333/xray-inbox"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", region = "eu-west-2" }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.region: the queue is in eu-west-1, as its URL says
                   ╭─[pipelines/my.toml:6:91]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", region = "eu-west-2" }
                   ·                                                                                           ───────────
                 7 │ 
                   ╰────
                  help: write `"eu-west-1"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", visibility_secs = 0.5 }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.visibility_secs: found a number with a fraction, wanted an integer
                   ╭─[pipelines/my.toml:6:100]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", visibility_secs = 0.5 }
                   ·                                                                                                    ───
                 7 │ 
                   ╰────
                  help: write `30`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", visibility_secs = 60, max_hold_secs = 30 }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.max_hold_secs: this is less than `visibility_secs`
                   ╭─[pipelines/my.toml:6:120]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", visibility_secs = 60, max_hold_secs = 30 }
                   ·                                                                                                                        ──
                 7 │ 
                   ╰────
                  help: write `60`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", claim_check = "file:payloads" }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.claim_check: a folder cannot take what is too large for the queue: its readers look for it in a bucket
                   ╭─[pipelines/my.toml:6:96]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", claim_check = "file:payloads" }
                   ·                                                                                                ───────────────
                 7 │ 
                   ╰────
                  help: write `"s3://my-bucket/payloads"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = "111122223333" }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.accounts: found a string, wanted a table
                   ╭─[pipelines/my.toml:6:93]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = "111122223333" }
                   ·                                                                                             ──────────────
                 7 │ 
                   ╰────
                  help: write `{ AROAEXAMPLE = "111122223333" }`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = { AROA1 = "1111" } }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.accounts.AROA1: "1111" is no account id: it has 12 digits
                   ╭─[pipelines/my.toml:6:103]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = { AROA1 = "1111" } }
                   ·                                                                                                       ──────
                 7 │ 
                   ╰────
                  help: write `"111122223333"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = { "AROA1:session" = "111122223333" } }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.queue.accounts.AROA1:session: this names one session of a role; what stands before the `:` names the role
                   ╭─[pipelines/my.toml:6:95]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = { url = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", accounts = { "AROA1:session" = "111122223333" } }
                   ·                                                                                               ───────────────
                 7 │ 
                   ╰────
                  help: write `AROA1`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ url = "file:inbox.queue", role_arn = "arn:aws:iam::111122223333:role/x" }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.queue.role_arn: only a queue of SQS has this key, a file has none of it
               ╭─[pipelines/my.toml:6:44]
             5 │ plugin = "queue-source"
             6 │ grants.queue = { url = "file:inbox.queue", role_arn = "arn:aws:iam::111122223333:role/x" }
               ·                                            ────────
             7 │ 
               ╰────
              help: remove it

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: sqs(grant), mend, expected }));
}
