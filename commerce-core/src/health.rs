//! Whether the shop is able to do its work: [`Health`].

use std::time::Duration;

use crate::{
    context::Actor,
    engine::Engine,
    store::{CommitError, StoreError},
    worker::WorkerStatus,
};

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
