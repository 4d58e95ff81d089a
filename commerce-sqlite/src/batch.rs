//! A change-set compiled into one string of statements, which crosses the driver's thread boundary once.

use commerce_core::{
    id::CommitId,
    store::{Applied, CommitError},
};
use futures_util::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Either, Encode, Executor as _, SqlSafeStr as _, SqlStr, Sqlite, SqliteConnection, Type, query_with,
    sqlite::SqliteArguments,
};

use crate::{
    error::{Meaning, SharedError, meaning, not_applied},
    guards::{GuardOutcome, Guards, failed_guards},
    sql::Sql,
};

/// The savepoint a set is applied in, where a set that fails must leave its transaction usable.
pub(crate) const SAVEPOINT: &str = "SAVEPOINT commerce_set";
/// Moves the savepoint on, in the same string as the next set's script: it costs no way to the driver's thread of its own.
/// `COMMIT` releases the last one.
const MOVE_ON: &str = "RELEASE commerce_set;\nSAVEPOINT commerce_set;\n";
/// The statements in it.
const MOVING: usize = 2;
pub(crate) const RELEASE: &str = "RELEASE commerce_set";
const ROLLBACK_TO: &str = "ROLLBACK TO commerce_set";

/// Statements under construction, with how many rows each must touch.
pub(crate) struct Batch {
    sql: Sql,
    expected: Vec<Option<u64>>,
    pub(crate) guards: Guards,
}

impl Batch {
    pub(crate) fn new(id: CommitId) -> Self {
        Self { sql: Sql::with_capacity(4096), expected: Vec::with_capacity(24), guards: Guards::new(id) }
    }

    /// Begins a statement that may touch any number of rows.
    pub(crate) fn statement(&mut self, text: &str) -> &mut Self {
        self.begin(None, text)
    }

    /// Begins a statement that must touch exactly so many rows, or else a guard has failed.
    pub(crate) fn guarded(&mut self, rows: usize, text: &str) -> &mut Self {
        self.begin(Some(rows as u64), text)
    }

    fn begin(&mut self, rows: Option<u64>, text: &str) -> &mut Self {
        if !self.expected.is_empty() {
            self.sql.push(";\n");
        }
        self.expected.push(rows);
        self.sql.push(text);
        self
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push(text);
        self
    }

    pub(crate) fn bind<'q, T: Encode<'q, Sqlite> + Type<Sqlite> + 'q>(&mut self, value: T) -> &mut Self {
        self.sql.bind(value);
        self
    }

    pub(crate) fn rows(&mut self, rows: usize, columns: usize) -> &mut Self {
        self.sql.rows(rows, columns);
        self
    }

    pub(crate) fn marks(&mut self, count: usize) -> &mut Self {
        self.sql.marks(count);
        self
    }

    pub(crate) fn finish(self) -> WritePlan {
        let (sql, args) = self.sql.into_parts();
        WritePlan { sql, args, expected: self.expected, guards: self.guards }
    }
}

/// A set ready to run, as often as need be.
pub(crate) struct WritePlan {
    sql: SqlStr,
    args: SqliteArguments,
    expected: Vec<Option<u64>>,
    guards: Guards,
}

impl WritePlan {
    /// Applies the set in the savepoint that is open, and leaves one open.
    ///
    /// # Errors
    /// If the whole transaction has to be given up. Failed guards and constraints are answers instead.
    pub(crate) async fn run(&self, conn: &mut SqliteConnection) -> Result<Result<Applied, CommitError>, sqlx::Error> {
        let batch = AssertSqlSafe(format!("{MOVE_ON}{}", self.sql.as_str())).into_sql_str();
        let failure = match self.execute(conn, batch, MOVING).await {
            Ok(true) => return Ok(Ok(Applied::Now)),
            Ok(false) => None,
            Err(error) if meaning(&error) == Meaning::Constraint => Some(error),
            Err(error) => return Err(error),
        };
        conn.execute(ROLLBACK_TO).await?;
        // A constraint may have fired only because a guard before it had failed, so the guards have the first word.
        Ok(match (failed_guards(conn, &self.guards).await?, failure) {
            (GuardOutcome::Before, _) => Ok(Applied::Before),
            (GuardOutcome::Conflict(conflicts), _) => Err(CommitError::Conflict(conflicts)),
            (GuardOutcome::Clean, Some(error)) => Err(not_applied(SharedError::new(error))),
            (GuardOutcome::Clean, None) => Err(CommitError::Bug("the set writes to a row that isn't there".into())),
        })
    }

    /// Applies the set without a savepoint. Unless this answers `true`, half of it may be written, and the whole transaction
    /// must be given up.
    pub(crate) async fn run_bare(&self, conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        self.execute(conn, self.sql.clone(), 0).await
    }

    /// Whether all statements, but for the first few, touched the rows they must.
    async fn execute(&self, conn: &mut SqliteConnection, sql: SqlStr, skip: usize) -> Result<bool, sqlx::Error> {
        let mut results = conn.fetch_many(query_with(sql, self.args.clone()));
        let mut expected = std::iter::repeat_n(&None, skip).chain(&self.expected);
        let mut held = true;
        while let Some(result) = results.try_next().await? {
            if let Either::Left(done) = result {
                let rows = expected.next().copied().flatten();
                held &= rows.is_none_or(|rows| rows == done.rows_affected());
            }
        }
        Ok(held)
    }
}
