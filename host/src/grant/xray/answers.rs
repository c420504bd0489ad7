//! What was answered until now, so that what is late or breaks off costs only its own items.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Error;
use super::failure::{Failure, FailureKind};
use crate::stage::Waker;

/// How long calls to AWS that are under way when the time is over are waited for. One that is dropped is made again, and
/// where each took longer than a stage waits, nothing would ever be answered.
const GRACE: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// Turns true when the time of the stage's call is over.
    static OVER: watch::Receiver<bool>;
}

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
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(late().for_guest()))).collect()
    }
}

/// How long a stage's call may go on.
pub(crate) struct Until {
    wait: Duration,
    wake: Waker,
}

impl Until {
    pub(crate) fn new(wait: Duration, wake: Waker) -> Until {
        Until { wait, wake }
    }

    /// Works until the time is over and the calls to AWS are answered that were made by then, or until the stage is to end.
    pub(super) async fn work(self, work: impl Future<Output = ()>) {
        let (over, is_over) = watch::channel(false);
        let mut work = pin!(OVER.scope(is_over, work));
        tokio::select! {
            () = &mut work => return,
            () = tokio::time::sleep(self.wait) => {}
            () = self.wake.ended() => return,
        }
        over.send_replace(true);
        tokio::select! {
            () = &mut work => {}
            () = tokio::time::sleep(GRACE) => {}
            () = self.wake.ended() => {}
        }
    }
}

/// Waits until the time of the stage's call is over; for ever where none waits.
pub(super) async fn over() {
    let Ok(mut over) = OVER.try_with(watch::Receiver::clone) else { return std::future::pending().await };
    // Who would say so outlives all that waits for it.
    let _ = over.wait_for(|over| *over).await;
}

/// Sleeps. Fails where the time of the stage's call is over before.
pub(super) async fn pause(time: Duration) -> Result<(), Failure> {
    tokio::select! {
        () = over() => Err(late()),
        () = tokio::time::sleep(time) => Ok(()),
    }
}

pub(super) fn late() -> Failure {
    Failure::new(FailureKind::Late, "there was no answer in time")
}
