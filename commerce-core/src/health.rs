//! Whether the shop is able to do its work: [`Health`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    context::Actor,
    engine::Engine,
    store::{CommitError, StoreError},
    worker::WorkerStatus,
};

/// A write that succeeded proves for so long that writes succeed.
const PROVEN_FOR: Duration = Duration::from_secs(10);
/// After a write that failed, another is tried at most so often.
const RETRIED_AFTER: Duration = Duration::from_secs(2);
/// How long the database may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What a shop needs to do its work, and whether it has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the database can be read.
    pub reads: Result<(), StoreError>,
    /// Whether the database takes writes: it may be full, or only be there for reading.
    pub writes: Result<(), StoreError>,
    /// How background work gets on; nothing is missing if it isn't done in this process.
    pub worker: WorkerStatus,
}

impl Health {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_able(&self) -> bool {
        self.reads.is_ok() && self.writes.is_ok() && !self.worker.is_stalled()
    }
}

#[derive(Clone, Debug)]
enum Outcome {
    Written,
    Failed(Arc<str>),
}

/// How the last write of this process ended.
#[derive(Debug, Default)]
pub(crate) struct WriteWatch {
    last: Mutex<Option<(Instant, Outcome)>>,
    trying: tokio::sync::Mutex<()>,
}

impl WriteWatch {
    fn last(&self) -> MutexGuard<'_, Option<(Instant, Outcome)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of a commit. Guards that fail say nothing about the database.
    pub(crate) fn note<T>(&self, outcome: &Result<T, CommitError>) {
        let outcome = match outcome {
            Ok(_) => Outcome::Written,
            Err(CommitError::Unavailable(error) | CommitError::Unknown(error)) => {
                Outcome::Failed(error.to_string().into())
            }
            Err(CommitError::Conflict(_) | CommitError::Bug(_)) => return,
        };
        *self.last() = Some((Instant::now(), outcome));
    }

    /// What is known without trying; `None` if that is too long ago.
    fn known(&self) -> Option<Result<(), StoreError>> {
        match &*self.last() {
            Some((at, Outcome::Written)) if at.elapsed() < PROVEN_FOR => Some(Ok(())),
            Some((at, Outcome::Failed(why))) if at.elapsed() < RETRIED_AFTER => {
                Some(Err(StoreError::unavailable(why.to_string())))
            }
            _ => None,
        }
    }
}

impl Engine {
    pub(crate) async fn health(&self) -> Health {
        let (reads, writes) = tokio::join!(in_time(self.reads().ping()), self.writes_succeed());
        Health { reads, writes, worker: self.worker.status() }
    }

    /// Ordinary writes tell. When there were none, or the last one failed, an empty set is committed: it leaves a row behind
    /// that is purged like all others of its kind.
    async fn writes_succeed(&self) -> Result<(), StoreError> {
        if let Some(known) = self.write_watch.known() {
            return known;
        }
        let _turn = self.write_watch.trying.lock().await;
        if let Some(known) = self.write_watch.known() {
            return known;
        }
        let set = self.set(&Actor::System);
        let outcome = match tokio::time::timeout(ANSWER_LIMIT, self.store.commit(&set)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CommitError::Unknown(SILENT.into())),
        };
        self.write_watch.note(&outcome);
        outcome.map(drop).map_err(|error| match error {
            CommitError::Unknown(error) | CommitError::Unavailable(error) => StoreError::Unavailable(error),
            error @ (CommitError::Conflict(_) | CommitError::Bug(_)) => StoreError::bug(error),
        })
    }
}

const SILENT: &str = "the database doesn't answer";

async fn in_time(answer: impl Future<Output = Result<(), StoreError>> + Send) -> Result<(), StoreError> {
    tokio::time::timeout(ANSWER_LIMIT, answer).await.unwrap_or_else(|_| Err(StoreError::unavailable(SILENT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(watch: &WriteWatch, outcome: &Result<(), CommitError>) {
        watch.note(outcome);
    }

    #[test]
    fn the_last_write_tells() {
        let watch = WriteWatch::default();
        assert!(watch.known().is_none(), "nothing is known before the first");
        note(&watch, &Ok(()));
        assert!(watch.known().unwrap().is_ok());
        note(&watch, &Err(CommitError::Unavailable("full".into())));
        assert!(watch.known().unwrap().is_err());
        note(&watch, &Err(CommitError::Conflict(Vec::new())));
        note(&watch, &Err(CommitError::Bug("a constraint".into())));
        assert!(watch.known().unwrap().is_err(), "guards say nothing about the database");
        note(&watch, &Err(CommitError::Unknown("no answer".into())));
        assert!(watch.known().unwrap().is_err());
        note(&watch, &Ok(()));
        assert!(watch.known().unwrap().is_ok());
    }

    #[test]
    fn nothing_is_known_for_ever() {
        let watch = WriteWatch::default();
        let long_ago = |outcome, age| *watch.last() = Some((Instant::now().checked_sub(age).unwrap(), outcome));
        long_ago(Outcome::Written, PROVEN_FOR);
        assert!(watch.known().is_none());
        long_ago(Outcome::Failed("full".into()), RETRIED_AFTER);
        assert!(watch.known().is_none());
    }
}
