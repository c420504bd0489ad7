//! Bodies that are too large for a queue: in a bucket, with a pointer in the message, as the SQS extended clients have it.
//!
//! Anybody who may send can send any pointer. **Only what lies below the grant's own prefix is fetched.** Nobody here
//! deletes a payload: other readers of the message may need it, and the bucket's lifecycle rule knows when it is old.

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use crate::grant::objects::{Store, StoreError};
use crate::grant::queue::QueueError;
use crate::pipeline::{ObjectsGrant, S3Grant, SqsGrant};

/// Where the payloads of one grant are.
pub(super) struct ClaimCheck {
    store: Store,
    bucket: String,
    /// With its `/`, or empty.
    prefix: String,
}

/// What a message's body says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// It is the payload.
    Inline,
    /// It pointed to this.
    Fetched(Vec<u8>),
    /// It points to what is not fetched, and why.
    Unresolved(String),
    /// It points to what cannot be fetched for the time being.
    Later(String),
}

/// The attribute of a message with a pointer: the payload's size in bytes.
pub(super) const SIZE_ATTRIBUTE: &str = "ExtendedPayloadSize";

/// What the attribute was called before.
pub(super) const OLD_SIZE_ATTRIBUTE: &str = "SQSLargePayloadSize";

const POINTER: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// What the pointer was called before.
const OLD_POINTER: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// Larger payloads are not fetched: they would fill the memory.
const MAX_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Pointer {
    #[serde(rename = "s3BucketName")]
    bucket: String,
    #[serde(rename = "s3Key")]
    key: String,
}

impl ClaimCheck {
    /// Opens the store of a queue's payloads.
    pub(super) async fn open(grant: S3Grant, queue: &SqsGrant) -> Result<ClaimCheck, QueueError> {
        let (bucket, mut prefix) = (grant.bucket.clone(), grant.prefix.clone());
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let failed = |error: StoreError| QueueError::Failed { queue: queue.url.clone(), reason: error.to_string() };
        let store = Store::open(&ObjectsGrant::S3(grant)).await.map_err(failed)?;
        Ok(ClaimCheck { store, bucket, prefix })
    }

    /// Stores a payload; returns the body of the message that points to it. The same payload is stored once.
    pub(super) async fn put(&self, payload: Vec<u8>) -> Result<String, Failure> {
        let key: String = Sha256::digest(&payload).iter().map(|byte| format!("{byte:02x}")).collect();
        let pointer = json!([POINTER, { "s3BucketName": self.bucket, "s3Key": format!("{}{key}", self.prefix) }]);
        match self.store.put(&key, payload).await {
            Ok(()) => Ok(pointer.to_string()),
            Err(error) => {
                tracing::warn!("cannot write to the claim check's bucket: {error}");
                Err(Failure::temporary(error.to_string()))
            }
        }
    }

    /// The key below the prefix, of a pointer that is ours to follow.
    fn own<'p>(&self, pointer: &'p Pointer) -> Option<&'p str> {
        let key = pointer.key.strip_prefix(&self.prefix).filter(|key| !key.is_empty())?;
        (pointer.bucket == self.bucket).then_some(key)
    }

    async fn get(&self, key: &str) -> Payload {
        let content = async {
            let mut download = self.store.open_object(key).await?;
            let mut content = Vec::new();
            loop {
                let bytes = download.read(1 << 20).await?;
                if bytes.is_empty() {
                    return Ok(content);
                }
                content.extend_from_slice(&bytes);
                if content.len() > MAX_BYTES {
                    return Err(StoreError::Permanent(format!("its payload has more than {MAX_BYTES} bytes")));
                }
            }
        };
        match content.await {
            Ok(content) => Payload::Fetched(content),
            Err(StoreError::NotFound(_)) => Payload::Unresolved("its payload is not in the bucket any more".to_owned()),
            Err(StoreError::Permanent(reason)) => Payload::Unresolved(reason),
            Err(StoreError::Refused(reason) | StoreError::Failed(reason)) => Payload::Later(reason),
        }
    }
}

/// Follows the body's pointer, if it is one.
pub(super) async fn resolve(claim_check: Option<&ClaimCheck>, body: &str) -> Payload {
    let Some(pointer) = pointer(body) else { return Payload::Inline };
    match claim_check.and_then(|claim_check| Some((claim_check, claim_check.own(&pointer)?))) {
        Some((claim_check, key)) => claim_check.get(key).await,
        None => Payload::Unresolved("its payload is not where the queue's grant has its claim_check".to_owned()),
    }
}

fn pointer(body: &str) -> Option<Pointer> {
    // Most bodies are told by this, without being parsed.
    let body = body.trim_start();
    if !body.starts_with('[') || !(body.contains(POINTER) || body.contains(OLD_POINTER)) {
        return None;
    }
    let (class, pointer): (String, Pointer) = serde_json::from_str(body).ok()?;
    (class == POINTER || class == OLD_POINTER).then_some(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &str) -> Option<(String, String)> {
        pointer(body).map(|pointer| (pointer.bucket, pointer.key))
    }

    #[test]
    fn pointers_of_every_client() {
        for class in [POINTER, OLD_POINTER] {
            let body = format!(r#"["{class}", {{"s3BucketName":"b","s3Key":"k/1"}}]"#);
            assert_eq!(parts(&body), Some(("b".to_owned(), "k/1".to_owned())));
        }
        for body in [
            "{}",
            "[]",
            r#"["other",{"s3BucketName":"b","s3Key":"k"}]"#,
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer"]"#,
            r#"[{"trace":"software.amazon.payloadoffloading.PayloadS3Pointer"}]"#,
        ] {
            assert_eq!(parts(body), None, "{body}");
        }
    }

    #[tokio::test]
    async fn without_a_claim_check_no_pointer_is_followed() {
        let body = format!(r#"["{POINTER}",{{"s3BucketName":"b","s3Key":"k"}}]"#);
        assert!(matches!(resolve(None, &body).await, Payload::Unresolved(_)));
        assert_eq!(resolve(None, "{}").await, Payload::Inline);
    }
}
