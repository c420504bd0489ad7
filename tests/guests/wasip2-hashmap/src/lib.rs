//! A transform for `wasm32-wasip2` that counts the bytes of every body in a `HashMap`, and writes to standard error.

use std::collections::HashMap;

use rayline_sdk::{Context, Event, Failure, NewEvent, NoOptions, Output, Transform};

struct Bytes;

impl Transform for Bytes {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Counts the different bytes of every body";

    fn open(_: NoOptions, _: &Context) -> Result<Bytes, Failure> {
        eprintln!("counting bytes");
        Ok(Bytes)
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let mut counts = HashMap::new();
        for byte in event.body {
            *counts.entry(byte).or_insert(0_u64) += 1;
        }
        out.push(&NewEvent::like(event), format!(r#"{{"different":{}}}"#, counts.len()).as_bytes());
        Ok(())
    }
}

rayline_sdk::export_transform!(Bytes);
