//! Who reads whom.

use expect_test::expect;

use super::{Case, Mend, check, valid_but};

#[test]
fn an_unknown_input() {
    check([
        Case {
            file: valid_but(r#"["inbox"]"#, r#"["inbux"]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × transforms.flatten.inputs[0]: there is no stage "inbux"
                ╭─[pipelines/my.toml:10:11]
              9 │ plugin = "flatten"
             10 │ inputs = ["inbux"]
                ·           ───────
             11 │ 
                ╰────
              help: write `"inbox"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"["inbox"]"#, r#"["queue"]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × transforms.flatten.inputs[0]: there is no stage "queue"
                ╭─[pipelines/my.toml:10:11]
              9 │ plugin = "flatten"
             10 │ inputs = ["queue"]
                ·           ───────
             11 │ 
                ╰────
              help: write `"inbox"`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(r#"["flatten"]"#, r#"["elsewhere"]"#),
            mend: Mend::Replace("elsewhere", "flatten"),
            expected: expect![[r#"
                  × sinks.documents.inputs[0]: there is no stage "elsewhere"
                    ╭─[pipelines/my.toml:14:11]
                 13 │ plugin = "file-sink"
                 14 │ inputs = ["elsewhere"]
                    ·           ───────────
                 15 │ grants.objects = "file:documents"
                    ╰────
                  help: name one of these: `inbox`, `flatten`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_sink_as_input() {
    check([Case {
        file: valid_but(
            "[sinks.documents]",
            r#"[sinks.copy]
plugin = "print-sink"
inputs = ["documents"]
grants.output = "stdout"

[sinks.documents]"#,
        ),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.copy.inputs[0]: `documents` is a sink: it has no output
                ╭─[pipelines/my.toml:14:11]
             13 │ plugin = "print-sink"
             14 │ inputs = ["documents"]
                ·           ───────────
             15 │ grants.output = "stdout"
                ╰────
              help: write `"flatten"`, which `documents` reads

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn an_input_twice() {
    check([Case {
        file: valid_but(r#"["flatten"]"#, r#"["flatten", "flatten"]"#),
        mend: Mend::Edit,
        expected: expect![[r#"
              × sinks.documents.inputs[1]: this input is named twice
                ╭─[pipelines/my.toml:14:22]
             13 │ plugin = "file-sink"
             14 │ inputs = ["flatten", "flatten"]
                ·                      ─────────
             15 │ grants.objects = "file:documents"
                ╰────
              help: remove one of the two

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn no_input() {
    check([
        Case {
            file: valid_but(
                r#"inputs = ["flatten"]
"#,
                "",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.inputs: this sink reads no stage
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.documents]
                    ·        ─────────
                 13 │ plugin = "file-sink"
                    ╰────
                  help: add `inputs = ["flatten"]`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]
"#,
                "",
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.inputs: this transform reads no stage
                   ╭─[pipelines/my.toml:8:13]
                 7 │ 
                 8 │ [transforms.flatten]
                   ·             ───────
                 9 │ plugin = "flatten"
                   ╰────
                  help: add `inputs = ["inbox"]`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"["flatten"]"#, "[]"),
            mend: Mend::Edit,
            expected: expect![[r#"
              × sinks.documents.inputs: this sink reads no stage
                ╭─[pipelines/my.toml:14:10]
             13 │ plugin = "file-sink"
             14 │ inputs = []
                ·          ──
             15 │ grants.objects = "file:documents"
                ╰────
              help: write `["flatten"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: valid_but(
                "[sinks.documents]",
                r#"[sinks.copy]
plugin = "print-sink"
grants.output = "stdout"

[sinks.documents]"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.copy.inputs: this sink reads no stage
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.copy]
                    ·        ────
                 13 │ plugin = "print-sink"
                    ╰────
                  help: add `inputs = ["flatten"]`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["flatten"]
"#,
                r#"retry.max_attempts = 3
"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sinks.documents.inputs: this sink reads no stage
                    ╭─[pipelines/my.toml:12:8]
                 11 │ 
                 12 │ [sinks.documents]
                    ·        ─────────
                 13 │ plugin = "file-sink"
                    ╰────
                  help: add `inputs = ["flatten"]`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn no_source() {
    check([Case {
        file: "[sinks.out]\nplugin = \"print-sink\"\ngrants.output = \"stdout\"\n".to_owned(),
        mend: Mend::Replace(
            "[sinks.out]\n",
            "[sources.inbox]\nplugin = \"queue-source\"\ngrants.queue = \"file:q\"\n\n[sinks.out]\ninputs = [\"inbox\"]\n",
        ),
        expected: expect![[r#"
              × sinks.out.inputs: this sink reads no stage
               ╭─[pipelines/my.toml:1:8]
             1 │ [sinks.out]
               ·        ───
             2 │ plugin = "print-sink"
               ╰────
              help: declare a source, and name it here: `inputs = ["inbox"]`

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn nobody_reads() {
    check([
        Case {
            file: valid_but(r#"["flatten"]"#, r#"["inbox"]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
              × transforms.flatten: no stage reads this one
               ╭─[pipelines/my.toml:8:13]
             7 │ 
             8 │ [transforms.flatten]
               ·             ───────
             9 │ plugin = "flatten"
               ╰────
              help: remove it, or let a stage read it: in `sinks.documents` write `inputs = ["inbox", "flatten"]`

            pipelines/my.toml: 1 error
        "#]],
        },
        Case {
            file: "[sources.inbox]\nplugin = \"queue-source\"\ngrants.queue = \"file:inbox.queue\"\n".to_owned(),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × sources.inbox: no stage reads this one
                   ╭─[pipelines/my.toml:1:10]
                 1 │ [sources.inbox]
                   ·          ─────
                 2 │ plugin = "queue-source"
                   ╰────
                  help: declare a sink that does:

                        [sinks.out]
                        plugin = "print-sink"
                        inputs = ["inbox"]
                        grants.output = "stdout"

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_circle() {
    check([
        Case {
            file: valid_but(r#"inputs = ["inbox"]"#, r#"inputs = ["inbox", "flatten"]"#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.inputs: the stages go round in a circle: flatten -> flatten
                    ╭─[pipelines/my.toml:10:20]
                  9 │ plugin = "flatten"
                 10 │ inputs = ["inbox", "flatten"]
                    ·                    ─────────
                 11 │ 
                    ╰────
                  help: remove it

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]
"#,
                r#"inputs = ["clean"]

[transforms.clean]
plugin = "flatten"
inputs = ["flatten"]
"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.clean.inputs: the stages go round in a circle: flatten -> clean -> flatten
                    ╭─[pipelines/my.toml:14:11]
                 13 │ plugin = "flatten"
                 14 │ inputs = ["flatten"]
                    ·           ─────────
                 15 │ 
                    ╰────
                  help: write `"inbox"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"inputs = ["inbox"]
"#,
                r#"inputs = ["inbox", "third"]

[transforms.second]
plugin = "flatten"
inputs = ["flatten"]

[transforms.third]
plugin = "flatten"
inputs = ["second"]
"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.second.inputs: the stages go round in a circle: third -> flatten -> second -> third
                    ╭─[pipelines/my.toml:14:11]
                 13 │ plugin = "flatten"
                 14 │ inputs = ["flatten"]
                    ·           ─────────
                 15 │ 
                    ╰────
                  help: write `"inbox"`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}
