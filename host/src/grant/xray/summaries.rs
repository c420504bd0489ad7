//! Summaries of traces, as X-Ray answers, window by window.
//!
//! X-Ray does not say how long a window may be: six hours are what its console links to. A longer query is answered from
//! its end to its beginning, and a window that X-Ray refuses is halved.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_xray::primitives::DateTime;
use aws_sdk_xray::types::TimeRangeType;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::accounts::Accounts;
use super::answers::Answers;
use super::call::read;
use super::executions::array;
use super::failure::{Failure, FailureKind};
use super::flight::{Item, Landing};
use super::pace::Api;
use super::places::Place;
use super::{Page, SummaryQuery};

/// Seconds.
pub(super) const LONGEST_WINDOW: u64 = 6 * 3600;

/// Seconds. A shorter window is not the reason for a refusal.
const SHORTEST_WINDOW: u64 = 60;

/// What is left of a query, in whole seconds: the guest's `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    after: u64,
    before: u64,
    /// Where the window begins that X-Ray is at, and how to go on there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<(u64, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summaries<'j> {
    #[serde(borrow, default)]
    trace_summaries: Option<Vec<&'j RawValue>>,
    next_token: Option<String>,
}

impl Accounts {
    pub(super) async fn trace_summaries(&self, queries: Vec<SummaryQuery>, answers: &Answers<Page>) {
        let items = queries.into_iter().enumerate();
        let items =
            items.map(|(index, query)| ((query.place.account.clone(), query.place.region.clone()), (index, query)));
        self.ask(items, answers).await;
    }
}

impl Item for SummaryQuery {
    const API: Api = Api::GetTraceSummaries;

    fn name(&self) -> String {
        format!("{} {} {:?} {:?}", self.after, self.before, self.filter, self.next)
    }

    async fn fetch(place: Arc<Place>, items: Vec<(SummaryQuery, Landing)>) {
        for (query, landing) in items {
            landing.land(place.trace_summaries(&query).await);
        }
    }
}

impl Place {
    async fn trace_summaries(&self, query: &SummaryQuery) -> Result<Page, Failure> {
        let mut left = Left::of(query)?;
        let mut window = self.window.load(Ordering::Relaxed);
        loop {
            let (from, token) = left.window(window);
            match self.get_trace_summaries(from, left.before, query.filter.as_deref(), token.clone()).await {
                Ok(answer) => {
                    let page: Summaries<'_> = read(Api::GetTraceSummaries, &answer)?;
                    // Of several calls at once, the one with the shortest window is right.
                    self.window.fetch_min(window, Ordering::Relaxed);
                    let next = left
                        .next(from, page.next_token.filter(|next| !next.is_empty() && Some(next) != token.as_ref()));
                    let json = array(&page.trace_summaries.unwrap_or_default());
                    let next = next.and_then(|left| serde_json::to_string(&left).ok());
                    return Ok(Page { json, date: answer.date, next });
                }
                // A token that is too old: its window begins again.
                Err(failure) if failure.kind == FailureKind::Invalid && token.is_some() => left.page = None,
                Err(failure) if failure.kind == FailureKind::Invalid && left.before - from > SHORTEST_WINDOW => {
                    window = (left.before - from).div_ceil(2);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn get_trace_summaries(
        &self,
        from: u64,
        to: u64,
        filter: Option<&str>,
        token: Option<String>,
    ) -> Result<super::Answer, Failure> {
        self.call(Api::GetTraceSummaries, |capture| {
            let call = self
                .xray
                .get_trace_summaries()
                .time_range_type(TimeRangeType::TraceId)
                .start_time(seconds(from))
                .end_time(seconds(to))
                .set_filter_expression(filter.map(str::to_owned))
                .set_next_token(token.clone())
                .customize()
                .interceptor(capture);
            async move { call.send().await.map(drop).map_err(Failure::from) }
        })
        .await
    }
}

impl Left {
    /// What is left at the beginning, or according to `next`.
    pub(super) fn of(query: &SummaryQuery) -> Result<Left, Failure> {
        let invalid = |reason: &str| Failure::new(FailureKind::Invalid, reason);
        if let Some(next) = &query.next {
            let left: Option<Left> = serde_json::from_str(next).ok();
            return left.filter(|left| left.after < left.before).ok_or_else(|| invalid("`next` is not of this host"));
        }
        if query.before <= query.after {
            return Err(invalid("the window ends before it begins"));
        }
        const SECOND: u64 = 1_000_000_000;
        Ok(Left { after: query.after / SECOND, before: query.before.div_ceil(SECOND), page: None })
    }

    /// Where the next window begins, and X-Ray's token within it.
    fn window(&self, longest: u64) -> (u64, Option<String>) {
        match &self.page {
            Some((from, token)) => (*from, Some(token.clone())),
            None => (self.before.saturating_sub(longest.max(1)).max(self.after), None),
        }
    }

    /// What is left after a page of the window that begins there.
    fn next(&self, from: u64, token: Option<String>) -> Option<Left> {
        match token {
            Some(token) => Some(Left { page: Some((from, token)), ..self.clone() }),
            None => (from > self.after).then_some(Left { after: self.after, before: from, page: None }),
        }
    }
}

fn seconds(at: u64) -> DateTime {
    DateTime::from_secs(i64::try_from(at).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(after: u64, before: u64, next: Option<&str>) -> SummaryQuery {
        let place = super::super::Place { account: String::new(), region: String::new() };
        SummaryQuery { place, after, before, filter: None, next: next.map(str::to_owned) }
    }

    #[test]
    fn a_query_is_answered_from_its_end_in_windows() {
        let hour = 3600;
        let mut left = Left::of(&query(1, 14 * 3600 * 1_000_000_000 - 1, None)).unwrap();
        assert_eq!((left.after, left.before), (0, 14 * hour), "whole seconds, none left out");
        let mut windows = Vec::new();
        loop {
            let (from, token) = left.window(LONGEST_WINDOW);
            windows.push((from / hour, left.before / hour, token.clone()));
            // The second window has two pages.
            let more = (from == 2 * hour && token.is_none()).then(|| "token".to_owned());
            let Some(next) = left.next(from, more) else { break };
            // As it comes back from a guest.
            left = Left::of(&query(0, 0, Some(&serde_json::to_string(&next).unwrap()))).unwrap();
        }
        let token = Some("token".to_owned());
        assert_eq!(windows, [(8, 14, None), (2, 8, None), (2, 8, token), (0, 2, None)]);
    }

    #[test]
    fn what_is_no_query() {
        for (query, expected) in [
            (query(5, 5, None), "the window ends before it begins"),
            (query(0, 1, Some("{}")), "`next` is not of this host"),
            (query(0, 1, Some(r#"{"after":7,"before":7}"#)), "`next` is not of this host"),
        ] {
            let failure = Left::of(&query).unwrap_err();
            assert_eq!((failure.kind, failure.reason.as_str()), (FailureKind::Invalid, expected));
        }
    }
}
