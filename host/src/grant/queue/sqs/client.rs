//! Calls to SQS, by tens.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::failure::{Failure, FailureKind};
use crate::grant::aws;
use crate::grant::queue::QueueError;
use crate::pipeline::SqsGrant;

/// One queue.
pub(super) struct Client {
    sdk: aws_sdk_sqs::Client,
    url: String,
}

/// How many entries a batch has at most.
pub(super) const BATCH: usize = 10;

/// Longer than the longest poll.
const ATTEMPT: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 4;

/// How long SQS waits for a first message. The host's end waits as long: a poll that is broken off can still take messages,
/// which nobody then has until their time is over.
const POLL_SECS: i32 = 5;

/// Waits before the entries of a batch that failed for the time being are tried again.
const AGAIN: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

impl Client {
    /// Credentials are looked for with the first call.
    pub(super) async fn new(grant: &SqsGrant) -> Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let config = aws_sdk_sqs::config::Builder::from(&aws::config(&grant.aws).await)
            .endpoint_url(&grant.endpoint)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .build();
        Client { sdk: aws_sdk_sqs::Client::from_conf(config), url: grant.url.clone() }
    }

    /// Waits a while for messages, at most ten.
    pub(super) async fn receive(&self, messages: usize, visibility: Duration) -> Result<Vec<Message>, Failure> {
        let output = self
            .sdk
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(whole(messages.min(BATCH) as u64))
            .visibility_timeout(whole(visibility.as_secs()))
            .wait_time_seconds(POLL_SECS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await?;
        Ok(output.messages.unwrap_or_default())
    }

    pub(super) async fn attributes(
        &self,
        names: &[QueueAttributeName],
    ) -> Result<HashMap<QueueAttributeName, String>, Failure> {
        let call = self.sdk.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        Ok(call.send().await?.attributes.unwrap_or_default())
    }

    /// Deletes at most ten messages; returns those that failed.
    pub(super) async fn delete(&self, receipts: Vec<String>) -> Vec<(usize, Failure)> {
        each(receipts, |batch| {
            let call = self.sdk.delete_message_batch().queue_url(&self.url);
            async move {
                let entry = |(index, receipt): (usize, String)| {
                    DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt).build()
                };
                let entries = batch.into_iter().map(entry).collect::<Result<Vec<_>, BuildError>>()?;
                Ok(call.set_entries(Some(entries)).send().await?.failed)
            }
        })
        .await
    }

    /// Makes at most ten messages visible in so many seconds; returns those that failed.
    pub(super) async fn change_visibility(&self, receipts: Vec<(String, u64)>) -> Vec<(usize, Failure)> {
        each(receipts, |batch| {
            let call = self.sdk.change_message_visibility_batch().queue_url(&self.url);
            async move {
                let entry = |(index, (receipt, secs)): (usize, (String, u64))| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(index.to_string())
                        .receipt_handle(receipt)
                        .visibility_timeout(whole(secs))
                        .build()
                };
                let entries = batch.into_iter().map(entry).collect::<Result<Vec<_>, BuildError>>()?;
                Ok(call.set_entries(Some(entries)).send().await?.failed)
            }
        })
        .await
    }

    /// Sends at most ten messages; returns those that failed.
    pub(super) async fn send(&self, messages: Vec<SendMessageBatchRequestEntry>) -> Vec<(usize, Failure)> {
        each(messages, |batch| {
            let call = self.sdk.send_message_batch().queue_url(&self.url);
            async move {
                let entry = |(index, mut message): (usize, SendMessageBatchRequestEntry)| {
                    message.id = index.to_string();
                    message
                };
                let entries = batch.into_iter().map(entry).collect();
                Ok(call.set_entries(Some(entries)).send().await?.failed)
            }
        })
        .await
    }

    /// The failure of a call as a whole.
    pub(super) fn error(&self, failure: Failure) -> QueueError {
        let (queue, reason) = (self.url.clone(), failure.reason);
        match failure.kind {
            FailureKind::Temporary => QueueError::Failed { queue, reason },
            FailureKind::Refused | FailureKind::Invalid => {
                let remedy = "see that the queue is there, and that its policy and the role's policy allow this";
                QueueError::Refused { queue, reason: format!("{reason}; {remedy}") }
            }
        }
    }
}

/// Makes a call for some entries with their indices; returns those that failed. An entry that failed for the time being is
/// tried again, a few times; a batch that is refused because of one of its entries is sent entry by entry.
async fn each<T: Clone, F>(entries: Vec<T>, call: impl Fn(Vec<(usize, T)>) -> F) -> Vec<(usize, Failure)>
where
    F: Future<Output = Result<Vec<BatchResultErrorEntry>, Failure>>,
{
    let mut failed: Vec<(usize, Failure)> = Vec::new();
    let mut batches: Vec<Vec<(usize, T)>> = vec![entries.into_iter().enumerate().collect()];
    let mut waits = AGAIN.into_iter();
    while !batches.is_empty() {
        let mut again = Vec::new();
        for batch in std::mem::take(&mut batches) {
            match call(batch.clone()).await {
                Ok(errors) => {
                    for error in errors {
                        let failure = Failure::of_entry(&error);
                        let entry = batch.iter().find(|(index, _)| error.id() == index.to_string());
                        match entry {
                            Some(entry) if failure.kind == FailureKind::Temporary && waits.len() > 0 => {
                                again.push(entry.clone());
                            }
                            entry => failed.extend(entry.map(|(index, _)| (*index, failure))),
                        }
                    }
                }
                Err(failure) if failure.kind == FailureKind::Invalid && batch.len() > 1 => {
                    batches.extend(batch.into_iter().map(|entry| vec![entry]));
                }
                // The SDK has tried again already.
                Err(failure) => failed.extend(batch.iter().map(|(index, _)| (*index, failure.clone()))),
            }
        }
        if !again.is_empty() {
            tokio::time::sleep(waits.next().unwrap_or_default()).await;
            batches.push(again);
        }
    }
    failed
}

/// SQS's numbers are small.
fn whole(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn entry_error(id: usize, code: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id.to_string()).code(code).sender_fault(sender_fault).build().unwrap()
    }

    fn indices(failed: &[(usize, Failure)]) -> Vec<usize> {
        failed.iter().map(|(index, _)| *index).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_failed_for_the_time_being_are_tried_again_alone() {
        let calls = RefCell::new(Vec::new());
        let failed = each(vec!["a", "b", "c"], |batch| {
            calls.borrow_mut().push(batch.iter().map(|(_, entry)| *entry).collect::<String>());
            let errors = batch.iter().filter_map(|(index, entry)| match *entry {
                "a" if calls.borrow().len() == 1 => Some(entry_error(*index, "InternalError", false)),
                "b" => Some(entry_error(*index, "InvalidMessageContents", true)),
                _ => None,
            });
            std::future::ready(Ok(errors.collect()))
        })
        .await;
        assert_eq!(calls.into_inner(), ["abc", "a"]);
        assert_eq!(indices(&failed), [1]);
    }

    #[tokio::test]
    async fn a_batch_refused_for_one_entry_is_sent_entry_by_entry() {
        let failed = each(vec!["good", "bad", "good"], |batch| {
            let is_bad = batch.iter().any(|(_, entry)| *entry == "bad");
            std::future::ready(if is_bad { Err(Failure::invalid("bad")) } else { Ok(Vec::new()) })
        })
        .await;
        assert_eq!(indices(&failed), [1]);
    }
}
