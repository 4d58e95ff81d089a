//! The write path: locks with BEGIN, guards and writes in one statement, COMMIT. Three round trips.

use std::{collections::BTreeSet, hash::BuildHasher as _, time::Duration};

use commerce_core::store::{AggregateId, Applied, CommitError, Conflict};
use sqlx::{
    Arguments as _, AssertSqlSafe, Executor as _, PgConnection, Row as _, error::DatabaseError, postgres::PgArguments,
    query_as_with, query_with, raw_sql,
};
use uuid::Uuid;

use crate::{
    codec::from_row,
    error::{ErrorClass, classify, is_answer, is_unprepared},
    layout::{Known, Layout},
    pool::{ConnectionPool, Need, PooledConn},
    statement::{GUARD_FAILED, GuardFailure, Statement, TableWrite},
};

const ATTEMPTS: u32 = 10;
/// All that follows finds its rows by their keys, so one plan is good for all: making it anew would take as long as running it.
/// Without sequential scans, because the plan may be made while tables are still empty.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL plan_cache_mode = force_generic_plan; \
                     SET LOCAL enable_seqscan = off";
/// Citus finds a statement's node by its parameters, for which it has to be planned with them.
const BEGIN_DISTRIBUTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const SHORT_LOCK_TIMEOUT: &str = "; SET LOCAL lock_timeout = '200ms'";
const SAVEPOINT: &str = "SAVEPOINT commerce_set";
const RELEASE: &str = "RELEASE SAVEPOINT commerce_set";
const ROLL_BACK_TO: &str = "ROLLBACK TO SAVEPOINT commerce_set; RELEASE SAVEPOINT commerce_set";

/// The guards that failed. If there are none, the plan was applied.
#[derive(Debug, Default)]
pub(crate) struct FailedGuards {
    pub failures: Vec<GuardFailure>,
    stock: Vec<StockRow>,
}

/// Why an attempt has no answer.
#[derive(Debug)]
pub(crate) enum CommitFailure {
    /// Nothing was applied.
    Failed(sqlx::Error),
    /// The connection was lost, or gave no answer in time, while the server was committing.
    Unknown(sqlx::Error),
}

/// On whose terms a plan is run.
#[derive(Clone, Copy)]
enum Terms<'a> {
    /// In a transaction of ours: each statement has a deadline.
    Ours { pool: &'a ConnectionPool, epoch: u64 },
    /// In the host's, who watches over it.
    Hosts,
}

impl Terms<'_> {
    async fn in_time<T>(self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        match self {
            Self::Ours { pool, epoch } => pool.in_time(epoch, work).await,
            Self::Hosts => work.await,
        }
    }

    fn names_statements(self) -> bool {
        match self {
            Self::Ours { pool, .. } => pool.names_statements(),
            Self::Hosts => true,
        }
    }
}

/// Where sets are written.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub pool: ConnectionPool,
    pub layout: Known,
}

/// Runs a plan in a transaction of its own, again after clashes and lost connections.
pub(crate) async fn commit(target: &Target, plan: &Statement) -> Result<Applied, CommitError> {
    refuse_nonsense(plan)?;
    let mut attempt = 0;
    loop {
        let epoch = target.pool.epoch();
        let tried = match target.pool.acquire(Need::Write).await {
            Ok(conn) => once(target, conn, plan, "").await,
            Err(error) => Err(CommitFailure::Failed(error)),
        };
        let error = match tried {
            Ok(judged) => return judged.answer(),
            Err(CommitFailure::Unknown(error)) => {
                // Whoever commits the set again must find a connection that answers.
                let _ = target.pool.look(epoch, true).await;
                return Err(CommitError::Unknown(error.into()));
            }
            Err(CommitFailure::Failed(error)) => error,
        };
        attempt += 1;
        match classify(&error) {
            ErrorClass::Clash if attempt < ATTEMPTS => tokio::time::sleep(pause(attempt)).await,
            ErrorClass::Lost if attempt < ATTEMPTS => {
                target.pool.note(&error);
                if target.pool.look(epoch, true).await.is_err() {
                    return Err(CommitError::Unavailable(error.into()));
                }
                tokio::time::sleep(pause(attempt)).await;
            }
            ErrorClass::Clash | ErrorClass::Lost | ErrorClass::Busy => {
                return Err(CommitError::Unavailable(error.into()));
            }
            ErrorClass::Bug => return Err(CommitError::Bug(error.into())),
        }
    }
}

/// Runs a plan in a savepoint of the caller's transaction, which a refusal leaves as it was.
pub(crate) async fn apply(connection: &mut PgConnection, plan: &Statement) -> Result<Applied, CommitError> {
    refuse_nonsense(plan)?;
    let failed = |error: sqlx::Error| match classify(&error) {
        ErrorClass::Bug => CommitError::Bug(error.into()),
        ErrorClass::Clash | ErrorClass::Lost | ErrorClass::Busy => CommitError::Unavailable(error.into()),
    };
    let layout = Layout::of(connection).await.map_err(failed)?;
    let judged = match failed_guards(connection, plan, SAVEPOINT, layout, Terms::Hosts).await {
        Ok(judged) => judged,
        Err(error) => {
            // If this fails too, the host's transaction is lost, and its COMMIT will say so.
            let _ = connection.execute(raw_sql(ROLL_BACK_TO)).await;
            return Err(failed(error));
        }
    };
    let end = if judged.failures.is_empty() { RELEASE } else { ROLL_BACK_TO };
    connection.execute(raw_sql(end)).await.map_err(failed)?;
    judged.answer()
}

