//! What the driver's errors mean to core. Judged by SQLite's result codes, never by message text.

use std::sync::Arc;

use commerce_core::store::{CommitError, StoreError};

/// <https://www.sqlite.org/rescode.html>
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const SCHEMA: i32 = 17;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOTADB: i32 = 26;
}

/// Shared by all members of a group that failed together.
pub(crate) type SharedError = Arc<sqlx::Error>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A CHECK, a foreign key or a unique key fired: this statement had no effect, the transaction lives on.
    Constraint,
    /// Out of reach, busy, full or damaged.
    Unavailable,
    /// SQL or data that can't be.
    Bug,
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

pub(crate) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(_) => match primary_code(error) {
            Some(code::CONSTRAINT) => Meaning::Constraint,
            Some(
                code::BUSY
                | code::LOCKED
                | code::NOMEM
                | code::READONLY
                | code::INTERRUPT
                | code::IOERR
                | code::CORRUPT
                | code::FULL
                | code::CANTOPEN
                | code::PROTOCOL
                | code::SCHEMA
                | code::NOTADB,
            ) => Meaning::Unavailable,
            _ => Meaning::Bug,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Meaning::Unavailable,
        _ => Meaning::Bug,
    }
}

pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::READONLY)
}

/// Whether the file was found to be damaged. An index of full-text search that is has an extended code of its own.
pub(crate) fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse().ok()).is_some_and(|code: i32| [code::CORRUPT, code::NOTADB].contains(&code))
}

/// Whether a COMMIT that failed with this error certainly wrote nothing. After an I/O error it may have.
pub(crate) fn is_certain(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::FULL | code::CONSTRAINT))
}

pub(crate) fn read(error: sqlx::Error) -> StoreError {
    match meaning(&error) {
        Meaning::Unavailable => StoreError::unavailable(error),
        Meaning::Constraint | Meaning::Bug => StoreError::bug(error),
    }
}

pub(crate) fn not_applied(error: SharedError) -> CommitError {
    match meaning(&error) {
        Meaning::Unavailable => CommitError::Unavailable(Box::new(error)),
        Meaning::Constraint | Meaning::Bug => CommitError::Bug(Box::new(error)),
    }
}
