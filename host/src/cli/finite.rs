//! A pipeline that ends by itself, run to its end: what `replay` and `collect` share.

use super::Exit;
use super::load::Loader;
use super::progress::Bar;
use super::run::{Signals, exit_of};
use crate::data_dir::DataDir;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::run::{Feed, Running, Status};

/// How it ended.
pub struct Ended {
    /// What its stages did.
    pub status: Status,
    /// What the command ends with.
    pub exit: Exit,
    /// Whether it was told to stop before it ended by itself.
    pub is_stopped: bool,
}

/// Runs it, with a bar on a terminal; a signal stops it in good order.
///
/// # Errors
/// When another host has the `data_dir`, or the pipeline cannot be started.
pub async fn run_to_end(pipeline: &Pipeline, loader: &Loader) -> anyhow::Result<Ended> {
    let lock = DataDir::take(&pipeline.data_dir)?;
    let running = Running::start(pipeline, &loader.plugins(), &Metrics::new(), Feed::Sources).await?;
    let status = running.status();
    let bar = Bar::follow(running.status());
    let stopper = running.stopper();
    let mut signals = Signals::new()?;
    let ended = tokio::spawn(running.join());
    tokio::pin!(ended);
    let mut is_stopped = false;
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            () = signals.stopped() => {
                is_stopped = true;
                stopper.stop();
            }
        }
    };
    drop((bar, lock));
    Ok(Ended { status, exit: exit_of(ended), is_stopped })
}
