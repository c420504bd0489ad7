//! One account, and one region of it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_xray::config::retry::RetryConfig;
use aws_sdk_xray::config::timeout::TimeoutConfig;
use aws_types::origin::Origin;
use tokio::sync::{Semaphore, watch};

use super::failure::{Failure, FailureKind};
use super::pace::{Api, Level, Pace};
use super::summaries::LONGEST_WINDOW;
use crate::grant::aws;
use crate::pipeline::{self, Aws, Endpoints};

/// One account's credentials.
pub(super) struct Account {
    /// What the grant says whose they are.
    expected: Option<String>,
    sts: aws_sdk_sts::Client,
    /// What AWS says is kept for good.
    known: OnceLock<String>,
    /// The question that was asked last, and why there was no answer: that is kept for a while.
    asked: Mutex<Option<watch::Receiver<Option<Identified>>>>,
}

/// Whose credentials are, and when that was known.
type Identified = (Instant, Result<String, Failure>);

/// One account in one region.
pub struct Place {
    of: Arc<Account>,
    region: String,
    pub(super) xray: aws_sdk_xray::Client,
    pub(super) sfn: aws_sdk_sfn::Client,
    /// The calls of the whole grant that are under way.
    pub(super) room: Arc<Semaphore>,
    paces: [Pace; Api::ALL.len()],
    /// The longest window that X-Ray took for summaries, in seconds.
    pub(super) window: AtomicU64,
    /// When it was last asked whether traces go to CloudWatch Logs, and the answer.
    pub(super) elsewhere: tokio::sync::Mutex<Option<(Instant, bool)>>,
    /// When what was last logged, by API and code.
    logged: Mutex<BTreeMap<(&'static str, String), Instant>>,
}

const CONNECT: Duration = Duration::from_secs(5);

/// Traces of some megabytes take a while.
const ATTEMPT: Duration = Duration::from_secs(30);

/// For how long credentials that do not work are left alone.
const LEFT_ALONE: Duration = Duration::from_secs(15);

/// How often the same trouble of one place is worth a line in the log.
const LOG_AGAIN: Duration = Duration::from_secs(60);

impl Account {
    /// Its credentials, and what clients are made of that use them.
    pub(super) async fn open(
        shared: &SdkConfig,
        account: &pipeline::Account,
        region: &str,
        endpoints: &Endpoints,
    ) -> (SdkConfig, Arc<Account>) {
        let mut of_sts = shared.clone().into_builder().region(Region::new(region.to_owned()));
        if let Some(url) = endpoint(endpoints.sts.as_ref(), region) {
            of_sts = of_sts.endpoint_url(url);
            // The grant comes before the environment.
            of_sts.insert_origin("endpoint_url", Origin::shared_config());
        }
        let of_sts = of_sts.build();
        let (role_arn, external_id) = (account.role_arn.clone(), account.external_id.clone());
        let role = aws::role(&of_sts, &Aws { region: None, role_arn, external_id }).await;
        let with_role = |config: SdkConfig| match &role {
            Some(provider) => config.into_builder().credentials_provider(provider.clone()).build(),
            None => config,
        };
        let sts = aws_sdk_sts::config::Builder::from(&with_role(of_sts)).timeout_config(timeouts());
        let opened = Account {
            expected: account.id.clone(),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            known: OnceLock::new(),
            asked: Mutex::default(),
        };
        (with_role(shared.clone()), Arc::new(opened))
    }

    /// Whose the credentials are. The question goes on when nobody waits for the answer: it may take longer than a stage waits.
    async fn id(&self) -> Result<String, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(known.clone());
        }
        let mut asked = self.ask();
        let found = match asked.wait_for(Option::is_some).await.ok().as_deref() {
            Some(Some((_, found))) => found.clone(),
            _ => Err(Failure::new(FailureKind::Temporary, "the question whose the credentials are broke off")),
        };
        found.map(|found| self.known.get_or_init(|| found).clone())
    }

    /// Asks, unless that goes on or failed just now.
    fn ask(&self) -> watch::Receiver<Option<Identified>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |asked: &&watch::Receiver<Option<Identified>>| match &*asked.borrow() {
            Some((at, found)) => found.is_ok() || at.elapsed() < LEFT_ALONE,
            None => asked.has_changed().is_ok(),
        };
        if let Some(asked) = asked.as_ref().filter(is_good) {
            return asked.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let (sts, expected) = (self.sts.clone(), self.expected.clone());
        tokio::spawn(async move {
            tokio::select! {
                // The grant is no more.
                () = sender.closed() => {}
                found = identify(&sts, expected.as_deref()) => {
                    sender.send_replace(Some((Instant::now(), found)));
                }
            }
        });
        *asked = Some(receiver.clone());
        receiver
    }
}

