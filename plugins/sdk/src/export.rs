//! The export macros. They are the only place where a stage's own crate gets unsafe code, all of it wit-bindgen's.
//!
//! They expand to nothing but on wasm, so that natively several stages can be linked into one program.

/// Makes the crate a transform component: `export_transform!(MyTransform)`, once.
#[macro_export]
macro_rules! export_transform {
    ($stage:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::bindings::{processor, stage, types};

            struct Component;

            ::std::thread_local! {
                static STAGE: ::std::cell::RefCell<Option<$crate::adapter::RunningTransform<$stage>>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            impl stage::Guest for Component {
                fn describe() -> String {
                    $crate::adapter::describe_transform::<$stage>()
                }
                fn open(context: String) -> Result<(), types::Failure> {
                    $crate::adapter::open_transform(&STAGE, &context)
                }
                fn close() {
                    $crate::adapter::close_transform(&STAGE);
                }
            }

            impl processor::Guest for Component {
                fn process(events: types::Batch) -> Result<processor::Processed, types::Failure> {
                    $crate::adapter::process(&STAGE, events)
                }
            }

    stage::export!(Component with_types_in stage);
    processor::export!(Component with_types_in processor);
        };
    };
}

/// Makes the crate a source component: `export_source!(MySource)`, once.
#[macro_export]
macro_rules! export_source {
    ($stage:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::bindings::{reader, stage, types};

            struct Component;

            ::std::thread_local! {
                static STAGE: ::std::cell::RefCell<Option<$crate::adapter::RunningSource<$stage>>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            impl stage::Guest for Component {
                fn describe() -> String {
                    $crate::adapter::describe_source::<$stage>()
                }
                fn open(context: String) -> Result<(), types::Failure> {
                    $crate::adapter::open_source(&STAGE, &context)
                }
                fn close() {
                    $crate::adapter::close_source(&STAGE);
                }
            }

            impl reader::Guest for Component {
                fn read(max_bytes: u32, max_wait_ms: u32) -> Result<reader::Reading, types::Failure> {
                    $crate::adapter::read(&STAGE, max_bytes, max_wait_ms)
                }
                fn settle(settlements: Vec<reader::Settlement>) -> Result<(), types::Failure> {
                    $crate::adapter::settle(&STAGE, settlements)
                }
            }

    stage::export!(Component with_types_in stage);
    reader::export!(Component with_types_in reader);
        };
    };
}

/// Makes the crate a sink component: `export_sink!(MySink)`, once.
#[macro_export]
macro_rules! export_sink {
    ($stage:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::bindings::{stage, types, writer};

            struct Component;

            ::std::thread_local! {
                static STAGE: ::std::cell::RefCell<Option<$stage>> = const { ::std::cell::RefCell::new(None) };
            }

            impl stage::Guest for Component {
                fn describe() -> String {
                    $crate::adapter::describe_sink::<$stage>()
                }
                fn open(context: String) -> Result<(), types::Failure> {
                    $crate::adapter::open_sink(&STAGE, &context)
                }
                fn close() {
                    $crate::adapter::close_sink(&STAGE);
                }
            }

            impl writer::Guest for Component {
                fn write(events: types::Batch) -> Result<Vec<writer::Exception>, types::Failure> {
                    $crate::adapter::write(&STAGE, events)
                }
            }

    stage::export!(Component with_types_in stage);
    writer::export!(Component with_types_in writer);
        };
    };
}
