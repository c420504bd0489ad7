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

    /// All of them. What is not answered is for another time.
    pub(super) fn finish(self) -> Vec<Result<T, Error>> {
        let answers = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(late()))).collect()
    }
}

/// How long a call may go on.
pub(crate) struct Until {
    wait: Duration,
    wake: Waker,
}

impl Until {
    pub(crate) fn new(wait: Duration, wake: Waker) -> Until {
        Until { wait, wake }
    }

    /// Works until the time is over, or the stage is to end.
    pub(super) async fn work(self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = tokio::time::sleep(self.wait) => {}
            () = self.wake.ended() => {}
        }
    }
}

fn late() -> Error {
    Error::Temporary(Temporary { reason: "there was no answer in time".to_owned(), after_ms: None })
}
