//! What wasmtime makes of `wit/`: the capabilities that the host implements, and the interfaces that stages export.
//!
//! One world holds all of them, so that all share the same types. A component exports only those of its own kind, so
//! the world as such is never instantiated: [`Instance`](super::Instance) takes each interface by itself.

#![allow(missing_docs, clippy::all, reason = "generated: the documentation is in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package rayline:host;
        world host {
            import rayline:stage/types@0.1.0;
            import rayline:stage/capability@0.1.0;
            import rayline:stage/log@0.1.0;
            import rayline:stage/clock@0.1.0;
            import rayline:stage/queue@0.1.0;
            import rayline:stage/objects@0.1.0;
            import rayline:stage/http@0.1.0;
            import rayline:stage/xray@0.1.0;
            import rayline:stage/console@0.1.0;
            export rayline:stage/stage@0.1.0;
            export rayline:stage/reader@0.1.0;
            export rayline:stage/processor@0.1.0;
            export rayline:stage/writer@0.1.0;
        }
    ",
    path: "../wit",
    imports: {
        "rayline:stage/log": trappable,
        "rayline:stage/clock": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "rayline:stage/objects.download": crate::grant::objects::Download,
        "rayline:stage/objects.upload": crate::grant::objects::Upload,
    },
});

pub use self::rayline::stage::{capability, clock, console, http, log, objects, queue, types, xray};
pub use exports::rayline::stage::{processor, reader, stage, writer};
