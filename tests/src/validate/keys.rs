//! Keys and tables that are missing, unknown, misplaced or taken.

use expect_test::expect;

use super::{Case, Mend, check, valid_but};

#[test]
fn an_unknown_key() {
    check([
        Case {
            file: valid_but("grants.objects", "grant.objects"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.grant: unknown key
                ╭─[pipelines/my.toml:15:1]
             14 │ inputs = ["flatten"]
             15 │ grant.objects = "file:documents"
                · ─────
                ╰────
              help: write `grants`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but("plugin = \"flatten\"", "plugin = \"./redact.wasm\"\noption.field = \"user\""),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.option: unknown key
                    ╭─[pipelines/my.toml:10:1]
                  9 │ plugin = "./redact.wasm"
                 10 │ option.field = "user"
                    · ──────
                 11 │ inputs = ["inbox"]
                    ╰────
                  help: write `options`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but("plugin = \"flatten\"", "plugn = \"flatten\""),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.plugn: unknown key
                    ╭─[pipelines/my.toml:9:1]
                  8 │ [transforms.flatten]
                  9 │ plugn = "flatten"
                    · ─────
                 10 │ inputs = ["inbox"]
                    ╰────
                  help: write `plugin`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"inputs = ["inbox"]"#, r#"imputs = ["inbox"]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.imputs: unknown key
                    ╭─[pipelines/my.toml:10:1]
                  9 │ plugin = "flatten"
                 10 │ imputs = ["inbox"]
                    · ──────
                 11 │ 
                    ╰────
                  help: write `inputs`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dri = "data""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × data_dri: unknown key
                   ╭─[pipelines/my.toml:2:1]
                 1 │ 
                 2 │ data_dri = "data"
                   · ────────
                 3 │ 
                   ╰────
                  help: write `data_dir`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]"#,
                r#"inputs = ["inbox"]
batch = { max_event = 10 }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.batch.max_event: unknown key
                    ╭─[pipelines/my.toml:11:11]
                 10 │ inputs = ["inbox"]
                 11 │ batch = { max_event = 10 }
                    ·           ─────────
                 12 │ 
                    ╰────
                  help: write `max_events`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn an_unknown_key_like_no_other() {
    check([
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"colour = "blue""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × colour: unknown key
               ╭─[pipelines/my.toml:2:1]
             1 │ 
             2 │ colour = "blue"
               · ──────
             3 │ 
               ╰────
              help: remove it; known here: `data_dir`, `dead_letter`, `limits`, `api`, `sources`, `transforms`, `sinks`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]"#,
                r#"inputs = ["inbox"]
batch = { max_events = 10, colour = "blue" }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.batch.colour: unknown key
                    ╭─[pipelines/my.toml:11:28]
                 10 │ inputs = ["inbox"]
                 11 │ batch = { max_events = 10, colour = "blue" }
                    ·                            ──────
                 12 │ 
                    ╰────
                  help: remove it; known here: `max_events`, `max_bytes`, `timeout_secs`, `group_by`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]"#,
                r#"inputs = ["inbox"]
batch = { colour = "blue", max_events = 10 }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.batch.colour: unknown key
                    ╭─[pipelines/my.toml:11:11]
                 10 │ inputs = ["inbox"]
                 11 │ batch = { colour = "blue", max_events = 10 }
                    ·           ──────
                 12 │ 
                    ╰────
                  help: remove it; known here: `max_events`, `max_bytes`, `timeout_secs`, `group_by`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]"#,
                r#"inputs = ["inbox"]
batch.colour = "blue"
batch.max_events = 10"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.batch.colour: unknown key
                    ╭─[pipelines/my.toml:11:7]
                 10 │ inputs = ["inbox"]
                 11 │ batch.colour = "blue"
                    ·       ──────
                 12 │ batch.max_events = 10
                    ╰────
                  help: remove it; known here: `max_events`, `max_bytes`, `timeout_secs`, `group_by`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_missing_plugin() {
    check([
        Case {
            file: valid_but(
                r#"plugin = "queue-source"
"#,
                "",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox: `plugin` is missing: the component to run, one that is shipped or a .wasm file
                   ╭─[pipelines/my.toml:4:1]
                 3 │ 
                 4 │ [sources.inbox]
                   · ───────────────
                 5 │ grants.queue = "file:inbox.queue"
                   ╰────
                  help: add `plugin = "queue-source"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"plugin = "flatten"
"#,
                "",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten: `plugin` is missing: the component to run, one that is shipped or a .wasm file
                   ╭─[pipelines/my.toml:8:1]
                 7 │ 
                 8 │ [transforms.flatten]
                   · ────────────────────
                 9 │ inputs = ["inbox"]
                   ╰────
                  help: add `plugin = "flatten"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]"#,
                r#"[transforms]
flatten = { inputs = ["inbox"] }"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten: `plugin` is missing: the component to run, one that is shipped or a .wasm file
                    ╭─[pipelines/my.toml:9:11]
                  8 │ [transforms]
                  9 │ flatten = { inputs = ["inbox"] }
                    ·           ──────────────────────
                 10 │ 
                    ╰────
                  help: add `plugin = "flatten"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_source_with_inputs() {
    check([Case {
        file: valid_but(
            r#"plugin = "queue-source""#,
            r#"plugin = "queue-source"
inputs = ["flatten"]"#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sources.inbox.inputs: a source has no inputs: it reads no other stage
               ╭─[pipelines/my.toml:6:1]
             5 │ plugin = "queue-source"
             6 │ inputs = ["flatten"]
               · ──────
             7 │ grants.queue = "file:inbox.queue"
               ╰────
              help: remove it

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_source_with_a_batch() {
    check([Case {
        file: valid_but(
            r#"plugin = "queue-source""#,
            r#"plugin = "queue-source"
batch = { max_events = 1 }"#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sources.inbox.batch: a source has no batch: it makes its own
               ╭─[pipelines/my.toml:6:1]
             5 │ plugin = "queue-source"
             6 │ batch = { max_events = 1 }
               · ─────
             7 │ grants.queue = "file:inbox.queue"
               ╰────
              help: remove it

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_name_twice() {
    check([Case {
        file: valid_but("[sinks.documents]", "[sinks.flatten]"),
        mend: Mend::Edit,
        expected: expect![[r#"
          × sinks.flatten: the name `flatten` is taken by a transform
            ╭─[pipelines/my.toml:12:8]
         11 │ 
         12 │ [sinks.flatten]
            ·        ───────
         13 │ plugin = "file-sink"
            ╰────
          help: write `flatten-sink`

        pipelines/my.toml: 1 error
    "#]],
    }]);
}

#[test]
fn a_name_with_other_characters() {
    check([Case {
        file: valid_but("[sinks.documents]", r#"[sinks."all/documents"]"#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.all/documents: a stage's name has only letters, digits, `-` and `_`
                ╭─[pipelines/my.toml:12:8]
             11 │ 
             12 │ [sinks."all/documents"]
                ·        ───────────────
             13 │ plugin = "file-sink"
                ╰────
              help: write `all-documents`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn no_stage() {
    check([
        Case {
            file: String::new(),
            mend: Mend::Edit,
            expected: expect![[r#"
              × the file declares no stage
               ╭─[pipelines/my.toml:1:1]
               ╰────
              help: write at least a source and a sink, for example:

                    [sources.inbox]
                    plugin = "queue-source"
                    grants.queue = "file:inbox.queue"

                    [sinks.out]
                    plugin = "print-sink"
                    inputs = ["inbox"]
                    grants.output = "stdout"

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: "data_dir = \"data\"".to_owned(),
            mend: Mend::Edit,
            expected: expect![[r#"
              × the file declares no stage
               ╭─[pipelines/my.toml:1:18]
             1 │ data_dir = "data"
               ╰────
              help: write at least a source and a sink, for example:

                    [sources.inbox]
                    plugin = "queue-source"
                    grants.queue = "file:inbox.queue"

                    [sinks.out]
                    plugin = "print-sink"
                    inputs = ["inbox"]
                    grants.output = "stdout"

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}
