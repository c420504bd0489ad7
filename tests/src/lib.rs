//! Every test of the project, in one binary. The table of contents:

#![forbid(unsafe_code)]

/// The specification of the documents as a plain, slow program.
#[cfg(test)]
mod reference;

/// An index that takes external versions, as Elasticsearch does.
#[cfg(test)]
mod model;

/// What `flatten` makes of messages.
#[cfg(test)]
mod flatten;

/// Every error of a pipeline file and its remedy.
#[cfg(test)]
mod validate;

/// What must hold of the host's own source text.
#[cfg(test)]
mod sources;

/// Runs the real host, in a folder of its own for each test.
#[cfg(test)]
mod harness;

/// Real servers: Elasticsearch, OpenSearch, SQS, S3.
#[cfg(test)]
mod servers;

/// The main job: queue to archive and documents, and the archive replayed.
#[cfg(test)]
mod e2e;

/// `kill -9` at each point where something is half done.
#[cfg(test)]
mod kill;

/// Stages that misbehave.
#[cfg(test)]
mod guests;

/// A user's stage between two of ours; one stage in three languages; stages that were built long ago.
#[cfg(test)]
mod swap;

/// Where credentials of AWS come from.
#[cfg(test)]
mod credentials;

/// Queues on SQS.
#[cfg(test)]
mod queues;

/// `rayline replay`.
#[cfg(test)]
mod replay;

/// `rayline dead-letter`.
#[cfg(test)]
mod letters;

/// Objects on S3: archive and replay, dead letters, credentials, errors, what `validate` finds.
#[cfg(test)]
mod buckets;

/// The log account: SQS to S3 and OpenSearch, replays, `kill -9`, a cluster that is away.
#[cfg(test)]
mod central;

/// Collection: X-Ray and Step Functions of several accounts to the queue of the log account.
#[cfg(test)]
mod collect;

/// The other commands, signals, exit codes, logs, metrics.
#[cfg(test)]
mod commands;

/// The pipelines that are shipped, and every command of the README.
#[cfg(test)]
mod readme;

/// `rayline setup kibana`: the saved objects, their import, the search behind each chart.
#[cfg(test)]
mod kibana;

/// `elasticsearch-sink` against real servers, and one that answers as none does.
#[cfg(test)]
mod elasticsearch;

/// `rayline setup elasticsearch` and `rayline prune`.
#[cfg(test)]
mod setup;

/// `rayline doctor`.
#[cfg(test)]
mod doctor;

/// `deploy/`: templates, roles, image, Kubernetes.
#[cfg(test)]
mod deploy;
