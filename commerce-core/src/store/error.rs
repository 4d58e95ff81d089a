//! How a commit ends: applied, refused by its guards, or in doubt.

use super::Claim;
use crate::{aggregate::AggregateId, id::VariantId};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A commit that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// By this call.
    Now,
    /// By an earlier call with the same set id.
    Before,
}

/// A guard that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The set's idempotency key is held by an earlier call.
    KeyTaken,
    /// Something that must be unique belongs to somebody else.
    Taken(Claim),
    /// The aggregate isn't at the version it was read at (or is there, or isn't there, against expectation).
    Stale(AggregateId),
    /// The variant's `on_hand` isn't what the set was computed from.
    Moved(VariantId),
    /// Fewer units are available than the set would take.
    Short {
        /// The variant.
        variant: VariantId,
        /// How many there are: `on_hand − reserved`, at the time of judgement.
        available: i64,
    },
    /// As many attempts of this key as are allowed were counted in the window.
    LimitReached([u8; 32]),
}

/// A commit that took no effect, or whose effect isn't known.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Guards failed; nothing was applied. All failures of the strongest class.
    #[error("guards failed: {0:?}")]
    Conflict(Vec<Conflict>),
    /// Certainly not applied: the database is out of reach, full or overloaded. May be tried again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// May have been applied: commit the identical set again to find out.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(#[source] BoxError),
    /// The set is nonsense: a CHECK or a foreign key fired. A bug in core, never a user's mistake.
    #[error("the change-set breaks a constraint: {0}")]
    Bug(#[source] BoxError),
}
