//! Where events leave a stage: to the stages that read it, to what it writes, to the dead letter.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fail::fail_point;
use tokio::sync::mpsc;
use tracing::error;

use super::Outlets;
use super::claim::Claimed;
use super::dead_letter::Letter;
use crate::metrics::ErrorType;
use crate::run::StageRun;
use crate::stage::{Exception, Later, Output, Processed, Verdict};

/// Where events leave a stage.
pub struct Exits {
    stage: Arc<StageRun>,
    outlets: Outlets,
    letters: mpsc::Sender<Letter>,
}

/// An event with the reason why it cannot be delivered.
pub struct Bad {
    /// The event.
    pub event: Claimed,
    /// For the dead letter.
    pub reason: String,
}

impl Exits {
    /// The exits of `stage`.
    pub fn new(stage: Arc<StageRun>, outlets: Outlets, letters: mpsc::Sender<Letter>) -> Exits {
        Exits { stage, outlets, letters }
    }

    /// A transform's outputs go on, its rejections to the dead letter; an input that gave neither was filtered.
    pub async fn hand_on(&self, events: Vec<Claimed>, processed: Processed) {
        let stage = &self.stage;
        let bytes: usize = processed.outputs.iter().map(|output| output.event.bytes()).sum();
        let bodies: usize = processed.outputs.iter().map(|output| output.event.body.len()).sum();
        let charge = stage.budget.charge(bytes + processed.outputs.len() * size_of::<Claimed>());
        let mut named = vec![false; events.len()];
        let mut outputs = Vec::with_capacity(processed.outputs.len());
        for Output { event, origin } in processed.outputs {
            let origin = origin as usize;
            let Some((input, named)) = events.get(origin).zip(named.get_mut(origin)) else { continue };
            *named = true;
            outputs.push(Claimed { event, claim: input.claim.clone(), charge: charge.clone() });
        }
        for rejection in processed.rejections {
            let origin = rejection.origin as usize;
            let Some((input, named)) = events.get(origin).zip(named.get_mut(origin)) else { continue };
            *named = true;
            stage.metrics.errors(ErrorType::Reject).inc();
            self.letter(input.clone(), rejection.reason, rejection.part).await;
        }
        stage.metrics.filtered().inc_by(named.iter().filter(|named| !**named).count() as u64);
        stage.metrics.sent.inc_by(outputs.len() as u64);
        stage.metrics.sent_bytes.inc_by(bodies as u64);
        self.outlets.send(outputs).await;
        events.into_iter().for_each(|claimed| claimed.claim.done());
    }

    /// What a sink wrote is done. Returns what must be given again, with the wait that the sink asked for.
    pub async fn written(
        &self,
        events: Vec<Claimed>,
        exceptions: Vec<Exception>,
    ) -> (Vec<Claimed>, Option<(String, Option<Duration>)>) {
        fail_point!(format!("after-write-{}", self.stage.name).as_str(), |_| crate::failpoint::stay("after-write"));
        let mut verdicts: Vec<Option<Verdict>> = std::iter::repeat_with(|| None).take(events.len()).collect();
        for exception in exceptions {
            if let Some(verdict) = verdicts.get_mut(exception.entry as usize) {
                *verdict = Some(exception.verdict);
            }
        }
        let (mut again, mut later, mut bad, mut good) = (Vec::new(), None, Vec::new(), 0);
        for (claimed, verdict) in events.into_iter().zip(verdicts) {
            match verdict {
                None => {
                    good += 1;
                    // Counted before: whoever sees that it has left the queue finds it here.
                    self.stage.metrics.sent.inc();
                    self.stage.metrics.sent_bytes.inc_by(claimed.event.body.len() as u64);
                    claimed.claim.done();
                }
                Some(Verdict::Retry(Later { reason, after })) => {
                    self.stage.metrics.errors(ErrorType::Retry).inc();
                    let (_, longest) = later.get_or_insert((reason, after));
                    *longest = (*longest).max(after);
                    again.push(claimed);
                }
                Some(Verdict::Reject(reason)) => {
                    self.stage.metrics.errors(ErrorType::Reject).inc();
                    bad.push(Bad { event: claimed, reason });
                }
            }
        }
        again.extend(self.judge(good, bad).await);
        (again, later)
    }

    /// Bad events go to the dead letter, unless so many are bad that the stage must be: then they are returned.
    pub async fn judge(&self, good: usize, bad: Vec<Bad>) -> Vec<Claimed> {
        let stage = &self.stage;
        let was_paused = stage.breaker.is_paused();
        if stage.breaker.record(good, bad.len()) {
            if !was_paused {
                let reason = bad.first().map(|bad| bad.reason.clone()).unwrap_or_default();
                error!(stage = %stage.name, %reason, "over half of the last events are bad: the stage pauses and tries one now and then");
                stage.metrics.paused.set(1);
                stage.set_problem(Some(format!("paused: {reason}")));
            }
            return bad.into_iter().map(|bad| bad.event).collect();
        }
        self.bury(bad).await;
        Vec::new()
    }

    /// Bad events go to the dead letter, however many.
    pub async fn bury(&self, bad: Vec<Bad>) {
        for Bad { event, reason } in bad {
            self.letter(event, reason, None).await;
        }
    }

    async fn letter(&self, claimed: Claimed, reason: String, part: Option<Bytes>) {
        let stage = &self.stage;
        stage.metrics.dead_lettered().inc();
        let letter = Letter {
            stage: stage.name.clone(),
            plugin: stage.plugin_name.clone(),
            reason,
            event: claimed.event,
            part,
            claim: claimed.claim,
        };
        // The writer ends only after every worker: a failed send is a pipeline that is torn down, and releases.
        let _ = self.letters.send(letter).await;
    }
}
