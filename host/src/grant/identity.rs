//! Whose credentials a grant has, and what time it is for AWS: for `rayline doctor`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_types::origin::Origin;
use jiff::fmt::rfc2822;

use super::aws;
use super::xray::{Failure, FailureKind};
use crate::pipeline::Aws;

/// What STS answered.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) who: Result<Caller, Unknown>,
    /// How far the local clock is ahead of AWS's, in seconds; also where AWS refuses, since a wrong clock may be why.
    pub(crate) ahead_secs: Option<i64>,
}

/// Whose the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    /// The user, or the session of a role.
    pub(crate) arn: String,
}

/// Why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// There are no credentials, or AWS does not accept them.
    pub(crate) is_refused: bool,
    /// AWS's words, or the SDK's.
    pub(crate) reason: String,
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Where STS is asked when no region is at hand: it answers for all.
const ANY_REGION: &str = "us-east-1";

/// Asks STS, at another server than Amazon's own if one is named.
pub(crate) async fn ask(grant: &Aws, endpoint: Option<&str>) -> Identity {
    let region = match &grant.region {
        Some(region) => Some(region.clone()),
        None => aws::config(&Aws::default()).await.region().is_none().then(|| ANY_REGION.to_owned()),
    };
    let config = aws::config(&Aws { region, ..grant.clone() }).await;
    let timeouts = TimeoutConfig::builder().connect_timeout(TIMEOUT).operation_attempt_timeout(TIMEOUT).build();
    let mut config = config.into_builder().timeout_config(timeouts);
    if let Some(url) = endpoint {
        config = config.endpoint_url(url);
        // The grant comes before the environment.
        config.insert_origin("endpoint_url", Origin::shared_config());
    }
    let clock = Clock::default();
    let asked = aws_sdk_sts::Client::new(&config.build()).get_caller_identity().customize().interceptor(clock.clone());
    let who = match asked.send().await {
        Ok(identity) => match identity.account {
            Some(account) => Ok(Caller { account, arn: identity.arn.unwrap_or_default() }),
            None => Err(Unknown { is_refused: false, reason: "STS does not say whose they are".to_owned() }),
        },
        Err(error) => {
            let Failure { kind, reason, .. } = Failure::from(error);
            Err(Unknown { is_refused: matches!(kind, FailureKind::Refused | FailureKind::Invalid), reason })
        }
    };
    Identity { who, ahead_secs: *clock.0.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Compares an answer's `Date` with the local clock as it arrives.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Option<i64>>>);

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let ahead = context.response().headers().get("date").and_then(|date| ahead_secs(date, SystemTime::now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        Ok(())
    }
}

/// How far `now` is after a `Date` header.
fn ahead_secs(date: &str, now: SystemTime) -> Option<i64> {
    let date = rfc2822::parse(date).ok()?.timestamp();
    Some(jiff::Timestamp::try_from(now).ok()?.as_second() - date.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_ahead() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_900);
        assert_eq!(ahead_secs("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(0));
        assert_eq!(ahead_secs("Sun, 06 Nov 1994 08:59:37 GMT", now), Some(-600));
        assert_eq!(ahead_secs("today", now), None);
    }
}
