//! A sink that sends bodies to a queue, and fails as it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use rayline_sdk::queue::Outgoing;
use rayline_sdk::{Batch, Binding, Capability, Context, Exceptions, Failure, Sink, queue};

/// How it fails. Texts are looked for in the bodies.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Options {
    /// Rejects events with this text.
    reject: Option<String>,
    /// Wants events with this text again, `retries` times each.
    retry: Option<String>,
    /// How often.
    retries: u32,
    /// After how long, in milliseconds.
    retry_ms: u64,
    /// Panics at events with this text, before anything of the batch is written.
    panic: Option<String>,
    /// Asks for every batch again, for ever.
    refuse: bool,
    /// How long each write stalls in a host call, in milliseconds: it waits for a message of the binding `stall`.
    stall_ms: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { reject: None, retry: None, retries: 1, retry_ms: 10, panic: None, refuse: false, stall_ms: 0 }
    }
}

struct Faulty {
    options: Options,
    retried: BTreeMap<String, u32>,
}

impl Sink for Faulty {
    type Options = Options;
    const SUMMARY: &'static str = "Sends bodies to a queue, and fails as it is told";

    fn bindings() -> Vec<Binding> {
        vec![
            Binding::required("queue", Capability::Queue, "where bodies go"),
            Binding::optional("stall", Capability::Queue, "an empty queue to wait for"),
        ]
    }

    fn open(options: Options, _: &Context) -> Result<Faulty, Failure> {
        Ok(Faulty { options, retried: BTreeMap::new() })
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let Options { reject, retry, retries, retry_ms, panic, refuse, stall_ms } = &self.options;
        if *refuse {
            return Err(Failure::retry_after("asked to refuse", Duration::from_millis(10)));
        }
        if *stall_ms > 0 {
            queue::receive("stall", 1, 1, Duration::from_millis(*stall_ms))?;
        }
        let mut messages = Outgoing::new();
        for event in batch {
            assert!(!contains(event.body, panic), "asked to panic");
            if contains(event.body, reject) {
                out.reject(&event, "asked to reject");
                continue;
            }
            if contains(event.body, retry) {
                let times = self.retried.entry(event.id.to_owned()).or_default();
                if *times < *retries {
                    *times += 1;
                    out.retry(&event, "asked to try again", Some(Duration::from_millis(*retry_ms)));
                    continue;
                }
            }
            messages.push("", event.body);
        }
        match queue::send("queue", &messages)?.into_iter().next() {
            Some(failed) => Err(failed.error.into()),
            None => Ok(()),
        }
    }
}

fn contains(body: &[u8], text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| body.windows(text.len()).any(|window| window == text.as_bytes()))
}

rayline_sdk::export_sink!(Faulty);
