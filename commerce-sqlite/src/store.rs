//! [`SqliteStore`].

use std::{panic::resume_unwind, sync::Arc};

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    event::LeasedTask,
    store::{Applied, ChangeSet, CommitError, Reads, Store, StoreError, require_migrated},
};
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use sqlx::{SqliteConnection, SqlitePool, query_scalar_with, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    batch::WritePlan,
    codec::{Row, Shadowed, decode},
    error, migrate, open,
    sql::Sql,
    writer::{HostWork, Job, Queue, WriteError},
};

/// What to do about migrations that a database lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    Migrate,
    Check,
}

/// A shop in a SQLite database. Cheap to clone; all clones share one writer and a few readers.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Queue,
    // Removed with the last clone.
    _temporary: Option<Arc<TempDir>>,
}

impl SqliteStore {
    /// Opens a database by URL (`sqlite://shop.db`) or path, creates it if it isn't there, and brings its tables up to date.
    /// `sqlite::memory:` gives a throw-away database in a temporary folder, which behaves exactly as a lasting one.
    ///
    /// Call it inside a tokio runtime: the writer is a task.
    ///
    /// # Errors
    /// If the file can't be opened, or was written by a newer version of this crate.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        if !open::is_memory(url) {
            return Self::start(open::parse(url)?, None, None, Schema::Migrate).await;
        }
        let folder = tempfile::tempdir().map_err(StoreError::unavailable)?;
        let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
        Self::start(options, None, Some(Arc::new(folder)), Schema::Migrate).await
    }

    /// Opens a database that is there and up to date, for hosts that run [`migrate`](crate::migrate()) at a time of their own.
    /// Neither creates it nor changes its tables.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if it lacks migrations, and says which, or if a newer version of this crate wrote it; if there is
    /// no such file, or it can't be opened.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        Self::start(open::parse(url)?, None, None, Schema::Check).await
    }

    /// Shares a host's database: reads through its pool, and writes through a connection of the store's own that is opened
    /// with the pool's options, in write-ahead mode and with full synchronisation. Brings the shop's tables up to date.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, StoreError> {
        let options = (*pool.connect_options()).clone();
        Self::start(options, Some(pool), None, Schema::Migrate).await
    }

    async fn start(
        options: SqliteConnectOptions,
        pool: Option<SqlitePool>,
        temporary: Option<Arc<TempDir>>,
        schema: Schema,
    ) -> Result<Self, StoreError> {
        let writer = open::writer(options.clone()).create_if_missing(schema == Schema::Migrate);
        let mut conn = open::connect(&writer).await.map_err(error::read)?;
        match schema {
            Schema::Migrate => migrate::migrate(&mut conn).await?,
            Schema::Check => require_migrated(&migrate::missing(&mut conn).await?)?,
        }
        let readers = pool.unwrap_or_else(|| open::readers(options));
        Ok(Self { readers, writer: Queue::start(conn, writer), _temporary: temporary })
    }

    /// Runs a closure of yours on the writing connection, in turn with the shop's own writes and in a savepoint of its own.
    /// What it wrote stands, durably, when this returns `Ok`; if it returns an error, its writes alone are rolled back. Inside,
    /// [`apply`](crate::apply) joins a change-set to it.
    ///
    /// Others wait while it runs, so it should do nothing but write. A future that is dropped changes nothing: the closure runs
    /// to its end.
    ///
    /// # Errors
    /// The closure's own, or what happened to the transaction; see [`WriteError`].
    ///
    /// # Panics
    /// If the closure does; its writes are rolled back first.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, WriteError<E>>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = HostWork { work: Some(work), outcome: None, reply };
        self.writer.push(Job::Work(Box::new(job))).map_err(WriteError::Commit)?;
        match answer.await {
            Ok(Ok(Ok(result))) => result.map_err(WriteError::Host),
            Ok(Ok(Err(panic))) => resume_unwind(panic),
            Ok(Err(error)) => Err(WriteError::Commit(error)),
            Err(gone) => Err(WriteError::Commit(CommitError::Unknown(Box::new(gone)))),
        }
    }

    /// Each row's JSON of a statement that writes.
    pub(crate) async fn write_returning(&self, sql: Sql) -> Result<Vec<String>, StoreError> {
        let (sql, args) = sql.into_parts();
        let written = self.write(move |conn| {
            Box::pin(async move { query_scalar_with::<_, String, _>(sql, args).fetch_all(conn).await })
        });
        written.await.map_err(|error| match error {
            WriteError::Host(error) => error::read(error),
            WriteError::Commit(CommitError::Unavailable(error)) => StoreError::Unavailable(error),
            WriteError::Commit(CommitError::Unknown(error)) => StoreError::Unknown(error),
            WriteError::Commit(error) => StoreError::bug(error),
        })
    }

    /// A row's JSON.
    pub(crate) async fn optional<T: DeserializeOwned>(&self, sql: Sql) -> Result<Option<T>, StoreError> {
        let (sql, args) = sql.into_parts();
        let row: Option<String> =
            query_scalar_with(sql, args).fetch_optional(&self.readers).await.map_err(error::read)?;
        row.as_deref().map(decode).transpose()
    }

    /// Each row's JSON.
    pub(crate) async fn many<T: DeserializeOwned>(&self, sql: Sql) -> Result<Vec<T>, StoreError> {
        let (sql, args) = sql.into_parts();
        let rows: Vec<String> = query_scalar_with(sql, args).fetch_all(&self.readers).await.map_err(error::read)?;
        rows.iter().map(|row| decode(row)).collect()
    }

    pub(crate) async fn entity<T: Shadowed>(&self, sql: Sql) -> Result<Option<T>, StoreError> {
        Ok(self.optional::<Row<T>>(sql).await?.map(|row| row.0))
    }

    pub(crate) async fn entities<T: Shadowed>(&self, sql: Sql) -> Result<Vec<T>, StoreError> {
        Ok(self.many::<Row<T>>(sql).await?.into_iter().map(|row| row.0).collect())
    }

    /// A count.
    pub(crate) async fn number(&self, sql: Sql) -> Result<u64, StoreError> {
        let (sql, args) = sql.into_parts();
        let number: i64 = query_scalar_with(sql, args).fetch_one(&self.readers).await.map_err(error::read)?;
        u64::try_from(number).map_err(StoreError::bug)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        self.writer.commit(WritePlan::new(set)?).await
    }

    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        self.lease_tasks(worker, now, until, limit).await
    }

    fn reads(&self) -> &dyn Reads {
        self
    }
}
