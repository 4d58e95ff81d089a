//! What is read of claims, idempotency keys, attempts, events and tasks, and of the database itself.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::{AttemptCount, Claim, IdempotencyRecord};
use crate::{
    aggregate::AggregateId,
    clock::Timestamp,
    error::StoreError,
    event::{EventRecord, LeasedTask},
    page::{PageSpec, Rows},
};

/// One disagreement between a counter and its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// What disagrees: `stock.on_hand`, `stock.reserved`, `rating.sum`, `rating.count`, or the version of an aggregate, as
    /// `order.version`.
    pub counter: String,
    /// Of which variant, product or aggregate.
    pub id: Uuid,
    /// What the counter says.
    pub counted: i64,
    /// What the ledger adds up to, or the newest event says.
    pub ledger: i64,
}

/// Reads of claims, idempotency keys, attempts, events and tasks, and of the database itself.
#[async_trait]
pub trait OutboxQueries: Send + Sync {
    /// Who holds a claim.
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError>;

    /// What is known of an idempotency key.
    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// What was counted of the attempts of a key.
    async fn load_attempts(&self, key: &[u8; 32]) -> Result<Option<AttemptCount>, StoreError>;

    /// An aggregate's events, by version and n.
    async fn list_events(&self, root: AggregateId) -> Result<Vec<EventRecord>, StoreError>;

    /// Tasks that were given up, newest first.
    async fn list_dead_tasks(&self, spec: &PageSpec) -> Result<Rows<LeasedTask>, StoreError>;

    /// How many tasks are waiting, dead ones not counted, and when the oldest was due.
    async fn task_backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError>;

    /// Recomputes counters from their ledgers, each in one statement, and names those that disagree:
    /// `on_hand` = Σ movements; `reserved` = Σ open quantities of pending orders; ratings = published reviews; and aggregates
    /// that are older than their own newest event.
    async fn verify(&self) -> Result<Vec<Drift>, StoreError>;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What time it is by the database's own clock; `None` if that is the clock of this machine.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}