impl Place {
    pub(super) fn new(
        of: Arc<Account>,
        region: String,
        config: &SdkConfig,
        endpoints: &Endpoints,
        room: Arc<Semaphore>,
    ) -> Place {
        let config = config.clone().into_builder().region(Region::new(region.clone())).build();
        // Paces know better when to try again.
        let mut xray = aws_sdk_xray::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts());
        if let Some(url) = endpoint(endpoints.xray.as_ref(), &region) {
            xray = xray.endpoint_url(url);
        }
        let mut sfn = aws_sdk_sfn::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts());
        if let Some(url) = endpoint(endpoints.sfn.as_ref(), &region) {
            sfn = sfn.endpoint_url(url);
        }
        Place {
            of,
            region,
            xray: aws_sdk_xray::Client::from_conf(xray.build()),
            sfn: aws_sdk_sfn::Client::from_conf(sfn.build()),
            room,
            paces: Api::ALL.map(Pace::new),
            window: AtomicU64::new(LONGEST_WINDOW),
            elsewhere: tokio::sync::Mutex::default(),
            logged: Mutex::default(),
        }
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Whose the credentials are, as AWS says.
    pub(super) async fn account(&self) -> Result<String, Failure> {
        self.of.id().await
    }

    /// Whose they are, as the grant says.
    pub(super) fn expects(&self) -> Option<&str> {
        self.of.expected.as_deref()
    }

    /// What is found there, for `rayline validate`: whose credentials they are, and whether both services answer.
    pub(crate) async fn check(&self) -> Result<String, String> {
        let region = self.region.as_str();
        let account = self.account().await.map_err(|failure| {
            let who = self.expects().unwrap_or("at hand");
            format!("the account {who} in {region}: its credentials cannot be used: {failure}")
        })?;
        let (xray, sfn) = tokio::join!(self.try_xray(), self.try_sfn());
        let refused = |service, failure: Failure| {
            format!("{account} in {region}: {service} cannot be asked: {failure}; see what the role may do")
        };
        sfn.map_err(|failure| refused("Step Functions", failure))?;
        let elsewhere = xray.map_err(|failure| refused("X-Ray", failure))?;
        let traces = if elsewhere { "CloudWatch Logs (Transaction Search is on)" } else { "X-Ray" };
        Ok(format!("{account} in {region}: reachable, traces are in {traces}"))
    }

    pub(super) fn pace(&self, api: Api) -> &Pace {
        let [first, ..] = &self.paces;
        self.paces.iter().find(|pace| pace.api() == api).unwrap_or(first)
    }

    /// None as long as nobody knows whose account it is.
    pub(super) fn levels(&self) -> Vec<Level> {
        let Some(account) = self.of.known.get() else { return Vec::new() };
        let level = |pace: &Pace| Level {
            account: account.clone(),
            region: self.region.clone(),
            api: pace.api().name(),
            in_flight: pace.in_flight(),
            rate: pace.rate(),
            counts: pace.counts(),
        };
        // An API that was never called is not worth a line.
        self.paces
            .iter()
            .map(level)
            .filter(|level| level.in_flight > 0 || level.counts.iter().any(|n| *n > 0))
            .collect()
    }

    /// Says what went wrong, but not for every call.
    pub(super) fn log(&self, api: &'static str, failure: &Failure) {
        if matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid) {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let last = logged.get(&(api, failure.code.clone()));
        if last.is_some_and(|at| at.elapsed() < LOG_AGAIN) {
            return;
        }
        logged.insert((api, failure.code.clone()), Instant::now());
        let account = self.of.known.get().map_or("?", String::as_str);
        let region = self.region.as_str();
        match failure.kind {
            FailureKind::Refused => {
                tracing::error!(account, region, "{api} is refused: {failure}; see what the account's role may do");
            }
            _ => tracing::warn!(account, region, "{api} failed: {failure}"),
        }
    }
}

/// Asks STS whose the credentials are.
async fn identify(sts: &aws_sdk_sts::Client, expected: Option<&str>) -> Result<String, Failure> {
    let identity = sts.get_caller_identity().send().await.map_err(Failure::from);
    let found = identity.and_then(|identity| match (identity.account, expected) {
        (Some(found), Some(expected)) if found != expected => Err(Failure::new(
            FailureKind::Refused,
            format!("the credentials are of the account {found}, and the grant's `id` says {expected}"),
        )),
        (Some(found), _) => Ok(found),
        (None, _) => Err(Failure::new(FailureKind::Temporary, "STS does not say whose the credentials are")),
    });
    if let Err(failure) = &found {
        let who = expected.unwrap_or("at hand");
        let remedy = match failure.kind {
            FailureKind::Refused => "; see the account's `role_arn`, `external_id`, and the role's trust policy",
            _ => "",
        };
        tracing::error!("the credentials of the account {who} cannot be used: {failure}{remedy}");
    }
    found
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build()
}

fn endpoint(url: Option<&String>, region: &str) -> Option<String> {
    url.map(|url| url.replace("{region}", region))
}
