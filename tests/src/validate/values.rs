//! Types, ranges, addresses, `${…}`.

use expect_test::expect;

use super::{Case, Mend, check, sink_with, valid_but};

#[test]
fn a_wrong_type() {
    check([
        Case {
            file: valid_but(r#"data_dir = "data""#, "data_dir = 3"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × data_dir: found an integer, wanted a string
               ╭─[pipelines/my.toml:2:12]
             1 │ 
             2 │ data_dir = 3
               ·            ─
             3 │ 
               ╰────
              help: write `"rayline-data"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"["inbox"]"#, r#""inbox""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × transforms.flatten.inputs: found a string, wanted a list of strings
                ╭─[pipelines/my.toml:10:10]
              9 │ plugin = "flatten"
             10 │ inputs = "inbox"
                ·          ───────
             11 │ 
                ╰────
              help: write `["inbox"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"["inbox"]"#, r#"["inbox", 3]"#),
            mend: Mend::Replace(", 3", ""),
            expected: expect![[r#"
                  × transforms.flatten.inputs[1]: found an integer, wanted a string
                    ╭─[pipelines/my.toml:10:20]
                  9 │ plugin = "flatten"
                 10 │ inputs = ["inbox", 3]
                    ·                    ─
                 11 │ 
                    ╰────
                  help: write `"inbox"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with(r#"batch.max_events = "10""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.max_events: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:20]
             14 │ inputs = ["flatten"]
             15 │ batch.max_events = "10"
                ·                    ────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `10`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"batch.max_events = "many""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.max_events: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:20]
             14 │ inputs = ["flatten"]
             15 │ batch.max_events = "many"
                ·                    ──────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1_000`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("batch.timeout_secs = true"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.timeout_secs: found a boolean, wanted a number
                ╭─[pipelines/my.toml:15:22]
             14 │ inputs = ["flatten"]
             15 │ batch.timeout_secs = true
                ·                      ────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("batch = 3"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch: found an integer, wanted a table
                ╭─[pipelines/my.toml:15:9]
             14 │ inputs = ["flatten"]
             15 │ batch = 3
                ·         ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `{ max_events = 1_000 }`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("instances = 1.5"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.instances: found a number with a fraction, wanted an integer
                ╭─[pipelines/my.toml:15:13]
             14 │ inputs = ["flatten"]
             15 │ instances = 1.5
                ·             ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `2`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("options = 3"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options: found an integer, wanted a table
                ╭─[pipelines/my.toml:15:11]
             14 │ inputs = ["flatten"]
             15 │ options = 3
                ·           ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `{}`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, "limits.in_flight_bytes = 1e6"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × limits.in_flight_bytes: found a number with a fraction, wanted an integer
                   ╭─[pipelines/my.toml:2:26]
                 1 │ 
                 2 │ limits.in_flight_bytes = 1e6
                   ·                          ───
                 3 │ 
                   ╰────
                  help: write `67_108_864`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with("options.from = 2026-01-31"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.options.from: found a bare date; a date stands in quotes
                ╭─[pipelines/my.toml:15:16]
             14 │ inputs = ["flatten"]
             15 │ options.from = 2026-01-31
                ·                ──────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `"2026-01-31"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(
                r#"[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]"#,
                r#"[transforms]
flatten = "flatten""#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten: found a string, wanted a table
                    ╭─[pipelines/my.toml:9:11]
                  8 │ [transforms]
                  9 │ flatten = "flatten"
                    ·           ─────────
                 10 │ 
                    ╰────
                  help: write `{ plugin = "flatten", inputs = ["inbox"] }`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn an_array_of_tables() {
    check([Case {
        file: valid_but("[sinks.documents]", "[[sinks.documents]]"),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.documents: `[[…]]` makes a list, wanted a table
                ╭─[pipelines/my.toml:12:1]
             11 │ 
             12 │ [[sinks.documents]]
                · ───────────────────
             13 │ plugin = "file-sink"
                ╰────
              help: write `[sinks.documents]`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn an_empty_string() {
    check([Case {
        file: valid_but(r#"data_dir = "data""#, r#"data_dir = """#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × data_dir: the string is empty
               ╭─[pipelines/my.toml:2:12]
             1 │ 
             2 │ data_dir = ""
               ·            ──
             3 │ 
               ╰────
              help: write `"rayline-data"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_number_out_of_range() {
    check([
        Case {
            file: sink_with("instances = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.instances: 0 is too small; the least is 1
                ╭─[pipelines/my.toml:15:13]
             14 │ inputs = ["flatten"]
             15 │ instances = 0
                ·             ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("instances = { min = 4, max = 2 }"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.instances.max: this is less than `min`
                ╭─[pipelines/my.toml:15:30]
             14 │ inputs = ["flatten"]
             15 │ instances = { min = 4, max = 2 }
                ·                              ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `4`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("instances = 5_000"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.instances: 5_000 is too large; the most is 1024
                ╭─[pipelines/my.toml:15:13]
             14 │ inputs = ["flatten"]
             15 │ instances = 5_000
                ·             ─────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1024`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("batch.max_events = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.max_events: 0 is too small; the least is 1
                ╭─[pipelines/my.toml:15:20]
             14 │ inputs = ["flatten"]
             15 │ batch.max_events = 0
                ·                    ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("batch.max_bytes = -1"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.max_bytes: -1 is too small; the least is 1
                ╭─[pipelines/my.toml:15:19]
             14 │ inputs = ["flatten"]
             15 │ batch.max_bytes = -1
                ·                   ──
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("batch.timeout_secs = -0.5"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.timeout_secs: -0.5 is too small; the least is 0
                ╭─[pipelines/my.toml:15:22]
             14 │ inputs = ["flatten"]
             15 │ batch.timeout_secs = -0.5
                ·                      ────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `0`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("retry = { initial_secs = 10, max_secs = 5 }"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.retry.max_secs: this is less than `initial_secs`
                    ╭─[pipelines/my.toml:15:41]
                 14 │ inputs = ["flatten"]
                 15 │ retry = { initial_secs = 10, max_secs = 5 }
                    ·                                         ─
                 16 │ grants.objects = "file:documents"
                    ╰────
                  help: write `10`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with("retry.max_attempts = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.retry.max_attempts: 0 is too small; the least is 1
                ╭─[pipelines/my.toml:15:22]
             14 │ inputs = ["flatten"]
             15 │ retry.max_attempts = 0
                ·                      ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("limits.memory_bytes = 1_000"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.limits.memory_bytes: 1_000 is too small; the least is 65536
                ╭─[pipelines/my.toml:15:23]
             14 │ inputs = ["flatten"]
             15 │ limits.memory_bytes = 1_000
                ·                       ─────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `65536`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("limits.call_secs = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.limits.call_secs: 0 is too small; the least is 0.01
                ╭─[pipelines/my.toml:15:20]
             14 │ inputs = ["flatten"]
             15 │ limits.call_secs = 0
                ·                    ─
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `0.01`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, "dead_letter.max_ratio = 1.5"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.max_ratio: 1.5 is too large; the most is 1
                   ╭─[pipelines/my.toml:2:25]
                 1 │ 
                 2 │ dead_letter.max_ratio = 1.5
                   ·                         ───
                 3 │ 
                   ╰────
                  help: write `1`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, "dead_letter.probe_secs = 0"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.probe_secs: 0 is too small; the least is 1
                   ╭─[pipelines/my.toml:2:26]
                 1 │ 
                 2 │ dead_letter.probe_secs = 0
                   ·                          ─
                 3 │ 
                   ╰────
                  help: write `1`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, "limits.in_flight_bytes = 99_999_999_999_999_999_999"),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × limits.in_flight_bytes: the number is too large
                   ╭─[pipelines/my.toml:2:26]
                 1 │ 
                 2 │ limits.in_flight_bytes = 99_999_999_999_999_999_999
                   ·                          ──────────────────────────
                 3 │ 
                   ╰────
                  help: write `9223372036854775807`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with("batch.timeout_secs = inf"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.timeout_secs: no such number can be used here
                ╭─[pipelines/my.toml:15:22]
             14 │ inputs = ["flatten"]
             15 │ batch.timeout_secs = inf
                ·                      ───
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `1.0`

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}

#[test]
fn an_address() {
    check([Case {
        file: valid_but(r#"data_dir = "data""#, r#"api.address = "localhost""#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × api.address: "localhost" is no IP address with a port
               ╭─[pipelines/my.toml:2:15]
             1 │ 
             2 │ api.address = "localhost"
               ·               ───────────
             3 │ 
               ╰────
              help: write `"127.0.0.1:8686"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_variable_that_is_not_set() {
    check([
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""${INBOX}""#),
            mend: Mend::World(|world| {
                world.env.insert("INBOX".to_owned(), "file:inbox.queue".to_owned());
            }),
            expected: expect![[r#"
                  × sources.inbox.grants.queue: `${INBOX}`: the environment has no variable INBOX
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "${INBOX}"
                   ·                ──────────
                 7 │ 
                   ╰────
                  help: set INBOX in the environment, or give it a default: `${INBOX:-default}`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#""file:inbox.queue""#, r#""${INBOX}""#),
            mend: Mend::Replace("${INBOX}", "${INBOX:-file:default.queue}"),
            expected: expect![[r#"
                  × sources.inbox.grants.queue: `${INBOX}`: the environment has no variable INBOX
                   ╭─[pipelines/my.toml:6:16]
                 5 │ plugin = "queue-source"
                 6 │ grants.queue = "${INBOX}"
                   ·                ──────────
                 7 │ 
                   ╰────
                  help: set INBOX in the environment, or give it a default: `${INBOX:-default}`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_file_that_is_not_there() {
    check([Case {
        file: valid_but(r#""file:inbox.queue""#, r#""${file:/run/secrets/inbox}""#),
        mend: Mend::World(|world| {
            world.files.insert("/run/secrets/inbox".into(), "file:inbox.queue\n".to_owned());
        }),
        expected: expect![[r#"
              × sources.inbox.grants.queue: `${file:/run/secrets/inbox}`: the file cannot be read: no such file
               ╭─[pipelines/my.toml:6:16]
             5 │ plugin = "queue-source"
             6 │ grants.queue = "${file:/run/secrets/inbox}"
               ·                ────────────────────────────
             7 │ 
               ╰────
              help: put the value into the file /run/secrets/inbox, readable by this user, or correct the path

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn an_unfinished_reference() {
    check([
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dir = "${HOME""#),
            mend: Mend::Replace("${HOME", "$${HOME"),
            expected: expect![[r#"
                  × data_dir: `${` has no `}`
                   ╭─[pipelines/my.toml:2:12]
                 1 │ 
                 2 │ data_dir = "${HOME"
                   ·            ────────
                 3 │ 
                   ╰────
                  help: close it as in `${NAME}`, or write `$${` for a literal `${`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dir = "${MY-DIR}""#),
            mend: Mend::Replace("${MY-DIR}", "${MY_DIR:-data}"),
            expected: expect![[r#"
                  × data_dir: `${MY-DIR}` is no reference
                   ╭─[pipelines/my.toml:2:12]
                 1 │ 
                 2 │ data_dir = "${MY-DIR}"
                   ·            ───────────
                 3 │ 
                   ╰────
                  help: write `${NAME}`, `${NAME:-default}` or `${file:/path}`, or `$${` for a literal `${`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_reference_of_another_type() {
    check([
        Case {
            file: sink_with(r#"batch.max_events = "${QUEUE}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.batch.max_events: what `${QUEUE}` stands for is not an integer
                ╭─[pipelines/my.toml:15:20]
             14 │ inputs = ["flatten"]
             15 │ batch.max_events = "${QUEUE}"
                ·                    ──────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: give it an integer, or write `1_000`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with(r#"batch.max_events = "${QUEUE}""#),
            mend: Mend::World(|world| {
                world.env.insert("QUEUE".to_owned(), "500".to_owned());
            }),
            expected: expect![[r#"
                  × sinks.documents.batch.max_events: what `${QUEUE}` stands for is not an integer
                    ╭─[pipelines/my.toml:15:20]
                 14 │ inputs = ["flatten"]
                 15 │ batch.max_events = "${QUEUE}"
                    ·                    ──────────
                 16 │ grants.objects = "file:documents"
                    ╰────
                  help: give it an integer, or write `1_000`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: sink_with(r#"instances = "${EVENTS}000""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.instances: found a string, wanted an integer
                ╭─[pipelines/my.toml:15:13]
             14 │ inputs = ["flatten"]
             15 │ instances = "${EVENTS}000"
                ·             ──────────────
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `2`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"dead_letter.max_ratio = "${EVENTS}""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × dead_letter.max_ratio: what `${EVENTS}` stands for is too large; the most is 1
                   ╭─[pipelines/my.toml:2:25]
                 1 │ 
                 2 │ dead_letter.max_ratio = "${EVENTS}"
                   ·                         ───────────
                 3 │ 
                   ╰────
                  help: write `1`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}
