//! Frozen: writes every batch by every capability that is granted, with every verdict that an event can have.

use std::io::{BufRead, Write};
use std::time::Duration;

use rayline_sdk::objects::{self, Compression};
use rayline_sdk::queue::{self, Outgoing};
use rayline_sdk::{
    Batch, Binding, Capability, CapabilityError, Context, Exceptions, Failure, NoOptions, Sink, console, log,
};

struct Frozen;

impl Sink for Frozen {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Writes everywhere (frozen)";

    fn bindings() -> Vec<Binding> {
        vec![
            Binding::optional("queue", Capability::Queue, "where bodies go"),
            Binding::optional("objects", Capability::Objects, "where bodies go, one object a batch"),
            Binding::optional("console", Capability::Console, "where bodies go, one a line"),
        ]
    }

    fn open(_: NoOptions, _: &Context) -> Result<Frozen, Failure> {
        Ok(Frozen)
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut bodies: Vec<&[u8]> = Vec::new();
        for event in batch {
            let body = String::from_utf8_lossy(event.body);
            if body.contains("reject") {
                out.reject(&event, "asked to reject");
            } else if body.contains("retry") {
                out.retry(&event, "asked to try again", Some(Duration::from_millis(10)));
            } else {
                bodies.push(event.body);
            }
        }
        granted(send(&bodies))?;
        granted(store(&bodies))?;
        granted(print(&bodies))
    }
}

/// Through the queue and back, and deleted in the end but for one that is released.
fn send(bodies: &[&[u8]]) -> Result<(), CapabilityError> {
    let mut messages = Outgoing::new();
    for body in bodies {
        messages.push("", body);
    }
    if let Some(failed) = queue::send("queue", &messages)?.pop() {
        return Err(failed.error);
    }
    let received = queue::receive("queue", bodies.len().max(1), 1 << 20, Duration::from_millis(10))?;
    let handles: Vec<u64> = received.iter().map(|message| message.handle).collect();
    if let Some((first, rest)) = handles.split_first() {
        queue::release("queue", &[*first])?;
        queue::delete("queue", rest)?;
    }
    log::info("queue", &[("visible", &queue::depth("queue")?.visible.to_string())]);
    Ok(())
}

/// One object a batch, read back.
fn store(bodies: &[&[u8]]) -> Result<(), CapabilityError> {
    let mut upload = objects::create("objects", Compression::Gzip)?;
    for body in bodies {
        upload.write(body)?;
        upload.write(b"\n")?;
    }
    let key = upload.commit("frozen/{hash}.ndjson.gz")?;
    let lines = objects::open("objects", &key)?.lines().count();
    let found = objects::list("objects", "frozen/", None, 10)?.len();
    let mut gone = objects::create("objects", Compression::None)?;
    gone.write(b"gone")?;
    let gone = gone.commit("frozen/gone")?;
    objects::delete("objects", &[gone])?;
    log::info("objects", &[("key", &key), ("lines", &lines.to_string()), ("found", &found.to_string())]);
    Ok(())
}

fn print(bodies: &[&[u8]]) -> Result<(), CapabilityError> {
    let mut text = Vec::new();
    for body in bodies {
        // A vector takes everything.
        let _ = text.write_all(body);
        text.push(b'\n');
    }
    console::write("console", &text)
}

fn granted(result: Result<(), CapabilityError>) -> Result<(), Failure> {
    match result {
        Err(CapabilityError::NotGranted(_)) => Ok(()),
        other => Ok(other?),
    }
}

rayline_sdk::export_sink!(Frozen);
