//! Components that cannot be used, or not there.

use expect_test::expect;

use rayline::pipeline::{Capability, Kind, PluginProblem};

use super::world::{World, facts, file};
use super::{Case, Mend, check, check_in, valid_but};

#[test]
fn a_name_that_is_not_shipped() {
    check([
        Case {
            file: valid_but(r#"plugin = "flatten""#, r#"plugin = "flaten""#),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.flatten.plugin: "flaten": no plugin of this name is shipped with this host
                    ╭─[pipelines/my.toml:9:10]
                  8 │ [transforms.flatten]
                  9 │ plugin = "flaten"
                    ·          ────────
                 10 │ inputs = ["inbox"]
                    ╰────
                  help: write `"flatten"`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(r#"plugin = "flatten""#, r#"plugin = "redact""#),
            mend: Mend::Replace(
                r#""redact""#,
                r#""./redact.wasm"
options.field = "user""#,
            ),
            expected: expect![[r#"
                  × transforms.flatten.plugin: "redact": no plugin of this name is shipped with this host
                    ╭─[pipelines/my.toml:9:10]
                  8 │ [transforms.flatten]
                  9 │ plugin = "redact"
                    ·          ────────
                 10 │ inputs = ["inbox"]
                    ╰────
                  help: name one of `copy-sink`, `file-sink`, `flatten`, `print-sink`, `queue-source`, or a file: its path has a `/` or ends in `.wasm`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

#[test]
fn a_missing_file() {
    check([Case {
        file: valid_but(r#"plugin = "flatten""#, r#"plugin = "./mine.wasm""#),
        mend: Mend::World(|world| {
            world.plugins.insert(file("mine.wasm"), Ok(facts(Kind::Transform, None, &[])));
        }),
        expected: expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": there is no such file
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: put the component there, or correct the path; a relative one begins at this file's folder

            pipelines/my.toml: 1 error
        "#]],
    }]);
}

#[test]
fn the_wrong_kind() {
    check([
        Case {
            file: valid_but(
                "[sinks.documents]",
                r#"[sinks.copy]
plugin = "flatten"
inputs = ["inbox"]

[sinks.documents]"#,
            ),
            mend: Mend::Replace(
                r#"[sinks.copy]
plugin = "flatten""#,
                r#"[sinks.copy]
grants.output = "stdout"
plugin = "print-sink""#,
            ),
            expected: expect![[r#"
                  × sinks.copy.plugin: "flatten" is a transform, not a sink
                    ╭─[pipelines/my.toml:13:10]
                 12 │ [sinks.copy]
                 13 │ plugin = "flatten"
                    ·          ─────────
                 14 │ inputs = ["inbox"]
                    ╰────
                  help: use a sink, or declare the stage as `transforms.copy`

                pipelines/my.toml: 1 error
            "#]],
        },
        Case {
            file: valid_but(
                r#"[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]
"#,
                r#"[transforms.flatten]
plugin = "flatten"
inputs = ["inbox"]

[transforms.copy]
plugin = "print-sink"
inputs = ["inbox"]
grants.output = "stdout"
"#,
            ),
            mend: Mend::Edit,
            expected: expect![[r#"
                  × transforms.copy.plugin: "print-sink" is a sink, not a transform
                    ╭─[pipelines/my.toml:13:10]
                 12 │ [transforms.copy]
                 13 │ plugin = "print-sink"
                    ·          ────────────
                 14 │ inputs = ["inbox"]
                    ╰────
                  help: use a transform, or declare the stage as `sinks.copy`

                pipelines/my.toml: 1 error
            "#]],
        },
    ]);
}

/// Each way in which a component cannot be used, and another build of it that can.
#[test]
fn an_unusable_component() {
    let reason = || "unknown import".to_owned();
    let import = || "acme:db/query".to_owned();
    let queue = || "rayline:stage/queue@0.1.0".to_owned();
    let problems = [
        (
            PluginProblem::Unreadable { reason: "permission denied".to_owned() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the file cannot be read: permission denied
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: let the user that runs rayline read the file

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::NotWasm,
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the file is not WebAssembly
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: name a WebAssembly component; `rayline plugin build` makes one of a Rust crate

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::CoreModule,
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the file is a WebAssembly module, not a component
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: make it a component: `rayline plugin build` does for a Rust crate

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::Broken { reason: reason() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component does not compile: unknown import
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: build it again, for example with `rayline plugin build`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::NotAStage,
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component is no stage: it exports neither a source, nor a transform, nor a sink of rayline:stage
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: build it for the world `source`, `transform` or `sink` of rayline:stage@0.1.0

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::WitVersion { found: "0.2.0".to_owned() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component speaks rayline:stage 0.2.0, this host speaks 0.1.0
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: build it again with rayline:stage@0.1.0 or the SDK of this version

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::UnknownImport { import: import() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component imports `acme:db/query`, which is no capability of this host
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: build it without this import; the capabilities are `queue`, `objects`, `http`, `xray`, `console`, `log`, `clock`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::ImportWithoutBinding { import: queue(), capability: Capability::Queue },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component imports `rayline:stage/queue@0.1.0`, but its `describe` lists no binding of the capability `queue`
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: build it with a binding of the capability `queue` in its `describe`, or without this import

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::Trap { reason: "unreachable".to_owned() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": the component trapped in `describe`: unreachable
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: use another build of the plugin; its `describe` must depend on nothing and answer as wit/stage.wit says

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            PluginProblem::BadDescription { reason: "no JSON".to_owned() },
            expect![[r#"
              × transforms.flatten.plugin: "./mine.wasm": what the component's `describe` says cannot be used: no JSON
                ╭─[pipelines/my.toml:9:10]
              8 │ [transforms.flatten]
              9 │ plugin = "./mine.wasm"
                ·          ─────────────
             10 │ inputs = ["inbox"]
                ╰────
              help: use another build of the plugin; its `describe` must depend on nothing and answer as wit/stage.wit says

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    for (problem, expected) in problems {
        let file_text = valid_but("plugin = \"flatten\"", "plugin = \"./mine.wasm\"");
        let mut world = World::new();
        world.plugins.insert(file("mine.wasm"), Err(problem));
        check_in(
            world,
            Case {
                file: file_text,
                mend: Mend::World(|world| {
                    world.plugins.insert(file("mine.wasm"), Ok(facts(Kind::Transform, None, &[])));
                }),
                expected,
            },
        );
    }
}
