//! [`SqliteStore`].

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    event::LeasedTask,
    store::{Applied, ChangeSet, CommitError, Reads, Store, StoreError},
};
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use sqlx::{Connection as _, SqliteConnection, SqlitePool, query, query_scalar_with};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    batch::WritePlan,
    codec::{FromJson, Row, decode},
    error,
    identity::Identity,
    open,
    sql::Sql,
    writer::{HostWork, Job, Queue, WriteError},
};

/// A shop in a SQLite database. Cheap to clone; all clones share one writer and a few readers.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) readers: SqlitePool,
    pub(crate) is_own_pool: bool,
    pub(crate) writer: Queue,
    pub(crate) files: Identity,
    /// Whether a read found the file to be damaged.
    pub(crate) is_damaged: Arc<AtomicBool>,
    #[expect(dead_code, reason = "the folder is removed with the last clone")]
    pub(crate) temporary: Option<Arc<TempDir>>,
}

impl SqliteStore {
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

    fn failed_read(&self, error: sqlx::Error) -> StoreError {
        if error::is_damage(&error) {
            self.is_damaged.store(true, Ordering::Relaxed);
        }
        error::read(error)
    }

    /// Reads from every important table by a new connection, since those that are open may know it all without the file.
    pub(crate) async fn look_at_file(&self) -> Result<(), StoreError> {
        self.files.check_database().map_err(StoreError::unavailable)?;
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("the file was found to be damaged"));
        }
        if self.readers.is_closed() {
            return Err(error::read(sqlx::Error::PoolClosed));
        }
        let mut conn = open::connect(&self.readers.connect_options()).await.map_err(error::read)?;
        let found = query(GLANCE).fetch_optional(&mut conn).await.map_err(|error| self.failed_read(error));
        conn.close().await.map_err(error::read)?;
        found.map(drop)
    }

    /// A row's JSON.
    pub(crate) async fn optional<T: DeserializeOwned>(&self, sql: Sql) -> Result<Option<T>, StoreError> {
        let (sql, args) = sql.into_parts();
        let row: Option<String> = query_scalar_with(sql, args)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.failed_read(error))?;
        row.as_deref().map(decode).transpose()
    }

    /// Each row's JSON.
    pub(crate) async fn many<T: DeserializeOwned>(&self, sql: Sql) -> Result<Vec<T>, StoreError> {
        let (sql, args) = sql.into_parts();
        let rows: Vec<String> =
            query_scalar_with(sql, args).fetch_all(&self.readers).await.map_err(|error| self.failed_read(error))?;
        rows.iter().map(|row| decode(row)).collect()
    }

    pub(crate) async fn entity<T: FromJson>(&self, sql: Sql) -> Result<Option<T>, StoreError> {
        Ok(self.optional::<Row<T>>(sql).await?.map(|row| row.0))
    }

    pub(crate) async fn entities<T: FromJson>(&self, sql: Sql) -> Result<Vec<T>, StoreError> {
        Ok(self.many::<Row<T>>(sql).await?.into_iter().map(|row| row.0).collect())
    }

    /// A count.
    pub(crate) async fn number(&self, sql: Sql) -> Result<u64, StoreError> {
        let (sql, args) = sql.into_parts();
        let number: i64 =
            query_scalar_with(sql, args).fetch_one(&self.readers).await.map_err(|error| self.failed_read(error))?;
        u64::try_from(number).map_err(StoreError::bug)
    }
}

const GLANCE: &str = "SELECT (SELECT count(*) FROM sqlite_schema), (SELECT version FROM commerce_category_tree), \
    (SELECT id FROM commerce_product LIMIT 1), (SELECT id FROM commerce_order LIMIT 1), \
    (SELECT id FROM commerce_user LIMIT 1), (SELECT id FROM commerce_task LIMIT 1)";

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

    async fn close(&self) -> Result<(), StoreError> {
        if self.is_own_pool {
            // Readers would keep the log from going away.
            self.readers.close().await;
        }
        self.writer.close().await.map_err(error::read)
    }

    fn reads(&self) -> &dyn Reads {
        self
    }
}
