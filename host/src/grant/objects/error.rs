//! Why a call failed, and what the operator can do about it.

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no object of this key.
    #[error("there is no object `{0}`")]
    NotFound(String),
    /// It would fail again: a key that cannot be, damaged content. Names no address.
    #[error("{0}")]
    Permanent(String),
    /// The server refuses, and would again: the grant, the bucket or its policy must be changed. Says how.
    #[error("{0}")]
    Refused(String),
    /// The disk or the server, for now.
    #[error("{0}")]
    Failed(String),
}

/// What a client can be told that is refused, by the error code of S3.
const ADVICE: [(&[&str], &str); 5] = [
    (&["NoSuchBucket"], "correct the `url` of the grant, or make the bucket"),
    (
        &["AccessDenied", "AllAccessDisabled"],
        "allow this host's role s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject, \
         s3:AbortMultipartUpload on its objects, and where these are encrypted with a key of KMS also kms:Decrypt and \
         kms:GenerateDataKey; without s3:ListBucket an object that is not there is refused as well",
    ),
    (&["InvalidAccessKeyId", "SignatureDoesNotMatch"], "these credentials are of another server, or mistyped"),
    (
        &["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"],
        "the bucket is in another region: say which as `region` in the grant",
    ),
    (
        &[
            "KMS.NotFoundException",
            "KMS.DisabledException",
            "KMS.InvalidKeyUsageException",
            "KMS.KMSInvalidStateException",
        ],
        "correct the `kms_key_id` of the grant, or the key that the bucket has by default",
    ),
];

impl StoreError {
    /// What `object_store` says of a call for this key.
    pub(super) fn new(key: &str, error: object_store::Error) -> StoreError {
        let text = error.to_string();
        let code = between(&text, "<Code>", "</Code>");
        let code = match (code, &error) {
            (None, object_store::Error::PermissionDenied { .. }) => Some("AccessDenied"),
            (None, _) if text.contains("Received redirect") => Some("PermanentRedirect"),
            (code, _) => code,
        };
        let message = between(&text, "<Message>", "</Message>").unwrap_or("no reason given");
        if let Some((code, advice)) = code.and_then(advice) {
            return StoreError::Refused(format!("{code} ({message}): {advice}"));
        }
        match error {
            object_store::Error::NotFound { .. } => StoreError::NotFound(key.to_owned()),
            object_store::Error::Precondition { .. } => {
                StoreError::Failed(format!("the object `{key}` was replaced while it was read"))
            }
            object_store::Error::InvalidPath { source } => StoreError::Permanent(format!(
                "the store holds an object whose key cannot be read: {source}; rename it, or grant a prefix without it"
            )),
            _ => StoreError::Failed(code.map_or_else(|| text.clone(), |code| format!("{code} ({message})"))),
        }
    }

    /// The same, with the place in front of what is for the operator.
    pub(super) fn at(self, place: &str) -> StoreError {
        match self {
            StoreError::Refused(reason) => StoreError::Refused(format!("{place}: {reason}")),
            StoreError::Failed(reason) => StoreError::Failed(format!("{place}: {reason}")),
            other => other,
        }
    }
}

fn advice(code: &str) -> Option<(&str, &'static str)> {
    let (_, advice) = ADVICE.iter().find(|(codes, _)| codes.contains(&code))?;
    Some((code, advice))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &str, code: &str) -> String {
        format!(
            "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code><Message>why</Message></Error>"
        )
    }

    #[test]
    fn what_s3_answers_is_told_apart() {
        let generic = |text: String| object_store::Error::Generic { store: "S3", source: text.into() };
        let missing = |text: String| object_store::Error::NotFound { path: "k".to_owned(), source: text.into() };
        let denied = |text: String| object_store::Error::PermissionDenied { path: "k".to_owned(), source: text.into() };
        let cases = [
            (missing(answer("404 Not Found", "NoSuchKey")), "NotFound(\"k\")"),
            (
                missing(answer("404 Not Found", "NoSuchBucket")),
                "Refused(\"s3://b: NoSuchBucket (why): correct the `url`",
            ),
            (denied(answer("403 Forbidden", "AccessDenied")), "Refused(\"s3://b: AccessDenied (why): allow this host"),
            (denied(String::new()), "Refused(\"s3://b: AccessDenied (no reason given): allow this host"),
            (denied(answer("403 Forbidden", "ExpiredToken")), "Failed(\"s3://b: ExpiredToken (why)"),
            (generic(answer("503 Service Unavailable", "SlowDown")), "Failed(\"s3://b: SlowDown (why)"),
            (
                generic(answer("301 Moved Permanently", "PermanentRedirect")),
                "Refused(\"s3://b: PermanentRedirect (why): the",
            ),
            (
                generic("Received redirect without LOCATION".to_owned()),
                "Refused(\"s3://b: PermanentRedirect (no reason",
            ),
            (
                generic(answer("400 Bad Request", "KMS.DisabledException")),
                "Refused(\"s3://b: KMS.DisabledException (why): ",
            ),
            (generic("connection refused".to_owned()), "Failed(\"s3://b: Generic S3 error: connection refused"),
        ];
        for (error, expected) in cases {
            let shown = format!("{:?}", StoreError::new("k", error).at("s3://b"));
            assert!(shown.starts_with(expected), "{shown}\nis not\n{expected}");
        }
    }
}
