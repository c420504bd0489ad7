//! A bucket of Amazon S3, or of what speaks like it, from a prefix on.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use http::Uri;
use object_store::aws::{AmazonS3, AmazonS3Builder, resolve_bucket_region};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, RetryConfig};

use super::credentials::Credentials;
use super::{Object, StoreError};
use crate::grant::aws;
use crate::pipeline::{ObjectsGrant, S3Grant};

/// A bucket from a prefix on. Clones share connections and credentials.
#[derive(Clone)]
pub(super) struct Bucket {
    client: AmazonS3,
    /// What every key begins with: empty, or with a `/` at its end.
    prefix: Arc<str>,
    /// The grant's address: for the operator.
    place: Arc<str>,
}

/// Some bytes of an object.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub bytes: Bytes,
    /// Of the whole object.
    pub size: u64,
    /// Which state of the object they are of.
    pub etag: Option<String>,
}

/// How many keys S3 lists at most at once.
const PAGE: usize = 1000;

/// A connection that is not there by then is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one request with its answer. None moves more than a part of an upload or download.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Bucket {
    /// A client of the bucket. No request is made, unless the bucket's region has to be found out.
    pub(super) async fn open(grant: &S3Grant) -> Result<Bucket, StoreError> {
        let place = ObjectsGrant::S3(grant.clone()).to_string();
        let client = client(grant).await.map_err(|error| StoreError::new("", error).at(&place))?;
        let prefix = if grant.prefix.is_empty() { String::new() } else { format!("{}/", grant.prefix) };
        Ok(Bucket { client, prefix: prefix.into(), place: place.into() })
    }

    pub(super) fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.client.clone())
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A key as the bucket has it.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// At most `max` objects whose keys begin with `prefix` and come after `start_after`. S3 lists in byte order.
    ///
    /// Objects without a byte are left out: consoles make them, with a `/` at the end of the key, to show a folder, and
    /// `object_store` does not tell these from others.
    ///
    /// # Errors
    ///
    /// S3 fails, or there are keys that cannot be read.
    pub(super) async fn list(&self, prefix: &str, start_after: &str, max: usize) -> Result<Vec<Object>, StoreError> {
        let prefix = self.key(prefix);
        if prefix.starts_with('/') || (prefix.is_empty() && start_after.is_empty()) {
            self.none_begins_with_slash().await?;
        }
        let mut options = PaginatedListOptions {
            offset: (!start_after.is_empty()).then(|| self.key(start_after)),
            ..PaginatedListOptions::default()
        };
        let mut found = Vec::new();
        while found.len() < max {
            options.max_keys = Some(PAGE.min(max - found.len()));
            let prefix = (!prefix.is_empty()).then_some(prefix.as_str());
            let page = self.client.list_paginated(prefix, options.clone()).await;
            let page = page.map_err(|error| StoreError::new("", error).at(&self.place))?;
            found.extend(page.result.objects.into_iter().filter_map(|meta| self.object(meta)));
            let Some(token) = page.page_token else { break };
            options = PaginatedListOptions { page_token: Some(token), ..PaginatedListOptions::default() };
        }
        Ok(found)
    }

    /// `object_store` takes the `/` from the beginning of a key, which then is another object's or nobody's. Such keys are
    /// an error, for they would be passed over without a word.
    async fn none_begins_with_slash(&self) -> Result<(), StoreError> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let page = self.client.list_paginated(Some("/"), options).await;
        let page = page.map_err(|error| StoreError::new("", error).at(&self.place))?;
        match page.result.objects.first() {
            None => Ok(()),
            Some(first) => Err(StoreError::Permanent(format!(
                "the store holds objects whose keys begin with `/`, like `/{}`, which cannot be read: copy them to keys \
                 without it and delete them, or grant a prefix, or give one to the stage",
                first.location
            ))),
        }
    }

    fn object(&self, meta: ObjectMeta) -> Option<Object> {
        let key = meta.location.as_ref().strip_prefix(self.prefix.as_ref()).filter(|_| meta.size > 0)?.to_owned();
        let nanos = meta.last_modified.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
        Some(Object { key, size: meta.size, modified: nanos.unwrap_or(0) })
    }

    /// Bytes of an object in this range, as far as it has them; with `etag`, only if it is still in that state.
    pub(super) async fn part(
        &self,
        path: &Path,
        range: Range<u64>,
        etag: Option<String>,
    ) -> Result<Part, object_store::Error> {
        let is_first = range.start == 0;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match: etag, ..GetOptions::default() };
        let object = match self.client.get_opts(path, options).await {
            Ok(object) => object,
            // An object without a byte has no range.
            Err(error) if is_first && error.to_string().contains("InvalidRange") => {
                return Ok(Part { bytes: Bytes::new(), size: 0, etag: None });
            }
            Err(error) => return Err(error),
        };
        let (size, etag) = (object.meta.size, object.meta.e_tag.clone());
        Ok(Part { bytes: object.bytes().await?, size, etag })
    }
}

