//! What is no TOML.

use expect_test::expect;

use super::{Case, Mend, check, sink_with, valid_but};

#[test]
fn a_bare_string() {
    check([Case {
        file: valid_but(r#"plugin = "flatten""#, "plugin = flatten"),
        mend: Mend::Edit,
        expected: expect![[r#"
              × a string stands in quotes
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = flatten
                ·          ───────
             10 │ inputs = ["inbox"]
                ╰────
              help: write `"flatten"`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_bare_list() {
    check([Case {
        file: valid_but(r#"["inbox"]"#, "inbox"),
        mend: Mend::Edit,
        expected: expect![[r#"
          × a string stands in quotes
            ╭─[pipelines/my.toml:10:10]
          9 │ plugin = "flatten"
         10 │ inputs = inbox
            ·          ─────
         11 │ 
            ╰────
          help: write `["inbox"]`

        pipelines/my.toml: 1 error
    "#]],
    }]);
}

#[test]
fn no_value() {
    check([Case {
        file: valid_but(r#"plugin = "flatten""#, "plugin ="),
        mend: Mend::Replace(
            r#"plugin =
"#,
            r#"plugin = "flatten"
"#,
        ),
        expected: expect![[r#"
              × the key has no value
                ╭─[pipelines/my.toml:9:9]
              8 │ [transforms.flatten]
              9 │ plugin =
                ·         ▲
             10 │ inputs = ["inbox"]
                ╰────
              help: write a value: `plugin = …`, or remove the line

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_boolean_in_upper_case() {
    check([Case {
        file: sink_with("options.follow = True"),
        mend: Mend::Edit,
        expected: expect![[r#"
          × a boolean is written in lower case
            ╭─[pipelines/my.toml:15:18]
         14 │ inputs = ["flatten"]
         15 │ options.follow = True
            ·                  ────
         16 │ grants.objects = "file:documents"
            ╰────
          help: write `true`

        pipelines/my.toml: 1 error
    "#]],
    }]);
}

#[test]
fn a_number_with_a_unit() {
    check([Case {
        file: valid_but(r#"data_dir = "data""#, "limits.in_flight_bytes = 64MiB"),
        mend: Mend::Replace("64MiB", "67_108_864"),
        expected: expect![[r#"
              × this is neither a number nor a string
               ╭─[pipelines/my.toml:2:26]
             1 │ 
             2 │ limits.in_flight_bytes = 64MiB
               ·                          ─────
             3 │ 
               ╰────
              help: write a number as digits, like `1_000`, its unit is in the key's name; put a string in quotes

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn unclosed_quotes() {
    check([
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dir = "data"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × the string is not closed
                   ╭─[pipelines/my.toml:2:17]
                 1 │ 
                 2 │ data_dir = "data
                   ·                 ▲
                 3 │ 
                   ╰────
                  help: write `"` at its end

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, "data_dir = 'data"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × the string is not closed
               ╭─[pipelines/my.toml:2:17]
             1 │ 
             2 │ data_dir = 'data
               ·                 ▲
             3 │ 
               ╰────
              help: write `'` at its end

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}

#[test]
fn a_backslash() {
    check([Case {
        file: valid_but(r#"data_dir = "data""#, r#"data_dir = "C:\data""#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × a `\` in double quotes begins an escape, and this is none
               ╭─[pipelines/my.toml:2:16]
             1 │ 
             2 │ data_dir = "C:\data"
               ·                ▲
             3 │ 
               ╰────
              help: write `\\` for a backslash, or put the string in single quotes

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn an_unclosed_header() {
    check([Case {
        file: valid_but("[sinks.documents]", "[sinks.documents"),
        mend: Mend::Edit,
        expected: expect![[r#"
          × the table's name is not closed
            ╭─[pipelines/my.toml:12:17]
         11 │ 
         12 │ [sinks.documents
            ·                 ▲
         13 │ plugin = "file-sink"
            ╰────
          help: write `]` after it

        pipelines/my.toml: 1 error
    "#]],
    }]);
}

#[test]
fn an_unclosed_list() {
    check([Case {
        file: valid_but(
            r#"inputs = ["inbox"]

[sinks"#,
            r#"inputs = ["inbox"
retry.max_attempts = 3

[sinks"#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × the list is not closed
                ╭─[pipelines/my.toml:10:18]
              9 │ plugin = "flatten"
             10 │ inputs = ["inbox"
                ·                  ▲
             11 │ retry.max_attempts = 3
                ╰────
              help: write `]` at its end

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_missing_comma() {
    check([Case {
        file: valid_but(r#"["flatten"]"#, r#"["flatten" "inbox"]"#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × a comma is missing
                ╭─[pipelines/my.toml:14:21]
             13 │ plugin = "file-sink"
             14 │ inputs = ["flatten" "inbox"]
                ·                     ▲
             15 │ grants.objects = "file:documents"
                ╰────
              help: write `,` between the two

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_key_twice() {
    check([Case {
        file: valid_but(
            r#"data_dir = "data""#,
            r#"data_dir = "data"
data_dir = "date""#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × `data_dir` is here for the second time
               ╭─[pipelines/my.toml:3:1]
             2 │ data_dir = "data"
             3 │ data_dir = "date"
               · ────────
             4 │ 
               ╰────
              help: remove one of the two

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn a_table_twice() {
    check([Case {
        file: valid_but(
            "[sinks.documents]",
            r#"[transforms.flatten]

[sinks.documents]"#,
        ),
        mend: Mend::Replace(
            r#"[transforms.flatten]

[sinks"#,
            "[sinks",
        ),
        expected: expect![[r#"
              × `flatten` is here for the second time
                ╭─[pipelines/my.toml:12:13]
             11 │ 
             12 │ [transforms.flatten]
                ·             ───────
             13 │ 
                ╰────
              help: remove one of the two

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn no_equals_sign() {
    check([
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dir "data""#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × `=` is missing
               ╭─[pipelines/my.toml:2:10]
             1 │ 
             2 │ data_dir "data"
               ·          ▲
             3 │ 
               ╰────
              help: write `=` between the key and its value

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"data_dir = "data""#, r#"data_dir: "data""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × `:` is no part of a key
                   ╭─[pipelines/my.toml:2:9]
                 1 │ 
                 2 │ data_dir: "data"
                   ·         ─
                 3 │ 
                   ╰────
                  help: write ` =` between the key and its value

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn anything_else() {
    check([Case {
        file: valid_but("[sinks.documents]", "[sinks.documents]]"),
        mend: Mend::Replace("]]", "]"),
        expected: expect![[r#"
              × this is no TOML: unexpected key or value, expected newline, `#`
                ╭─[pipelines/my.toml:12:18]
             11 │ 
             12 │ [sinks.documents]]
                ·                  ▲
             13 │ plugin = "file-sink"
                ╰────
              help: write `key = value` lines and `[table]` headers as https://toml.io shows

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn an_unclosed_table() {
    check([Case {
        file: valid_but(
            "[sinks.documents]",
            "[sinks]\ncopy = { plugin = \"print-sink\", inputs = [\"inbox\"], grants.output = \"stdout\"\n\n[sinks.documents]",
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × the table is not closed
                ╭─[pipelines/my.toml:13:77]
             12 │ [sinks]
             13 │ copy = { plugin = "print-sink", inputs = ["inbox"], grants.output = "stdout"
                ·                                                                             ▲
             14 │ 
                ╰────
              help: write `}` at its end

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn two_keys_in_one() {
    check([
        Case {
            file: sink_with("batch = { max_bytes = 1 max_events = 2 }"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × another key begins here
                ╭─[pipelines/my.toml:15:24]
             14 │ inputs = ["flatten"]
             15 │ batch = { max_bytes = 1 max_events = 2 }
                ·                        ▲
             16 │ grants.objects = "file:documents"
                ╰────
              help: write `,` after the value

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: sink_with("instances = 1 batch.max_events = 2"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × another key begins here
                ╭─[pipelines/my.toml:15:14]
             14 │ inputs = ["flatten"]
             15 │ instances = 1 batch.max_events = 2
                ·              ▲
             16 │ grants.objects = "file:documents"
                ╰────
              help: begin a new line

            pipelines/my.toml: 1 error
        "#]],
        },
    ]);
}
