//! A transform that passes events through, for the benches: what is left of its time is the cost of crossing.

use rayline_sdk::{Context, Event, Failure, Output, Transform};

/// How much work it does.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// How often it writes each event. All but the last are taken back, so that more of them is more of its own work and
    /// nothing else. 0: the event is dropped.
    times: u32,
}

struct Copy(Options);

impl Transform for Copy {
    type Options = Options;
    const SUMMARY: &'static str = "Passes events through";

    fn open(options: Options, _: &Context) -> Result<Copy, Failure> {
        Ok(Copy(options))
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        for _ in 1..self.0.times {
            out.body().extend_from_slice(event.body);
        }
        if self.0.times > 0 {
            out.keep(event);
        }
        Ok(())
    }
}

rayline_sdk::export_transform!(Copy);
