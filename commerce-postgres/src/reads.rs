//! Reading from a server, or from a replica with the primary behind it; and [`PgReads`], for which the domains' modules say what
//! is read.

use std::sync::Arc;

use commerce_core::{
    page::{PageSpec, Rows},
    store::StoreError,
};
use sqlx::{AssertSqlSafe, Connection as _, FromRow, postgres::PgRow, query_as_with};

use crate::{
    error::{ErrorClass, classify, is_answer, store_error},
    layout::{Known, Layout},
    page::{List, Sorted},
    pool::{ConnectionPool, Need, PooledConn},
    sql::{Mode, Sql},
    watch::Watch,
};

/// Reads of the primary, or of one replica.
#[derive(Clone, Debug)]
pub(crate) struct PgReads {
    pub(crate) reader: Reader,
}

impl PgReads {
    pub(crate) const fn new(reader: Reader) -> Self {
        Self { reader }
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
