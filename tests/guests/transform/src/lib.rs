//! A transform that keeps every event, and fails as it is told.

use std::hint::black_box;
use std::time::Duration;

use rayline_sdk::{Binding, Capability, Context, Event, Failure, Output, Transform, queue};

/// How it fails.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// What goes wrong.
    fault: Fault,
    /// Only at events whose body contains this text. At every event if absent.
    at: Option<String>,
    /// How long `wait` waits, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fault {
    /// Nothing.
    None,
    /// A panic.
    Panic,
    /// A loop without end.
    Loop,
    /// Memory without end.
    Grow,
    /// A host call that takes its time: it waits for a message of the binding `queue`.
    Wait,
    /// The event is rejected.
    Reject,
    /// The batch is to be tried again.
    Retry,
    /// The pipeline is to stop.
    Fatal,
    /// The instance does not open.
    Open,
    /// The instance does not open yet.
    NotYet,
}

struct Faulty(Options);

impl Transform for Faulty {
    type Options = Options;
    const SUMMARY: &'static str = "Keeps every event, and fails as it is told";

    fn bindings() -> Vec<Binding> {
        vec![Binding::optional("queue", Capability::Queue, "an empty queue to wait for")]
    }

    fn open(options: Options, _: &Context) -> Result<Faulty, Failure> {
        match options.fault {
            Fault::Open => Err(Failure::fatal("asked not to open")),
            Fault::NotYet => Err(Failure::retry("asked not to open yet")),
            _ => Ok(Faulty(options)),
        }
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let Faulty(Options { fault, at, wait_ms }) = self;
        if at.as_ref().is_none_or(|text| contains(event.body, text)) {
            match fault {
                Fault::None | Fault::Open | Fault::NotYet => {}
                Fault::Panic => panic!("asked to panic"),
                Fault::Loop => loop {
                    black_box(0);
                },
                Fault::Grow => grow(),
                Fault::Wait => {
                    queue::receive("queue", 1, 1, Duration::from_millis(*wait_ms))?;
                }
                Fault::Reject => return Err(Failure::reject("asked to reject")),
                Fault::Retry => return Err(Failure::retry("asked to try again")),
                Fault::Fatal => return Err(Failure::fatal("asked to stop")),
            }
        }
        out.keep(event);
        Ok(())
    }
}

fn grow() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

rayline_sdk::export_transform!(Faulty);