fn refuse_nonsense(plan: &Statement) -> Result<(), CommitError> {
    plan.nonsense().map_or(Ok(()), |why| Err(CommitError::Bug(why.into())))
}

/// Runs the plan of a group in a transaction of its own. It fails rather than wait long for a lock, as all members would.
pub(crate) async fn try_group(target: &Target, plan: &Statement) -> Result<FailedGuards, CommitFailure> {
    let conn = target.pool.acquire(Need::Write).await.map_err(CommitFailure::Failed)?;
    once(target, conn, plan, SHORT_LOCK_TIMEOUT).await
}

// A connection is given back only after its transaction has ended; in all other cases it is closed.
async fn once(
    target: &Target,
    mut conn: PooledConn,
    plan: &Statement,
    settings: &str,
) -> Result<FailedGuards, CommitFailure> {
    let (pool, epoch) = (&target.pool, conn.epoch());
    let terms = Terms::Ours { pool, epoch };
    let connection = conn.connection().map_err(CommitFailure::Failed)?;
    let ask = target.layout.get_or_try_init(|| Layout::of(connection));
    let layout = *terms.in_time(ask).await.map_err(CommitFailure::Failed)?;
    // If it says that a guard failed, the long way says which.
    if layout == Layout::OneServer && pool.saves_trips() && in_one_trip(connection, plan, pool).await? == Some(true) {
        conn.give_back();
        return Ok(FailedGuards::default());
    }
    let begin = if layout == Layout::Distributed { BEGIN_DISTRIBUTED } else { BEGIN };
    let begin = [begin, &pool.transaction_settings().unwrap_or_default(), settings].concat();
    let judged = match failed_guards(connection, plan, &begin, layout, terms).await {
        Ok(judged) => judged,
        Err(error) => {
            if is_answer(&error) && terms.in_time(connection.execute(raw_sql("ROLLBACK"))).await.is_ok() {
                conn.give_back();
            }
            return Err(CommitFailure::Failed(error));
        }
    };
    if judged.failures.is_empty() {
        if let Err(error) = pool.to_its_end(connection.execute(raw_sql("COMMIT"))).await {
            // An error from the server is its word that it rolled back; anything else is silence.
            return Err(if is_answer(&error) { CommitFailure::Failed(error) } else { CommitFailure::Unknown(error) });
        }
        conn.give_back();
    } else if terms.in_time(connection.execute(raw_sql("ROLLBACK"))).await.is_ok() {
        conn.give_back();
    }
    Ok(judged)
}

/// Writes everything in one round trip if all guards hold; whether they did. `None` if that can't be asked in this way.
async fn in_one_trip(
    connection: &mut PgConnection,
    plan: &Statement,
    pool: &ConnectionPool,
) -> Result<Option<bool>, CommitFailure> {
    let Some(sql) = plan.in_one_trip() else { return Ok(None) };
    let mut args = PgArguments::default();
    let unsent = |error| CommitFailure::Failed(sqlx::Error::Encode(error));
    for column in plan.sections().iter().flat_map(TableWrite::columns) {
        column.bind(&mut args).map_err(unsent)?;
    }
    for section in plan.guarded() {
        args.add(i64::try_from(section.len()).unwrap_or(i64::MAX)).map_err(unsent)?;
    }
    match pool.to_its_end(query_with(AssertSqlSafe(sql), args).execute(connection)).await {
        Ok(_) => Ok(Some(true)),
        Err(error) if is_guard(&error) => Ok(Some(false)),
        Err(error) if is_answer(&error) || is_unprepared(&error) => Err(CommitFailure::Failed(error)),
        // It is a COMMIT, too.
        Err(error) => Err(CommitFailure::Unknown(error)),
    }
}

fn is_guard(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == GUARD_FAILED)
}

/// Opens the transaction (or savepoint), takes the locks, writes everything, and looks which guards failed.
async fn failed_guards(
    connection: &mut PgConnection,
    plan: &Statement,
    begin: &str,
    layout: Layout,
    terms: Terms<'_>,
) -> Result<FailedGuards, sqlx::Error> {
    terms.in_time(connection.execute(raw_sql(AssertSqlSafe(plan.opening(begin, layout))))).await?;
    let touched = match layout {
        Layout::OneServer => terms.in_time(write_at_once(connection, plan, terms)).await?,
        Layout::Distributed => write_row_by_row(connection, plan, terms).await?,
    };
    let guarded = plan.guarded().zip(&touched);
    let failures: Vec<GuardFailure> =
        guarded.flat_map(|(section, touched)| section.failures_among(touched)).cloned().collect();
    // Rows that a guard kept from being written are as they were, and locked: they can still tell why.
    let stock = terms.in_time(short_rows(connection, &failures, terms)).await?;
    Ok(FailedGuards { failures, stock })
}

