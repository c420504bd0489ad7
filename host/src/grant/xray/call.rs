//! One call to AWS: paced, tried again, its answer in the API's own spelling.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_xray::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_xray::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_xray::error::BoxError;
use jiff::fmt::rfc2822;

use super::Answer;
use super::failure::{Failure, FailureKind};
use super::pace::Api;
use super::places::Place;

/// Waits before a call that failed for the time being is made again.
const AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// How often a throttled call is made again. Its pace gets slower each time.
const THROTTLED: usize = 8;

impl Place {
    /// Makes a call, several times if need be.
    pub(super) async fn call<F>(&self, api: Api, call: impl Fn(Capture) -> F) -> Result<Answer, Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let (mut waits, mut throttled) = (AGAIN.into_iter(), 0);
        loop {
            let turn = self.pace(api).turn().await?;
            // Nobody closes it.
            let room = self.room.acquire().await.ok();
            let capture = Capture::default();
            let result = call(capture.clone()).await;
            let result = capture.answer(result);
            drop(room);
            turn.ended(result.as_ref().err());
            let failure = match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure.kind {
                FailureKind::Throttled if throttled < THROTTLED => throttled += 1,
                FailureKind::Temporary if waits.len() > 0 => {
                    tokio::time::sleep(waits.next().unwrap_or_default()).await;
                }
                _ => {
                    self.log(api.name(), &failure);
                    return Err(failure);
                }
            }
        }
    }
}

/// Takes an answer as it came: with what the SDK does not know, and where the SDK cannot read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Option<Captured>>>);

#[derive(Debug)]
struct Captured {
    is_success: bool,
    date: Option<u64>,
    body: Vec<u8>,
}

impl Capture {
    fn answer(&self, result: Result<(), Failure>) -> Result<Answer, Failure> {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answer = match captured {
            Some(Captured { is_success: true, date, body }) => String::from_utf8(body).ok().map(|json| (json, date)),
            _ => None,
        };
        match (answer, result) {
            // Nothing else says when this was so: least of all a clock of ours.
            (Some((_, None)), _) => Err(Failure::new(FailureKind::Temporary, "the answer has no `Date`")),
            (Some((json, Some(date))), _) => Ok(Answer { json, date }),
            (None, Err(failure)) => Err(failure),
            (None, Ok(())) => Err(Failure::new(FailureKind::Temporary, "the answer is no text")),
        }
    }
}

impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "Capture"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let captured = response.body().bytes().map(|body| Captured {
            is_success: response.status().is_success(),
            date: response.headers().get("date").and_then(nanos),
            body: body.to_vec(),
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = captured;
        Ok(())
    }
}

/// Nanoseconds since the epoch of a `Date` header.
fn nanos(date: &str) -> Option<u64> {
    u64::try_from(rfc2822::parse(date).ok()?.timestamp().as_nanosecond()).ok()
}

/// Reads an answer. What cannot be read is tried another time: it came from a proxy, or was cut off.
pub(super) fn read<'j, T: serde::Deserialize<'j>>(api: Api, answer: &'j Answer) -> Result<T, Failure> {
    serde_json::from_str(&answer.json).map_err(|error| {
        Failure::new(FailureKind::Temporary, format!("{} answered what cannot be read: {error}", api.name()))
    })
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn dates() {
        assert_eq!(nanos("Tue, 24 Nov 2026 03:03:06 GMT"), Some(1_795_489_386_000_000_000));
        assert_eq!(nanos("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000_000_000));
        assert_eq!(nanos("yesterday"), None);
    }
}
