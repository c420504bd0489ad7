//! Options that break the schema of their plugin.

use expect_test::expect;

use super::{Case, Mend, check, sink_with, valid_but};

#[test]
fn an_unknown_option() {
    check([
        Case {
            file: sink_with(r#"options.formt = "event""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.formt: unknown option
                ╭─[pipelines/my.toml:15:9]
             14 │ inputs = ["flatten"]
             15 │ options.formt = "event"
                ·         ─────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `format`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.colour = "blue""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.colour: unknown option
                ╭─[pipelines/my.toml:15:9]
             14 │ inputs = ["flatten"]
             15 │ options.colour = "blue"
                ·         ──────
             16 │ grants.objects = "file:documents"
                ╰────
              help: remove it; known here: `fields`, `follow`, `format`, `from`, `labels`, `rate`, `rotate`, `share`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.rotate = { max_bytes = 10, compresion = "zstd" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.options.rotate.compresion: unknown option
                    ╭─[pipelines/my.toml:15:36]
                 14 │ inputs = ["flatten"]
                 15 │ options.rotate = { max_bytes = 10, compresion = "zstd" }
                    ·                                    ──────────
                 16 │ grants.objects = "file:documents"
                    ╰────
                  help: write `compression`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"plugin = "flatten""#,
                r#"plugin = "flatten"
options.format = "event""#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.options.format: unknown option
                    ╭─[pipelines/my.toml:10:9]
                  9 │ plugin = "flatten"
                 10 │ options.format = "event"
                    ·         ──────
                 11 │ inputs = ["inbox"]
                    ╰────
                  help: remove it; known here: `payloads`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_missing_option() {
    check([
        Case {
            file: valid_but(r#"plugin = "flatten""#, r#"plugin = "./redact.wasm""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.options.field: this option is missing: The field to take out.
                   ╭─[pipelines/my.toml:8:13]
                 7 │ 
                 8 │ [transforms.flatten]
                   ·             ───────
                 9 │ plugin = "./redact.wasm"
                   ╰────
                  help: add `options.field = "user.email"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"plugin = "flatten""#,
                r#"plugin = "./redact.wasm"
options = {}"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.options.field: this option is missing: The field to take out.
                   ╭─[pipelines/my.toml:8:13]
                 7 │ 
                 8 │ [transforms.flatten]
                   ·             ───────
                 9 │ plugin = "./redact.wasm"
                   ╰────
                  help: add `field = "user.email"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with(r#"options.rotate = { compression = "zstd" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.options.rotate.max_bytes: this option is missing: Bytes of an object.
                    ╭─[pipelines/my.toml:15:18]
                 14 │ inputs = ["flatten"]
                 15 │ options.rotate = { compression = "zstd" }
                    ·                  ────────────────────────
                 16 │ grants.objects = "file:documents"
                    ╰────
                  help: add `max_bytes = 1`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_wrong_type() {
    check([
        Case {
            file: sink_with(r#"options.rate = "10""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = "10"
                ·                ────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `10`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options.rate = 1.5"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: found a number with a fraction, wanted an integer
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = 1.5
                ·                ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.follow = "yes""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.follow: found a string, wanted a boolean
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.follow = "yes"
                ·                  ─────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `false`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.fields = "a""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.fields: found a string, wanted a list
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.fields = "a"
                ·                  ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `["a"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.fields = ["a", 3]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.fields[1]: found an integer, wanted a string
                ╭─[pipelines/my.toml:15:24]
             14 │ inputs = ["flatten"]
             15 │ options.fields = ["a", 3]
                ·                        ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"…"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.labels = { a = "x" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.labels.a: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:24]
             14 │ inputs = ["flatten"]
             15 │ options.labels = { a = "x" }
                ·                        ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options.rotate = 3"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rotate: found an integer, wanted a table
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.rotate = 3
                ·                  ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `{ max_bytes = 1 }`

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}

#[test]
fn a_value_that_is_none_of_those() {
    check([
        Case {
            file: sink_with(r#"options.format = "events""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.format: "events" is none of `"body"`, `"event"`
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.format = "events"
                ·                  ────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"event"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.format = "xml""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.format: "xml" is none of `"body"`, `"event"`
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.format = "xml"
                ·                  ─────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"body"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.rotate = { max_bytes = 10, compression = "gzip" }"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.options.rotate.compression: "gzip" is none of `"none"`, `"zstd"`
                    ╭─[pipelines/my.toml:15:50]
                 14 │ inputs = ["flatten"]
                 15 │ options.rotate = { max_bytes = 10, compression = "gzip" }
                    ·                                                  ──────
                 16 │ grants.objects = "file:documents"
                    ╰────
                  help: write `"none"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn out_of_range() {
    check([
        Case {
            file: sink_with("options.rate = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: 0 is too small; the least is 1
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = 0
                ·                ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options.rate = 5000"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: 5000 is too large; the most is 1000
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = 5000
                ·                ────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1000`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options.rotate.max_bytes = -1"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rotate.max_bytes: -1 is too small; the least is 0
                ╭─[pipelines/my.toml:15:28]
             14 │ inputs = ["flatten"]
             15 │ options.rotate.max_bytes = -1
                ·                            ──
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `0`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options.share = 1.5"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.share: 1.5 is too large; the most is 1.0
                ╭─[pipelines/my.toml:15:17]
             14 │ inputs = ["flatten"]
             15 │ options.share = 1.5
                ·                 ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1.0`

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}

#[test]
fn a_pattern() {
    check([Case {
        file: sink_with(r#"options.from = "yesterday""#),
        mend: Mend::Edit,
        expected: expect![[r#"
          × sinks.documents.options.from: "yesterday" does not match `^\d{4}-\d\d-\d\d$`
            ╭─[pipelines/my.toml:15:16]
         14 │ inputs = ["flatten"]
         15 │ options.from = "yesterday"
            ·                ───────────
         16 │ grants.objects = "file:documents"
            ╰────
          help: write `"2026-01-31"`

        pipelines/my.toml: 1 error
    "#]],
    }]);
}

#[test]
fn a_reference() {
    check([
        Case {
            file: sink_with(r#"options.rate = "${QUEUE}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: what `${QUEUE}` stands for is not an integer
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = "${QUEUE}"
                ·                ──────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: give it an integer, or write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.rate = "${EVENTS}0""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = "${EVENTS}0"
                ·                ────────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.rate = "${RATE:-0}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.rate: what `${RATE:-0}` stands for is too small; the least is 1
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.rate = "${RATE:-0}"
                ·                ────────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.from = "${SECRET}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.from: "${SECRET}" does not match `^\d{4}-\d\d-\d\d$`
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.from = "${SECRET}"
                ·                ───────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"2026-01-31"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"options.format = "${SECRET}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.format: "${SECRET}" is none of `"body"`, `"event"`
                ╭─[pipelines/my.toml:15:18]
             14 │ inputs = ["flatten"]
             15 │ options.format = "${SECRET}"
                ·                  ───────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"body"`

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}
