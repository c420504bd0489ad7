//! What a request carries to prove who the host is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::HeaderValue;
use reqwest::Url;

use super::error::HttpError;
use super::sigv4::Signer;
use crate::pipeline::Auth;

/// What proves who the host is, ready to be sent.
pub(super) enum Proof {
    None,
    /// The value of `authorization`.
    Header(HeaderValue),
    Signature(Box<Signer>),
}

impl Proof {
    /// # Errors
    ///
    /// A secret holds what no header can have; AWS credentials or a region are missing.
    pub(super) async fn open(auth: &Auth, servers: &[Url]) -> Result<Proof, HttpError> {
        match auth {
            Auth::None => Ok(Proof::None),
            Auth::Basic { user, password } => {
                let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
                header("basic", format!("Basic {encoded}"))
            }
            Auth::ApiKey(key) => header("api_key", format!("ApiKey {}", key.expose())),
            Auth::Bearer(token) => header("bearer", format!("Bearer {}", token.expose())),
            Auth::Aws { service, aws } => Ok(Proof::Signature(Box::new(Signer::open(service, aws, servers).await?))),
        }
    }
}

fn header(name: &str, value: String) -> Result<Proof, HttpError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        let what = format!("`auth.{name}` holds a character that no header can have");
        HttpError::permanent(what, "is there a line end in it?")
    })?;
    value.set_sensitive(true);
    Ok(Proof::Header(value))
}
