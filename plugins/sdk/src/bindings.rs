//! What wit-bindgen makes of `wit/`: the capabilities, and one module for each interface that stages export. All share the
//! types of the first. What an export says of the final component is in its macro, so that a stage carries its own kind
//! and no other. (Not one module for each world: their macros for the interface `stage` would have the same name.)

#![allow(unsafe_code, reason = "wit-bindgen's glue lowers and lifts by pointer")]
#![allow(missing_docs, clippy::all, reason = "generated: the documentation is in wit/")]

mod capabilities {
    wit_bindgen::generate!({
        inline: "
            package rayline:sdk;
            world capabilities {
                import rayline:stage/types@0.1.0;
                import rayline:stage/log@0.1.0;
                import rayline:stage/clock@0.1.0;
                import rayline:stage/queue@0.1.0;
                import rayline:stage/objects@0.1.0;
                import rayline:stage/http@0.1.0;
                import rayline:stage/xray@0.1.0;
                import rayline:stage/console@0.1.0;
            }
        ",
        path: "../../wit",
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        generate_unused_types: true,
        generate_all,
    });
}

pub use capabilities::rayline::stage::{capability, clock, console, http, log, objects, queue, types, xray};

/// What every stage exports.
pub mod stage {
    wit_bindgen::generate!({
        inline: "package rayline:sdk; world stage { export rayline:stage/stage@0.1.0; }",
        path: "../../wit",
        with: { "rayline:stage/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
    });

    pub use exports::rayline::stage::stage::*;
}

/// What a source exports besides.
pub mod reader {
    wit_bindgen::generate!({
        inline: "package rayline:sdk; world reader { export rayline:stage/reader@0.1.0; }",
        path: "../../wit",
        with: { "rayline:stage/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
    });

    pub use exports::rayline::stage::reader::*;
}

/// What a transform exports besides.
pub mod processor {
    wit_bindgen::generate!({
        inline: "package rayline:sdk; world processor { export rayline:stage/processor@0.1.0; }",
        path: "../../wit",
        with: { "rayline:stage/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
    });

    pub use exports::rayline::stage::processor::*;
}

/// What a sink exports besides.
pub mod writer {
    wit_bindgen::generate!({
        inline: "package rayline:sdk; world writer { export rayline:stage/writer@0.1.0; }",
        path: "../../wit",
        with: { "rayline:stage/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
    });

    pub use exports::rayline::stage::writer::*;
}