/// The keys that each guarded section touched.
type Touched = Vec<Vec<String>>;

async fn write_at_once(
    connection: &mut PgConnection,
    plan: &Statement,
    terms: Terms<'_>,
) -> Result<Touched, sqlx::Error> {
    let mut args = PgArguments::default();
    for column in plan.sections().iter().flat_map(TableWrite::columns) {
        column.bind(&mut args).map_err(sqlx::Error::Encode)?;
    }
    let query = query_with(AssertSqlSafe(plan.folded()), args).persistent(terms.names_statements());
    let row = query.fetch_one(connection).await?;
    (0..row.len()).map(|i| row.try_get(i)).collect()
}

async fn write_row_by_row(
    connection: &mut PgConnection,
    plan: &Statement,
    terms: Terms<'_>,
) -> Result<Touched, sqlx::Error> {
    let mut all = Touched::new();
    for section in plan.sections() {
        let sql = section.for_a_row();
        let mut touched = Vec::new();
        for row in 0..section.len() {
            let mut args = PgArguments::default();
            for column in section.columns() {
                column.bind_cell(row, &mut args).map_err(sqlx::Error::Encode)?;
            }
            let query = query_with(AssertSqlSafe(sql.as_str()), args).persistent(terms.names_statements());
            for row in terms.in_time(query.fetch_all(&mut *connection)).await? {
                if section.is_guarded() {
                    touched.push(row.try_get("k")?);
                }
            }
        }
        if section.is_guarded() {
            all.push(touched);
        }
    }
    Ok(all)
}

/// What a stock row says after a guard on it failed.
#[derive(Debug)]
struct StockRow {
    variant_id: Uuid,
    on_hand: i64,
    reserved: i64,
    alerted: i64,
}

from_row!(StockRow { variant_id, on_hand, reserved, alerted });

async fn short_rows(
    connection: &mut PgConnection,
    failures: &[GuardFailure],
    terms: Terms<'_>,
) -> Result<Vec<StockRow>, sqlx::Error> {
    let variants: Vec<Uuid> = failures
        .iter()
        .filter_map(|failure| match failure {
            GuardFailure::Stock { variant, .. } => Some(variant.0),
            _ => None,
        })
        .collect();
    if variants.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT variant_id, on_hand, reserved, alerted FROM commerce_stock WHERE variant_id = ANY($1)";
    let mut args = PgArguments::default();
    args.add(variants).map_err(sqlx::Error::Encode)?;
    query_as_with(sql, args).persistent(terms.names_statements()).fetch_all(connection).await
}

impl FailedGuards {
    /// All failures of the strongest class: set id, idempotency key, claims, versions, floors.
    fn answer(self) -> Result<Applied, CommitError> {
        if self.failures.is_empty() {
            return Ok(Applied::Now);
        }
        let (mut key, mut taken, mut stale, mut floors, mut bugs) = (vec![], vec![], vec![], vec![], BTreeSet::new());
        for failure in self.failures {
            match failure {
                GuardFailure::Applied(_) => return Ok(Applied::Before),
                GuardFailure::Key(_) => key = vec![Conflict::KeyTaken],
                GuardFailure::Claim(claim) => taken.push(Conflict::Taken(claim)),
                GuardFailure::Stale(root) => stale.push(Conflict::Stale(root)),
                GuardFailure::Stock { variant, expect_on_hand, alerted } => {
                    let row = self.stock.iter().find(|row| row.variant_id == variant.0);
                    if alerted.is_some_and(|alerted| row.is_none_or(|row| row.alerted != alerted)) {
                        stale.push(Conflict::Stale(AggregateId::StockAlert(variant)));
                    } else if row.is_some_and(|row| expect_on_hand.is_some_and(|expected| row.on_hand != expected)) {
                        floors.push(Conflict::Moved(variant));
                    } else {
                        let available = row.map_or(0, |row| row.on_hand - row.reserved);
                        floors.push(Conflict::Short { variant, available });
                    }
                }
                GuardFailure::Limit(key) => floors.push(Conflict::LimitReached(key)),
                GuardFailure::Bug(what) => drop(bugs.insert(what)),
            }
        }
        Err(match [key, taken, stale, floors].into_iter().find(|class| !class.is_empty()) {
            Some(conflicts) => CommitError::Conflict(conflicts),
            None => CommitError::Bug(bugs.into_iter().collect::<Vec<_>>().join("; ").into()),
        })
    }
}

/// Longer after each attempt, and never twice the same, so that those who clashed don't meet again.
fn pause(attempt: u32) -> Duration {
    let ceiling = 2_000 << attempt.min(7);
    let random = std::hash::RandomState::new().hash_one(attempt);
    Duration::from_micros(random % ceiling)
}
