//! Progress on a terminal, for pipelines whose sources say how far they are.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::Status;

/// Shows a bar until dropped. On anything but a terminal: nothing.
pub struct Bar(Option<tokio::task::JoinHandle<()>>);

impl Bar {
    /// Follows a running pipeline.
    pub fn follow(status: Status) -> Self {
        if !stderr().is_terminal() {
            return Bar(None);
        }
        Bar(Some(tokio::spawn(async move {
            let bar = ProgressBar::no_length();
            let with_total = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed_precise} eta {eta}");
            let without = ProgressStyle::with_template("{msg} {spinner} {pos} {elapsed_precise}");
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                for (stage, progress) in status.stages.iter().filter_map(|stage| Some((stage, stage.progress()?))) {
                    let style = if progress.total.is_some() { &with_total } else { &without };
                    if let Ok(style) = style {
                        bar.set_style(style.clone());
                    }
                    if let Some(total) = progress.total {
                        bar.set_length(total);
                    }
                    bar.set_position(progress.done);
                    let events = stage.metrics.received.get();
                    bar.set_message(format!("{}: {events} messages, {}", stage.name, progress.unit));
                }
            }
        })))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
