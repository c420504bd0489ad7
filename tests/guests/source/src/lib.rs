//! A source of one's own in a few lines: it counts.

use std::time::Duration;

use rayline_sdk::{Context, Ends, Failure, Outcome, Reading, Settlement, Source, SourceEvent, SourceOutput, log};

/// How far it counts.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// How many events there are: `{"n":0}`, `{"n":1}` and so on.
    count: u64,
    /// Every so many events, one body says `poison`.
    poison_every: Option<u64>,
    /// Panics instead of reading this event.
    panic_at: Option<u64>,
}

struct Count {
    options: Options,
    next: u64,
}

impl Source for Count {
    type Options = Options;
    const SUMMARY: &'static str = "Counts";
    const ENDS: Ends = Ends::Always;

    fn open(options: Options, context: &Context) -> Result<Count, Failure> {
        let next = context.checkpoint.as_deref().map_or(Ok(0), str::parse);
        Ok(Count { options, next: next.map_err(|_| Failure::fatal("the checkpoint is not a number"))? })
    }

    fn read(&mut self, max_bytes: usize, _max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        while self.next < self.options.count && out.body_bytes() < max_bytes && out.len() < 100 {
            let n = self.next;
            assert!(self.options.panic_at != Some(n), "asked to panic at {n}");
            let poison = self.options.poison_every.is_some_and(|every| n % every == every - 1);
            let body = if poison { format!(r#"{{"n":{n},"poison":true}}"#) } else { format!(r#"{{"n":{n}}}"#) };
            let labels = [("kind", if n % 2 == 0 { "even" } else { "odd" })];
            out.push(
                n,
                &SourceEvent { labels: &labels, id: &n.to_string(), ..SourceEvent::default() },
                body.as_bytes(),
            );
            self.next += 1;
        }
        if out.is_empty() {
            return Ok(Reading::Finished);
        }
        out.checkpoint(self.next.to_string());
        out.progress(self.next, Some(self.options.count), "numbers");
        Ok(Reading::Events)
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        let released = settlements.iter().filter(|settlement| settlement.outcome == Outcome::Released).count();
        if released > 0 {
            log::info("released", &[("count", &released.to_string())]);
        }
        Ok(())
    }
}

rayline_sdk::export_source!(Count);
