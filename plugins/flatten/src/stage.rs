//! The stage: what the host calls.

use rayline_sdk::{Context, Event, Failure, NewEvent, NewLabels, Transform};
use serde::Deserialize;

use crate::time::Micros;
use crate::{Flattener, Head, Input, Options, Output};

impl Transform for Flattener {
    type Options = Options;
    const SUMMARY: &'static str = "Turns raw X-Ray messages into execution, trace, segment and subsegment documents";

    fn open(options: Options, _: &Context) -> Result<Flattener, Failure> {
        Ok(Flattener::new(options))
    }

    fn process(&mut self, event: &Event<'_>, out: &mut rayline_sdk::Output) -> Result<(), Failure> {
        let attrs: Attrs = serde_json::from_str(event.attrs).unwrap_or_default();
        if let Some(reason) = &attrs.unresolved {
            rayline_sdk::Output::reject(out, reason, None);
            return Ok(());
        }
        let input = Input {
            payload: event.body,
            sha256: event.id,
            account: event.label("account"),
            region: event.label("region"),
            sender_account: attrs.sender_account.as_deref(),
            sent_at_ms: attrs.sent_at.and_then(|sent_at| sent_at.parse().ok()).map(jiff::Timestamp::as_millisecond),
        };
        self.flatten(&input, out);
        Ok(())
    }
}

/// The attributes that are read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attrs {
    sender_account: Option<String>,
    /// Why the body is only a pointer to the message.
    unresolved: Option<String>,
    sent_at: Option<String>,
}

impl Output for rayline_sdk::Output {
    fn body(&mut self) -> &mut Vec<u8> {
        rayline_sdk::Output::body(self)
    }

    fn finish(&mut self, head: &Head<'_>) {
        let labels = [("account", head.account), ("region", head.region)];
        let labels = labels.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let labels: Vec<_> = [("kind", head.kind)].into_iter().chain(labels).collect();
        let labels = NewLabels::Only(&labels);
        let time = nanoseconds(head.time);
        rayline_sdk::Output::finish(self, &NewEvent { labels, id: head.id, time, version: head.version });
    }

    fn reject(&mut self, reason: &str, part: Option<&[u8]>) {
        rayline_sdk::Output::reject(self, reason, part);
    }
}

fn nanoseconds(time: Micros) -> u64 {
    time.unsigned_abs().saturating_mul(1000)
}

rayline_sdk::export_transform!(Flattener);
