//! Frozen: counts to a number, first waiting once, with everything that a reading can have.

use std::time::Duration;

use rayline_sdk::{Context, Ends, Failure, Outcome, Reading, Settlement, Source, SourceEvent, SourceOutput, clock, log};

/// How far it counts.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// How many events there are: `{"n":0}`, `{"n":1}` and so on.
    count: u64,
}

struct Count {
    count: u64,
    next: u64,
    waited: bool,
}

impl Source for Count {
    type Options = Options;
    const SUMMARY: &'static str = "Counts (frozen)";
    const ENDS: Ends = Ends::Always;

    fn open(options: Options, context: &Context) -> Result<Count, Failure> {
        let next = context.checkpoint.as_deref().map_or(Ok(0), str::parse);
        let next = next.map_err(|_| Failure::fatal("the checkpoint is not a number"))?;
        log::info("opened", &[("stage", &context.stage), ("next", &next.to_string())]);
        Ok(Count { count: options.count, next, waited: false })
    }

    fn read(&mut self, max_bytes: usize, _max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        if !self.waited {
            self.waited = true;
            return Ok(Reading::Idle(Duration::from_millis(1)));
        }
        if self.next == self.count {
            return Ok(Reading::Finished);
        }
        // Two events share a ticket, and a ticket belongs to one reading.
        while self.next < self.count && (self.next % 2 == 1 || out.body_bytes() < max_bytes && out.len() < 10) {
            let n = self.next;
            let event = SourceEvent {
                labels: &[("kind", if n % 2 == 0 { "even" } else { "odd" })],
                attrs: r#"{"sender_id":"frozen"}"#,
                id: if n % 3 == 0 { "" } else { &n.to_string() },
                time: clock::now(),
                version: n,
            };
            out.push(n / 2, &event, format!(r#"{{"n":{n}}}"#).as_bytes());
            self.next += 1;
        }
        out.checkpoint(self.next.to_string());
        out.progress(self.next, Some(self.count), "numbers");
        Ok(Reading::Events)
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        for settlement in settlements {
            let outcome = if settlement.outcome == Outcome::Done { "done" } else { "released" };
            log::debug("settled", &[("ticket", &settlement.ticket.to_string()), ("outcome", outcome)]);
        }
        Ok(())
    }

    fn close(&mut self) {
        log::info("closed", &[]);
    }
}

rayline_sdk::export_source!(Count);
