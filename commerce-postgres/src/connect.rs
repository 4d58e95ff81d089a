//! Statements with their parameters, what an error means, and reads that survive a lost connection.

use std::{borrow::Cow, sync::Arc};

use commerce_core::{
    page::{Cursor, PageSpec, Rows, SortKey},
    store::StoreError,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Encode, FromRow, Postgres, Type,
    postgres::{PgArguments, PgDatabaseError, PgRow, PgSeverity},
    query_as_with,
};
use uuid::Uuid;

use crate::{
    layout::{Known, Layout},
    pool::{ConnectionPool, Need, PooledConn, is_refusal},
    replica::Watch,
};

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

/// A statement with its parameters, which can be run more than once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: PgArguments,
    bound: usize,
    mode: Mode,
}

/// How a statement is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Read,
    /// Planned for its parameters each time.
    PlannedAnew,
    /// Takes as long as it takes.
    Unhurried,
    /// Changes rows, and is a transaction of its own.
    Write,
}

impl Mode {
    /// With what its transaction begins, if it needs one. The driver prepares a statement and runs it in two steps: between
    /// them, a pooler lends the server's connection to others, unless a transaction keeps it.
    fn begin(self, named: bool) -> Option<&'static str> {
        match self {
            Self::PlannedAnew => {
                Some("BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off")
            }
            Self::Unhurried => Some("BEGIN READ ONLY; SET LOCAL statement_timeout = 0"),
            Self::Read if !named => Some("BEGIN READ ONLY"),
            Self::Write if !named => Some("BEGIN"),
            Self::Read | Self::Write => None,
        }
    }
}

impl Sql {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Has the statement planned for these parameters each time: for those whose best plan depends on them.
    pub(crate) const fn planned_anew(&mut self) -> &mut Self {
        self.mode = Mode::PlannedAnew;
        self
    }

    /// Gives the statement all the time it takes: for those that go through whole tables, which nobody waits for.
    pub(crate) const fn unhurried(&mut self) -> &mut Self {
        self.mode = Mode::Unhurried;
        self
    }

    /// Says that the statement changes rows.
    pub(crate) const fn writes(&mut self) -> &mut Self {
        self.mode = Mode::Write;
        self
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Writes the next placeholder and binds its value.
    pub(crate) fn bind<'q, T: Encode<'q, Postgres> + Type<Postgres>>(&mut self, value: T) -> &mut Self {
        use sqlx::Arguments as _;
        self.bound += 1;
        let placeholder = format!("${}", self.bound);
        self.text.to_mut().push_str(&placeholder);
        // A value that can't be encoded (an array of 2^31 items) leaves its placeholder unbound: the server refuses it.
        if self.args.add(value).is_err() {
            tracing::error!(sql = %self.text, "a parameter can't be encoded");
        }
        self
    }

    /// ` AND column = $n`, if there is a value.
    pub(crate) fn and<'q, T: Encode<'q, Postgres> + Type<Postgres>>(
        &mut self,
        condition: &str,
        value: Option<T>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.push(" AND ").push(condition).push(" ").bind(value);
        }
        self
    }

    /// The same statement with something before it.
    pub(crate) fn prefixed(&self, text: &str) -> Self {
        Self { text: format!("{text}{}", self.text).into(), ..self.clone() }
    }

    /// A page of a list: what comes after the position where the page before ended, in order.
    pub(crate) fn page(&mut self, key: &str, id: &str, direction: Direction, spec: &PageSpec) -> &mut Self {
        if let Some(Cursor { key: at, id: last }) = &spec.after {
            let than = if matches!(direction, Direction::Rising) { ">" } else { "<" };
            self.push(&format!(" AND ({key}, {id}) {than} ("));
            match at {
                SortKey::Int(at) => self.bind(*at),
                SortKey::Real(at) => self.bind(*at),
                SortKey::Text(at) => self.bind(at.clone()),
            };
            self.push(", ").bind(*last).push(")");
        }
        self.order(key, id, direction, spec)
    }

    /// In order, and one row more than the page holds. The limit is written out: the planner doesn't know a parameter's value.
    pub(crate) fn order(&mut self, key: &str, id: &str, direction: Direction, spec: &PageSpec) -> &mut Self {
        let order = direction.sql();
        self.push(&format!(" ORDER BY {key} {order}, {id} {order} LIMIT {}", spec.limit + 1))
    }
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Rising,
    Falling,
}

impl Direction {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Rising => "ASC",
            Self::Falling => "DESC",
        }
    }
}

/// Where reads go.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pool: ConnectionPool,
    // Of a replica: whom to tell that it doesn't answer, and the primary, which answers in its place.
    instead: Option<(Arc<Watch>, ConnectionPool)>,
    layout: Known,
}

impl Reader {
    pub(crate) const fn new(pool: ConnectionPool, layout: Known) -> Self {
        Self { pool, instead: None, layout }
    }

    /// The same of a replica, which this one stands in for.
    pub(crate) fn replica(&self, pool: ConnectionPool, watch: Arc<Watch>) -> Self {
        Self { pool, instead: Some((watch, self.pool.clone())), layout: self.layout.clone() }
    }

