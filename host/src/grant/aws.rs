//! Credentials and regions for every grant that speaks to AWS.
//!
//! Credentials come from where aws-config looks (environment, profile, SSO, web identity, ECS, IMDS) and are refreshed by
//! it. With a `role_arn`, they are used to assume that role, which is refreshed likewise. `AWS_ENDPOINT_URL_STS` and the
//! like are honoured.

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder, tls};

use crate::pipeline::Aws;

/// What an AWS client is made of. Credentials are looked for when the first call needs them.
pub async fn config(grant: &Aws) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &grant.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    match role(&config, grant).await {
        Some(provider) => config.into_builder().credentials_provider(provider).build(),
        None => config,
    }
}

/// What the clients of many accounts are made of: one look for the credentials at hand, one set of connections. As it
/// comes, each client has connections and root certificates of its own.
pub(super) async fn shared() -> SdkConfig {
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await
}

/// The role that the grant names, assumed with the credentials of `config`.
pub(super) async fn role(config: &SdkConfig, grant: &Aws) -> Option<SharedCredentialsProvider> {
    let role = grant.role_arn.as_ref()?;
    let mut provider = AssumeRoleProvider::builder(role).session_name("rayline").configure(config);
    if let Some(id) = &grant.external_id {
        provider = provider.external_id(id);
    }
    Some(SharedCredentialsProvider::new(provider.build().await))
}
