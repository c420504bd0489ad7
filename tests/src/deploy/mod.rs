//! `deploy/`: the templates of CloudFormation, what their roles may do, the image, Kubernetes.
//!
//! - `files`: YAML as JSON, and the linter.
//! - `stack`: a template with its parameters, its functions resolved.
//! - `templates`: what the templates say of queues, bucket and organisation.
//! - `policies`: each role against `deploy/calls.toml`, and that against the host's code.
//! - `stacks`: the templates deployed to moto.
//! - `containers`: image, ECS and Kubernetes against the pipelines. `guide`: the commands of `deploy/README.md`.

mod containers;
mod files;
mod guide;
mod policies;
mod stack;
mod stacks;
mod templates;
