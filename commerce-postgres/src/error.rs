//! What an error means.

use std::{error::Error, fmt, io, time::Duration};

use commerce_core::store::StoreError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What an error means for what was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Two transactions got in each other's way: once more.
    Clash,
    /// The connection is gone, or leads to a server that doesn't take writes (any more): another connection.
    Lost,
    /// The database is out of reach, full or overloaded.
    Busy,
    /// Core or this crate composed nonsense, or the schema isn't there.
    Bug,
}

pub(crate) fn classify(error: &sqlx::Error) -> ErrorClass {
    match error {
        // A process of the server's that panics takes all connections with it, and may have committed first.
        sqlx::Error::Database(error) if error.try_downcast_ref().is_some_and(is_panic) => ErrorClass::Lost,
        sqlx::Error::Database(error) => error.code().map_or(ErrorClass::Bug, |code| classify_code(&code)),
        sqlx::Error::Io(error) if is_refusal(error) => ErrorClass::Busy,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            ErrorClass::Lost
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => ErrorClass::Busy,
        _ => ErrorClass::Bug,
    }
}

/// Whether the server itself reported the error, and goes on serving this connection.
pub(crate) fn is_answer(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && classify(error) != ErrorClass::Lost
}

fn is_panic(error: &PgDatabaseError) -> bool {
    matches!(error.severity(), PgSeverity::Panic)
}

/// A statement that this connection had prepared is gone, or another has its name, as behind poolers; or it was prepared before
/// the schema changed. A new connection prepares its own.
const NOT_PREPARED: &[&str] = &["26000", "42P05", "0A000"];

/// Whether a statement wasn't run because what it was prepared as is of no use any more.
pub(crate) fn is_unprepared(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| NOT_PREPARED.contains(&&*code))
}

// SQLSTATE, PostgreSQL's appendix A.
fn classify_code(code: &str) -> ErrorClass {
    match code {
        "40001" | "40P01" => ErrorClass::Clash,
        code if NOT_PREPARED.contains(&code) => ErrorClass::Lost,
        // XX000, an internal error: so Citus reports a node that went away while it answered.
        "25006" | "25P03" | "57P01" | "57P02" | "57P03" | "57P05" | "XX000" => ErrorClass::Lost,
        _ if code.starts_with("08") => ErrorClass::Lost,
        "55P03" | "57014" => ErrorClass::Busy,
        _ if ["28", "3D", "53", "58"].contains(&code.get(..2).unwrap_or_default()) => ErrorClass::Busy,
        _ => ErrorClass::Bug,
    }
}

pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match classify(&error) {
        ErrorClass::Bug => StoreError::bug(error),
        ErrorClass::Clash | ErrorClass::Lost | ErrorClass::Busy => StoreError::unavailable(error),
    }
}

/// Why nothing is asked of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    Away(Duration),
    ReadOnly,
    NoneFits,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(time) => write!(f, "it hasn't answered for {:.1} s, and is looked for", time.as_secs_f32()),
            Self::ReadOnly => write!(f, "it takes no writes at the moment"),
            Self::NoneFits => write!(f, "none of the servers is what target_session_attrs asks for"),
        }
    }
}

impl Error for Refused {}

impl From<Refused> for sqlx::Error {
    fn from(refused: Refused) -> Self {
        Self::Io(io::Error::other(refused))
    }
}

/// Whether an error is the pool's own: nothing was tried.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Refused>)
}
