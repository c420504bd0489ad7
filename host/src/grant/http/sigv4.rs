//! AWS Signature Version 4.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use tokio::sync::Mutex;

use super::error::HttpError;
use crate::grant::aws;
use crate::pipeline::Aws;

/// Credentials are asked for anew so long before they expire.
const MARGIN: Duration = Duration::from_secs(60);

/// Signs requests to one service in one region.
pub(super) struct Signer {
    service: String,
    region: String,
    provider: SharedCredentialsProvider,
    /// The last credentials.
    held: Mutex<Option<Credentials>>,
}

impl Signer {
    /// Finds region and credentials; the latter are asked for when the first request is signed.
    ///
    /// # Errors
    ///
    /// There is no region, or nothing that could give credentials.
    pub(super) async fn open(service: &str, grant: &Aws, servers: &[Url]) -> Result<Signer, HttpError> {
        let region = grant.region.clone().or_else(|| servers.iter().find_map(|server| region_of(server, service)));
        let config = aws::config(&Aws { region, ..grant.clone() }).await;
        let missing = |what: &str, advice: &str| HttpError::permanent(what, advice);
        let region = config.region().map(ToString::to_string).ok_or_else(|| {
            missing("there is no AWS region", "write `region` beside `aws`, or set AWS_REGION in the environment")
        })?;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| missing("there are no AWS credentials", "none of the places where they can be is set up"))?;
        Ok(Signer::new(service, &region, provider))
    }

    pub(super) fn new(service: &str, region: &str, provider: SharedCredentialsProvider) -> Signer {
        Signer { service: service.to_owned(), region: region.to_owned(), provider, held: Mutex::new(None) }
    }

    /// Credentials that are good for some time.
    ///
    /// # Errors
    ///
    /// There are none to be had.
    pub(super) async fn credentials(&self) -> Result<Credentials, HttpError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(credentials) = held.as_ref().filter(|held| lasts(held, now + MARGIN)) {
            return Ok(credentials.clone());
        }
        match self.provider.provide_credentials().await {
            Ok(credentials) => Ok(held.insert(credentials).clone()),
            Err(error) => {
                let detail = format!("{}: {}", error, chain(&error));
                match held.as_ref().filter(|held| lasts(held, now)) {
                    Some(credentials) => {
                        tracing::warn!("new AWS credentials are not to be had yet: {detail}");
                        Ok(credentials.clone())
                    }
                    None => Err(HttpError::temporary("there are no AWS credentials", detail)),
                }
            }
        }
    }

    /// The server did not take these.
    pub(super) async fn forget(&self, refused: &Credentials) {
        let mut held = self.held.lock().await;
        if held.as_ref() == Some(refused) {
            *held = None;
        }
    }

    /// Adds the headers that sign the request.
    ///
    /// # Errors
    ///
    /// The request has something that cannot be signed.
    pub(super) fn sign(
        &self,
        credentials: Credentials,
        time: SystemTime,
        method: &str,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), HttpError> {
        let refuse = |why: String| HttpError::permanent("the request cannot be signed", why);
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(time)
            .settings(settings(&self.service))
            .build()
            .map_err(|error| refuse(error.to_string()))?
            .into();
        let mut signed = Vec::with_capacity(headers.len());
        for (name, value) in headers.iter() {
            let value = value.to_str().map_err(|_| refuse(format!("the header `{name}` is not ASCII")))?;
            signed.push((name.as_str(), value));
        }
        let request = SignableRequest::new(method, url.as_str(), signed.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| refuse(error.to_string()))?;
        let (instructions, _) = sign(request, &params).map_err(|error| refuse(error.to_string()))?.into_parts();
        for header in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).map_err(|error| refuse(error.to_string()))?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

/// Whether an answer says that the credentials are no longer good, rather than not allowed to do this.
pub(super) fn are_expired(status: u16, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).to_lowercase();
    matches!(status, 400 | 401 | 403)
        && ["security token", "expiredtoken", "unrecognizedclient"].iter().any(|sign| text.contains(sign))
}

/// Each service but S3 encodes the path once more before it checks. S3 and the serverless OpenSearch want the hash of
/// the body as a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if matches!(service, "s3" | "aoss") {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

/// `eu-west-1` of `search-x.eu-west-1.es.amazonaws.com`, where the service is `es`.
fn region_of(server: &Url, service: &str) -> Option<String> {
    let name = server.host_str()?.strip_suffix(".amazonaws.com")?.strip_suffix(service)?.strip_suffix('.')?;
    name.rsplit_once('.').map(|(_, region)| region.to_owned())
}

fn lasts(credentials: &Credentials, until: SystemTime) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > until)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