    /// Whether rows of different kinds are on different nodes, so that no statement can join them.
    pub(crate) async fn is_distributed(&self) -> Result<bool, StoreError> {
        let ask = async || self.one(&Sql::new(Layout::QUERY)).await.map(|(distributed,)| Layout::new(distributed));
        Ok(*self.layout.get_or_try_init(ask).await? == Layout::Distributed)
    }

    pub(crate) async fn all<T>(&self, sql: &Sql) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let Some((watch, primary)) = &self.instead else { return read(&self.pool, sql).await };
        match fetch(&self.pool, sql).await {
            Ok(rows) => Ok(rows),
            Err((error, _)) if classify(&error) == ErrorClass::Bug => Err(store_error(error)),
            // What it replays removes rows that this statement needs: it is well, and busy.
            Err((error, _)) if classify(&error) == ErrorClass::Clash => read(primary, sql).await,
            Err((_, epoch)) => {
                watch.failed();
                self.pool.forget_idle(epoch);
                read(primary, sql).await
            }
        }
    }

    pub(crate) async fn optional<T>(&self, sql: &Sql) -> Result<Option<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.all(sql).await?.into_iter().next())
    }

    pub(crate) async fn one<T>(&self, sql: &Sql) -> Result<T, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.optional(sql).await?.ok_or_else(|| StoreError::bug(sqlx::Error::RowNotFound))
    }

    /// One page of a list, and how many rows match in all if that was asked. `from` begins with ` FROM`.
    pub(crate) async fn list<R, T>(&self, list: List<'_>, from: &Sql, spec: &PageSpec) -> Result<Rows<T>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + Into<T> + Sorted,
    {
        let mut page = from.prefixed(list.select);
        page.page(list.key, list.id, list.direction, spec);
        let rows: Vec<R> = self.all(&page).await?;
        self.page(rows, from, spec).await
    }

    /// The same of rows that were read in order: a page of them, if there are so many.
    pub(crate) async fn page<R, T>(&self, mut rows: Vec<R>, from: &Sql, spec: &PageSpec) -> Result<Rows<T>, StoreError>
    where
        R: Into<T> + Sorted,
    {
        let total = if spec.count { Some(self.count(from).await?) } else { None };
        let limit = spec.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(Sorted::position) } else { None };
        Ok(Rows { items: rows.into_iter().map(Into::into).collect(), next, total })
    }

    pub(crate) async fn count(&self, from: &Sql) -> Result<u64, StoreError> {
        let (count,): (i64,) = self.one(&from.prefixed("SELECT count(*)")).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// How a list is read: what it selects, and what it is sorted by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    pub select: &'a str,
    pub key: &'a str,
    pub id: &'a str,
    pub direction: Direction,
}

/// A row of a list knows its place.
pub(crate) trait Sorted {
    fn position(&self) -> Cursor;
}

/// The place of a row in a list that is sorted by a time or another number.
pub(crate) const fn at(key: i64, id: Uuid) -> Cursor {
    Cursor { key: SortKey::Int(key), id }
}

/// Reads from a server, and once more if the connection was lost or its call ran into the deadline.
async fn read<T>(pool: &ConnectionPool, sql: &Sql) -> Result<Vec<T>, StoreError>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    match fetch(pool, sql).await {
        Err((error, epoch)) if classify(&error) == ErrorClass::Lost => {
            pool.note(&error);
            pool.look(epoch, true).await.map_err(store_error)?;
            fetch(pool, sql).await.map_err(|(error, _)| store_error(error))
        }
        answer => answer.map_err(|(error, _)| store_error(error)),
    }
}

/// The rows of a statement within a transaction.
pub(crate) async fn fetch_in<T>(connection: &mut sqlx::PgConnection, sql: &Sql) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    query_as_with(AssertSqlSafe(sql.text.clone()), sql.args.clone()).fetch_all(connection).await
}

/// Reads once; an error comes with the epoch of the connection it happened on.
async fn fetch<T>(pool: &ConnectionPool, sql: &Sql) -> Result<Vec<T>, (sqlx::Error, u64)>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let epoch = pool.epoch();
    let need = if sql.mode == Mode::Write { Need::Write } else { Need::Read };
    let mut conn = pool.acquire(need).await.map_err(|error| (error, epoch))?;
    let epoch = conn.epoch();
    let answer = match sql.mode {
        Mode::Unhurried => run(&mut conn, sql, pool.names_statements()).await,
        _ => pool.in_time(epoch, run(&mut conn, sql, pool.names_statements())).await,
    };
    if answer.as_ref().err().is_none_or(is_answer) {
        conn.give_back();
    }
    answer.map_err(|error| (error, epoch))
}

async fn run<T>(conn: &mut PooledConn, sql: &Sql, named: bool) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let query = query_as_with(AssertSqlSafe(sql.text.clone()), sql.args.clone()).persistent(named);
    let Some(begin) = sql.mode.begin(named) else { return query.fetch_all(conn.connection()?).await };
    let mut transaction = conn.connection()?.begin_with(begin).await?;
    let answer = query.fetch_all(&mut *transaction).await;
    if sql.mode == Mode::Write && answer.is_ok() {
        transaction.commit().await?;
    } else {
        // Has the ROLLBACK sent on the connection's way back: nobody waits for it.
        drop(transaction);
        conn.is_unsettled();
    }
    answer
}
