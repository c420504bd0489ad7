//! What was answered until now, so that what is late or breaks off costs only its own items.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Error, Temporary};
use crate::stage::Waker;

/// One place for each item that was asked for.
pub(super) struct Answers<T>(Mutex<Vec<Option<Result<T, Error>>>>);

impl<T> Answers<T> {
    pub(super) fn new(count: usize) -> Answers<T> {
        Answers(Mutex::new(std::iter::repeat_with(|| None).take(count).collect()))
    }

    /// Answers an item.
    pub(super) fn put(&self, index: usize, answer: Result<T, Error>) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = answers.get_mut(index) {
            *place = Some(answer);
        }
    }

    /// All of them. What is not answered yet may be asked for again at once: it is in flight.
    pub(super) fn finish(self) -> Vec<Result<T, Error>> {
        let answers = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let not_yet =
            || Err(Error::Temporary(Temporary { reason: "there is no answer yet".to_owned(), after_ms: Some(0) }));
        answers.into_iter().map(|answer| answer.unwrap_or_else(not_yet)).collect()
    }
}

/// How long a stage's call may wait.
pub(crate) struct Until {
    /// As long as it takes where there is none.
    wait: Option<Duration>,
    wake: Waker,
}

impl Until {
    pub(crate) fn new(wait: Option<Duration>, wake: Waker) -> Until {
        Until { wait, wake }
    }

    /// Waits for the answers until the time is over or the stage is to end.
    pub(super) async fn work(self, work: impl Future<Output = ()>) {
        let over = async {
            match self.wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What is there already is handed out, however short the time is.
            biased;
            () = work => {}
            () = self.wake.ended() => {}
            () = over => {}
        }
    }
}
