//! Credentials and regions for every grant that speaks to AWS.
//!
//! Credentials come from where aws-config looks (environment, profile, SSO, web identity, ECS, IMDS) and are refreshed by
//! it. With a `role_arn`, they are used to assume that role, which is refreshed likewise. `AWS_ENDPOINT_URL_STS` and the
//! like are honoured.

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::pipeline::Aws;

/// What an AWS client is made of. Credentials are looked for when the first call needs them.
pub async fn config(grant: &Aws) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &grant.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    let Some(role) = &grant.role_arn else { return config };
    let mut provider = AssumeRoleProvider::builder(role).session_name("rayline").configure(&config);
    if let Some(id) = &grant.external_id {
        provider = provider.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.into_builder().credentials_provider(provider).build()
}
