//! Frozen: with every outcome that an event of a transform can have, chosen by what its body contains.

use rayline_sdk::{Context, Event, Failure, NewEvent, NewLabels, Output, Transform, clock, log};

/// What it adds.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Options {
    /// The value of the label `frozen`.
    #[serde(default)]
    label: String,
}

struct Frozen(Options);

impl Transform for Frozen {
    type Options = Options;
    const SUMMARY: &'static str = "Keeps, drops, doubles, rejects, retries or panics (frozen)";

    fn open(options: Options, context: &Context) -> Result<Frozen, Failure> {
        log::info("opened", &[("stage", &context.stage), ("seed", &context.seed.to_string())]);
        Ok(Frozen(options))
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let body = String::from_utf8_lossy(event.body);
        let begun = clock::monotonic();
        if body.contains("drop") {
            return Ok(());
        }
        if body.contains("reject") {
            return Err(Failure::reject("asked to reject"));
        }
        if body.contains("retry") {
            return Err(Failure::retry("asked to try again"));
        }
        assert!(!body.contains("panic"), "asked to panic");
        if body.contains("part") {
            out.reject("asked to reject a part", Some(b"part"));
        }
        if body.contains("double") {
            let labels = [("frozen", self.0.label.as_str())];
            out.push(&NewEvent { labels: NewLabels::With(&labels), ..NewEvent::like(event) }, event.body);
            out.push(&NewEvent { labels: NewLabels::Only(&labels), ..NewEvent::default() }, b"{}");
        }
        out.keep(event);
        log::trace("kept", &[("took", &format!("{:?}", clock::monotonic() - begun))]);
        Ok(())
    }
}

rayline_sdk::export_transform!(Frozen);
