//! What it costs to give an event to a guest and to get it back, without the guest's own work.
//!
//! The guest writes each event as often as it is told; what one time more adds is its own work, and is taken off.

use anyhow::Result;
use bytes::Bytes;
use rayline::event::Event;
use serde_json::json;

use crate::Place;
use crate::clock::{cpu, least};
use crate::component::Components;
use crate::corpus::Corpus;
use crate::report::{Aim, Report};

const ROUNDS: usize = 15;
/// Events in one round.
const EVENTS: usize = 1 << 17;
const BODY_BYTES: usize = 1024;
/// How often the guest writes each event where it works more.
const TIMES: u32 = 9;

/// Measures batches of two sizes.
pub fn measure(place: &Place, components: &Components, report: &mut Report) -> Result<()> {
    let template = Corpus::samples(&place.root, 1)?.events().pop();
    for size in [1000, 4096] {
        let batch: Vec<Event> = std::iter::repeat_n(template.clone(), size)
            .flatten()
            // Bodies of their own, as they come from a source: not one that stays in the cache.
            .map(|event| Event { body: Bytes::from(vec![b'x'; BODY_BYTES]), ..event })
            .collect();
        let mut stages = [0, 1, TIMES].map(|times| (components.guest("guest-copy", json!({"times": times})), vec![]));
        for _ in 0..ROUNDS {
            for (stage, seconds) in &mut stages {
                let stage = stage.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
                let calls = EVENTS / size;
                let (spent, ()) = cpu(|| (0..calls).try_for_each(|_| stage.process(&batch).map(drop)))?;
                seconds.push(spent / (calls * size) as f64 * 1e9);
            }
        }
        let [inward, once, often] = stages.map(|(_, seconds)| least(seconds));
        let own = (often - once) / f64::from(TIMES - 1);
        let title = |what: &str| format!("crossing, 1 KB events, {size} in a batch: {what}");
        report.aim(title("both ways, without the guest's own copy"), once - own, "ns", Aim::Under(50.0));
        report.tell(title("both ways, in all"), once, "ns");
        report.tell(title("inward only"), inward, "ns");
    }
    Ok(())
}
