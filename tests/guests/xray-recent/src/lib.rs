//! Another way to collect, in a few lines: the traces of the last minutes, once, each as X-Ray gave it.

use std::time::Duration;

use rayline_sdk::xray::{self, SummaryQuery, TraceQuery};
use rayline_sdk::{
    Binding, Capability, Context, Ends, Failure, Reading, Settlement, Source, SourceEvent, SourceOutput, clock,
};
use serde_json::Value;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Recent {
    /// How far it looks back.
    minutes: u64,
    #[serde(skip)]
    done: bool,
}

impl Source for Recent {
    type Options = Recent;
    const SUMMARY: &'static str = "Hands over the traces of the last minutes";
    const ENDS: Ends = Ends::Always;

    fn bindings() -> Vec<Binding> {
        vec![Binding::required("xray", Capability::Xray, "the accounts and regions to collect from")]
    }

    fn open(options: Recent, _: &Context) -> Result<Recent, Failure> {
        Ok(options)
    }

    fn read(&mut self, _: usize, wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        let before = clock::now();
        let after = before.saturating_sub(self.minutes * 60_000_000_000);
        let places = if self.done { Vec::new() } else { xray::places("xray")? };
        let query = |place| SummaryQuery { place, after, before, filter: None, next: None };
        let mut queries: Vec<SummaryQuery> = places.into_iter().flatten().map(query).collect();
        while let Some(query) = queries.pop() {
            let Some(Ok(page)) = xray::trace_summaries("xray", &[query.clone()], wait * 30)?.pop() else { continue };
            let place = query.place.clone();
            let found: Vec<Value> = serde_json::from_str(&page.json)?;
            let ids = found.iter().filter_map(|it| it["Id"].as_str().map(str::to_owned));
            let traces: Vec<_> = ids.map(|id| TraceQuery { place: place.clone(), id }).collect();
            for trace in xray::traces("xray", &traces, wait * 30)?.into_iter().flatten() {
                let head = format!(r#"{{"account":"{}","region":"{}","trace":"#, place.account, place.region);
                let labels = [("kind", "raw"), ("account", place.account.as_str()), ("region", place.region.as_str())];
                let event = SourceEvent { labels: &labels, time: trace.date, ..SourceEvent::default() };
                out.push(out.len() as u64, &event, format!("{head}{}}}", trace.json).as_bytes());
            }
            queries.extend(page.next.map(|next| SummaryQuery { next: Some(next), ..query }));
        }
        self.done = true;
        Ok(Reading::Finished)
    }

    fn settle(&mut self, _: &[Settlement]) -> Result<(), Failure> {
        Ok(())
    }
}

rayline_sdk::export_source!(Recent);
