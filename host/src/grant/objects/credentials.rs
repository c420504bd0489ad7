//! AWS credentials for `object_store`, which asks for them at every request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// Credentials of a grant, asked for when they are first needed and again before they expire.
#[derive(Debug)]
pub(super) struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    last: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<AwsCredential>,
    /// From then on they are asked for again.
    fresh_until: Option<SystemTime>,
    expires: Option<SystemTime>,
}

/// So long before they expire, credentials are asked for again: a request may wait, and its clock be wrong.
const EARLY: Duration = Duration::from_secs(300);

/// A provider that keeps giving credentials which are about to expire is not asked more often.
const PAUSE: Duration = Duration::from_secs(10);

impl Credentials {
    pub(super) fn new(config: &SdkConfig) -> Credentials {
        Credentials { provider: config.credentials_provider(), last: Mutex::new(None) }
    }

    async fn ask(&self) -> Result<Held, String> {
        let provider = self.provider.as_ref().ok_or("no AWS credentials are configured")?;
        let given = provider.provide_credentials().await.map_err(|error| {
            let error = anyhow::Error::new(error);
            format!(
                "there are no AWS credentials: {error:#}; see the environment, the profile, or the role of this host"
            )
        })?;
        let now = SystemTime::now();
        let credential = AwsCredential {
            key_id: given.access_key_id().to_owned(),
            secret_key: given.secret_access_key().to_owned(),
            token: given.session_token().map(str::to_owned),
        };
        let expires = given.expiry();
        let fresh_until = expires.map(|expires| expires.checked_sub(EARLY).unwrap_or(now).max(now + PAUSE));
        Ok(Held { credential: Arc::new(credential), fresh_until, expires })
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        let now = SystemTime::now();
        let is_before = |time: Option<SystemTime>| time.is_none_or(|time| now < time);
        if let Some(held) = last.as_ref().filter(|held| is_before(held.fresh_until)) {
            return Ok(held.credential.clone());
        }
        match self.ask().await {
            Ok(held) => Ok(last.insert(held).credential.clone()),
            Err(reason) => match last.as_mut().filter(|held| is_before(held.expires)) {
                Some(held) => {
                    tracing::warn!("{reason}; going on with those from before");
                    held.fresh_until = Some(now + PAUSE);
                    Ok(held.credential.clone())
                }
                None => Err(object_store::Error::Generic { store: "S3", source: reason.into() }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future;

    use super::*;

    /// Gives `key-1`, `key-2`, … that expire after so many seconds; from `key-3` on nothing.
    #[derive(Debug)]
    struct Counting(AtomicU64, u64);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let expires = SystemTime::now() + Duration::from_secs(self.1);
            future::ProvideCredentials::ready(match count {
                1 | 2 => Ok(aws_credential_types::Credentials::new(
                    format!("key-{count}"),
                    "secret",
                    None,
                    Some(expires),
                    "test",
                )),
                _ => Err(CredentialsError::not_loaded("gone")),
            })
        }
    }

    /// Keys of three requests, before each of which the credentials are made to look old.
    async fn keys(lifetime_secs: u64) -> Vec<Result<String, String>> {
        let provider = Some(SharedCredentialsProvider::new(Counting(AtomicU64::new(0), lifetime_secs)));
        let credentials = Credentials { provider, last: Mutex::new(None) };
        let mut keys = Vec::new();
        for _ in 0..3 {
            if let Some(held) = credentials.last.lock().await.as_mut() {
                held.fresh_until = Some(SystemTime::UNIX_EPOCH);
            }
            let given = credentials.get_credential().await;
            keys.push(given.map(|it| it.key_id.clone()).map_err(|error| error.to_string()));
            let again = credentials.get_credential().await;
            assert_eq!(again.map(|it| it.key_id.clone()).ok(), keys.last().and_then(|key| key.clone().ok()));
        }
        keys
    }

    #[tokio::test]
    async fn credentials_are_refreshed_and_outlive_a_provider_that_fails() {
        let [first, second, third] = keys(3600).await.try_into().unwrap();
        assert_eq!([first, second, third], [Ok("key-1".into()), Ok("key-2".into()), Ok("key-2".into())]);
        let expired = keys(0).await;
        assert!(expired.last().unwrap().as_ref().unwrap_err().contains("gone"), "{expired:?}");
    }
}
