//! Bodies that are too large for a queue: in a bucket, with a pointer in the message, as the SQS extended clients have it.
//!
//! Anybody who may send can send any pointer. **Only what lies below the grant's own prefix is fetched.** Nobody here
//! deletes a payload: other readers of the message may need it, and the bucket's lifecycle rule knows when it is old.

use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use crate::event::digest;
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
    /// It points to this.
    Stored(Stored),
    /// It pointed to this.
    Fetched(Vec<u8>),
    /// It points to what is not fetched, and why.
    Unresolved(String),
    /// It points to what cannot be fetched for the time being.
    Later(String),
}

/// A payload that can be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    key: String,
    /// No more than [`MAX_BYTES`].
    pub(super) bytes: usize,
}

/// The attribute of a message with a pointer: the payload's size in bytes.
pub(super) const SIZE_ATTRIBUTE: &str = "ExtendedPayloadSize";

/// What the attribute was called before.
pub(super) const OLD_SIZE_ATTRIBUTE: &str = "SQSLargePayloadSize";

const POINTER: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// What the pointer was called before.
const OLD_POINTER: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// Larger payloads are not fetched, and so not stored: they would fill the memory.
pub(super) const MAX_BYTES: usize = 64 << 20;

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
        let failed = |error: StoreError| {
            let (queue, reason) = (queue.url.clone(), error.to_string());
            match error {
                StoreError::Failed(_) => QueueError::Failed { queue, reason },
                _ => QueueError::Refused { queue, reason },
            }
        };
        let store = Store::open(&ObjectsGrant::S3(grant)).await.map_err(failed)?;
        if prefix.is_empty() {
            tracing::warn!(
                queue = queue.url,
                "`claim_check` is the whole bucket {bucket}: whoever may send to the queue can have any object in it read; \
                 write a prefix (`s3://{bucket}/payloads`), or keep nothing else in the bucket"
            );
        }
        Ok(ClaimCheck { store, bucket, prefix })
    }

    /// Stores a payload; returns the body of the message that points to it. The same payload is stored once.
    pub(super) async fn put(&self, payload: Vec<u8>) -> Result<String, Failure> {
        if payload.len() > MAX_BYTES {
            let bytes = payload.len();
            return Err(Failure::invalid(format!(
                "the message has {bytes} bytes, and readers follow no pointer to more than {MAX_BYTES}"
            )));
        }
        let key = digest(&payload);
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

    async fn look(&self, key: &str) -> Payload {
        match self.store.size(key).await {
            Ok(bytes) => match usize::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_BYTES) {
                Some(bytes) => Payload::Stored(Stored { key: key.to_owned(), bytes }),
                None => {
                    Payload::Unresolved(format!("its payload has {bytes} bytes, and no more than {MAX_BYTES} are read"))
                }
            },
            Err(error) => Payload::failed(error),
        }
    }

    /// Fetches a payload, byte for byte as it was stored.
    pub(super) async fn fetch(&self, stored: &Stored) -> Payload {
        let content = async {
            let mut download = self.store.open_stored(&stored.key).await?;
            let mut content = Vec::with_capacity(stored.bytes);
            loop {
                let bytes = download.read(1 << 20).await?;
                if bytes.is_empty() {
                    return Ok(content);
                }
                if content.len() + bytes.len() > stored.bytes {
                    return Err(StoreError::Failed(format!("the object `{}` was replaced", stored.key)));
                }
                content.extend_from_slice(&bytes);
            }
        };
        content.await.map_or_else(Payload::failed, Payload::Fetched)
    }
}

impl Payload {
    fn failed(error: StoreError) -> Payload {
        match error {
            StoreError::NotFound(_) => Payload::Unresolved("its payload is not in the bucket any more".to_owned()),
            StoreError::Permanent(reason) => Payload::Unresolved(reason),
            StoreError::Refused(reason) | StoreError::Failed(reason) => Payload::Later(reason),
        }
    }
}

/// Looks where the body's pointer points to, if it is one.
pub(super) async fn look(claim_check: Option<&ClaimCheck>, body: &str) -> Payload {
    let Some(pointer) = pointer(body) else { return Payload::Inline };
    match claim_check.and_then(|claim_check| Some((claim_check, claim_check.own(&pointer)?))) {
        Some((claim_check, key)) => claim_check.look(key).await,
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
        assert!(matches!(look(None, &body).await, Payload::Unresolved(_)));
        assert_eq!(look(None, "{}").await, Payload::Inline);
    }
}
