//! The storage boundary: a unit of work is *data*.
//!
//! Core decides with pure functions over loaded aggregates, then describes the rows as they are to become in a [`ChangeSet`].
//! A backend's one write door, [`Store::commit`], applies it all or nothing, idempotently, or names the guards that failed.
//! Everything else a backend does is reading: the per-domain read traits, gathered in [`Reads`].

mod backend;
mod change;
mod claim;
pub mod copy;
mod error;
mod outbox;
mod references;
pub mod relations;
mod schema;
mod set;
mod table;
mod write;

pub use self::{
    backend::{Reads, Store},
    change::{Aggregate, AggregateWrite, Change, Children, ExpectedVersion},
    claim::{Claim, ClaimKind, ClaimOp},
    error::{Applied, CommitError, Conflict},
    outbox::{Drift, OutboxQueries},
    references::missing_references,
    relations::MissingReference,
    schema::{missing_migrations, require_migrated},
    set::ChangeSet,
    table::{ColumnType, Portable, TABLES, Table},
    write::{Attempt, AttemptCount, AttemptWrite, IdempotencyRecord, KeyWrite, Movement, StockDelta, TaskWrite},
};
pub use crate::{
    aggregate::{AggregateId, Child, Version},
    error::StoreError,
    inventory::MovementKind,
    review::RatingDelta,
};
