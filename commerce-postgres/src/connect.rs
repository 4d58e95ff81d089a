//! Connections: pools, statements with their parameters, what an error means, and reads that survive a lost connection.

use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

use commerce_core::{
    page::{Cursor, PageSpec, Rows, SortKey},
    store::StoreError,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Encode, FromRow, PgConnection, PgPool, Postgres, Type,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgPoolOptions, PgRow, PgSeverity},
    query_as_with,
};
use uuid::Uuid;

use crate::{
    layout::{Known, Layout},
    replica::Watch,
};

/// How long a client waits for a connection, and for the database to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const CONNECTIONS: u32 = 20;
const STATEMENTS: usize = 256;

/// The options of a pool's connections, from a URL.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(StoreError::bug)?;
    Ok(options
        .application_name("commerce")
        .statement_cache_capacity(STATEMENTS)
        // Compiling a statement takes longer than any of ours runs.
        .options([("jit", "off")])
        // A connection that is left in a transaction by a cancelled task would hold its locks for ever.
        .options([("idle_in_transaction_session_timeout", "10s"), ("lock_timeout", "20s")]))
}

/// A pool as the store wants it: no ping before each use, as reads and writes survive a lost connection by themselves.
pub(crate) async fn pool(options: PgConnectOptions) -> Result<PgPool, StoreError> {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(store_error)
}

/// How long a replica has to answer before the primary is asked.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(2);

/// The pool of a replica, which doesn't have to be there yet.
pub(crate) fn replica_pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(REPLICA_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

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
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => ErrorClass::Busy,
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

// SQLSTATE, PostgreSQL's appendix A.
fn classify_code(code: &str) -> ErrorClass {
    match code {
        "40001" | "40P01" => ErrorClass::Clash,
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

/// A connection that goes back to its pool only if its owner says that it is sound; otherwise it is closed.
pub(crate) struct PooledConn(Option<PoolConnection<Postgres>>);

impl PooledConn {
    pub(crate) async fn from(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    /// A connection that answers: the first of the pool's that does. After a restart of the server, all idle ones are dead.
    pub(crate) async fn fresh(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut tries = pool.size() + 1;
        loop {
            let mut conn = Self::from(pool).await?;
            match conn.connection()?.ping().await {
                Ok(()) => return Ok(conn),
                Err(error) if tries == 0 => return Err(error),
                Err(_) => tries -= 1,
            }
        }
    }

    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

/// A statement with its parameters, which can be run more than once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: PgArguments,
    bound: usize,
    once: bool,
}

impl Sql {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Has the statement planned for these parameters each time: for those whose best plan depends on them.
    pub(crate) const fn planned_anew(&mut self) -> &mut Self {
        self.once = true;
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
    pool: PgPool,
    // Of a replica: whom to tell that it doesn't answer, and the primary, which answers in its place.
    instead: Option<(Arc<Watch>, PgPool)>,
    layout: Known,
}

impl Reader {
    pub(crate) const fn new(pool: PgPool, layout: Known) -> Self {
        Self { pool, instead: None, layout }
    }

    /// The same of a replica, which this one stands in for.
    pub(crate) fn replica(&self, pool: PgPool, watch: Arc<Watch>) -> Self {
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
        let from_replica = async { fetch(PooledConn::from(&self.pool).await?, sql).await };
        match tokio::time::timeout(REPLICA_TIMEOUT, from_replica).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) if classify(&error) == ErrorClass::Bug => Err(store_error(error)),
            // What it replays removes rows that this statement needs: it is well, and busy.
            Ok(Err(error)) if classify(&error) == ErrorClass::Clash => read(primary, sql).await,
            Ok(Err(_)) | Err(_) => {
                watch.failed();
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

async fn read<T>(pool: &PgPool, sql: &Sql) -> Result<Vec<T>, StoreError>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let first = match PooledConn::from(pool).await {
        Ok(conn) => fetch(conn, sql).await,
        Err(error) => Err(error),
    };
    match first {
        Err(error) if classify(&error) == ErrorClass::Lost => {
            let conn = PooledConn::fresh(pool).await.map_err(store_error)?;
            fetch(conn, sql).await.map_err(store_error)
        }
        answer => answer.map_err(store_error),
    }
}

async fn fetch<T>(mut conn: PooledConn, sql: &Sql) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let connection = conn.connection()?;
    let query = query_as_with(AssertSqlSafe(sql.text.clone()), sql.args.clone()).persistent(!sql.once);
    let answer = query.fetch_all(connection).await;
    if answer.as_ref().err().is_none_or(is_answer) {
        conn.give_back();
    }
    answer
}
