//! A source of one's own in a few lines: it counts, or reads a queue.

use std::time::Duration;

use rayline_sdk::{
    Binding, Capability, Context, Ends, Failure, Outcome, Reading, Settlement, Source, SourceEvent, SourceOutput, log,
    queue,
};

/// How far it counts.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// How many events there are: `{"n":0}`, `{"n":1}` and so on. If absent, the binding `queue` is read.
    count: Option<u64>,
    /// Every so many events, one body says `poison`.
    poison_every: Option<u64>,
    /// Panics instead of reading this event. A message of the queue passes when it comes again.
    panic_at: Option<u64>,
}

struct Count {
    options: Options,
    next: u64,
    /// How many messages of the queue are not settled.
    held: usize,
}

/// Messages that one reading takes.
const MESSAGES: usize = 10;

impl Source for Count {
    type Options = Options;
    const SUMMARY: &'static str = "Counts, or reads a queue";
    const ENDS: Ends = Ends::Always;

    fn bindings() -> Vec<Binding> {
        vec![Binding::optional("queue", Capability::Queue, "what is read instead of counting")]
    }

    fn open(options: Options, context: &Context) -> Result<Count, Failure> {
        let next = context.checkpoint.as_deref().map_or(Ok(0), str::parse);
        Ok(Count { options, held: 0, next: next.map_err(|_| Failure::fatal("the checkpoint is not a number"))? })
    }

    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        let Some(count) = self.options.count else { return self.receive(max_bytes, max_wait, out) };
        while self.next < count && out.body_bytes() < max_bytes && out.len() < 100 {
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
        out.progress(self.next, Some(count), "numbers");
        Ok(Reading::Events)
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        let released = settlements.iter().filter(|settlement| settlement.outcome == Outcome::Released).count();
        if released > 0 {
            log::info("released", &[("count", &released.to_string())]);
        }
        if self.options.count.is_none() {
            let done = settlements.iter().filter(|settlement| settlement.outcome == Outcome::Done);
            let done: Vec<u64> = done.map(|settlement| settlement.ticket).collect();
            queue::delete("queue", &done)?;
            self.held -= settlements.len();
        }
        Ok(())
    }
}

impl Count {
    /// Reads the queue until nothing is there. A message's handle is its ticket.
    fn receive(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        let messages = queue::receive("queue", MESSAGES, max_bytes, max_wait)?;
        if messages.is_empty() {
            return Ok(if self.held == 0 { Reading::Finished } else { Reading::Idle(Duration::ZERO) });
        }
        for message in messages.iter() {
            let is_message = |n: &u64| message.body == format!(r#"{{"n":{n}}}"#).as_bytes();
            if let Some(n) = self.options.panic_at.filter(is_message) {
                assert!(!message.attrs.ends_with(r#""receive_count":1}"#), "asked to panic at {n}");
            }
            out.push(message.handle, &SourceEvent { attrs: message.attrs, ..SourceEvent::default() }, message.body);
            self.held += 1;
        }
        Ok(Reading::Events)
    }
}

rayline_sdk::export_source!(Count);