async fn client(grant: &S3Grant) -> object_store::Result<AmazonS3> {
    let config = aws::config(&grant.aws).await;
    let endpoint = grant.endpoint_url.clone().or_else(|| configured_endpoint(&config));
    let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    let region = match config.region() {
        Some(region) => region.to_string(),
        // A server that is not Amazon's wants one in the signature, whichever.
        None if endpoint.is_some() => "us-east-1".to_owned(),
        None => resolve_bucket_region(&grant.bucket, &options).await?,
    };
    let is_path_style = grant.path_style || !can_be_host(&grant.bucket, endpoint.as_deref());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&grant.bucket)
        .with_region(region)
        .with_credentials(Arc::new(Credentials::new(&config)))
        .with_virtual_hosted_style_request(!is_path_style)
        // After these the stage's own `retry` goes on.
        .with_retry(RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() })
        .with_client_options(options);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(match endpoint.split_once("://") {
            Some((scheme, host)) if !is_path_style => format!("{scheme}://{}.{host}", grant.bucket),
            _ => endpoint,
        });
    }
    if let Some(key) = &grant.kms_key_id {
        builder = builder.with_sse_kms_encryption(key);
    }
    builder.build()
}

/// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or what the profile says.
fn configured_endpoint(config: &SdkConfig) -> Option<String> {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let own = config.service_config().and_then(|service| service.load_config(key));
    let endpoint = own.or_else(|| config.endpoint_url().map(str::to_owned))?;
    Some(endpoint.trim_end_matches('/').to_owned())
}

/// Whether `BUCKET.HOST` can be the server's name: a bucket's name with a dot breaks the certificate, with capitals or
/// underscores it is no name, and neither an IP address nor the short name of a machine has subdomains.
fn can_be_host(bucket: &str, endpoint: Option<&str>) -> bool {
    let is_label = bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let host = endpoint.and_then(|endpoint| endpoint.parse::<Uri>().ok()?.host().map(str::to_owned));
    let has_subdomains = |host: &str| {
        let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
        !is_address && host.contains('.')
    };
    is_label && host.is_none_or(|host| has_subdomains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_part_of_the_host_where_it_can_be() {
        let cases = [
            ("logs", None, true),
            ("acme.logs", None, false),
            ("Acme_logs", None, false),
            ("logs", Some("https://s3.example.com"), true),
            ("logs", Some("https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com:443"), true),
            ("logs", Some("http://127.0.0.1:5000"), false),
            ("logs", Some("http://[::1]:5000"), false),
            ("logs", Some("http://minio:9000"), false),
        ];
        for (bucket, endpoint, expected) in cases {
            assert_eq!(can_be_host(bucket, endpoint), expected, "{bucket} {endpoint:?}");
        }
    }
}
