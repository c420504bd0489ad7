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
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: the objects it works with
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
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: the objects it works with
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
                  × sinks.documents.grants.objects: this grant is missing; the plugin needs it: the objects it works with
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
            file: valid_but(r#""file:inbox.queue""#, r#""https://sqs.eu-west-1.amazonaws.com/111122223333/inbox""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox" is no address of a queue; this version supports `file:`
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox"
                   ·                ────────────────────────────────────────────────────────
                 7 │ 
                   ╰────
                  help: write `"file:inbox.queue"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:documents""#, r#""s3://bucket/documents""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.grants.objects: "s3://bucket/documents" is no address of an object store; this version supports `file:`
                    ╭─[pipelines/my.toml:15:18]
                 14 │ inputs = ["flatten"]
                 15 │ grants.objects = "s3://bucket/documents"
                    ·                  ───────────────────────
                    ╰────
                  help: write `"file:archive"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"dead_letter.location = "s3://bucket/dead""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.location: "s3://bucket/dead" is no address of an object store; this version supports `file:`
                   ╭─[pipelines/my.toml:2:24]
                 1 │ 
                 2 │ dead_letter.location = "s3://bucket/dead"
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
fn a_bare_path() {
    check([
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""./inbox.queue""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox.grants.queue: "./inbox.queue" is no address of a queue; this version supports `file:`
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
                  × sources.inbox.grants.queue: "${FOLDER:-.}/inbox.queue" is no address of a queue; this version supports `file:`
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
          × sources.inbox.grants.queue: "file:" is no address of a queue; this version supports `file:`
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
                  × sources.inbox.grants.queue.url: "inbox.queue" is no address of a queue; this version supports `file:`
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
                  help: remove it; known here: `url`

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
grants.console = "stderr""#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.documents.grants.console: "stderr" is no console grant; there is only "stdout"
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ grants.console = "stderr"
                ·                  ────────
                ╰────
              help: write `"stdout"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}
