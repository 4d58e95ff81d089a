//! Opening a shop: a new database, one that is there, or a host's.

use std::sync::Arc;

use commerce_core::store::{StoreError, require_migrated};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::{
    error,
    identity::Identity,
    migrate,
    open::{self, SqliteSettings},
    store::SqliteStore,
    writer::Queue,
};

/// What to do about migrations that a database lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    Migrate,
    Check,
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
        Self::open_with(url, &SqliteSettings::default()).await
    }

    /// The same with other numbers.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(url: &str, settings: &SqliteSettings) -> Result<Self, StoreError> {
        if !open::is_memory(url) {
            return Self::start(open::parse(url)?, settings, None, None, Schema::Migrate).await;
        }
        let folder = tempfile::tempdir().map_err(StoreError::unavailable)?;
        let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
        Self::start(options, settings, None, Some(Arc::new(folder)), Schema::Migrate).await
    }

    /// Opens a database that is there and up to date, for hosts that run [`migrate`](crate::migrate()) at a time of their own.
    /// Neither creates it nor changes its tables.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if it lacks migrations, and says which, or if a newer version of this crate wrote it; if there is
    /// no such file, or it can't be opened.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        Self::start(open::parse(url)?, &SqliteSettings::default(), None, None, Schema::Check).await
    }

    /// Opens a database that is there and up to date, for reading only: a copy, or one that a server is using. Changes nothing in
    /// it, and refuses all writes as unavailable.
    ///
    /// # Errors
    /// As [`open_existing`](Self::open_existing).
    pub async fn open_read_only(url: &str) -> Result<Self, StoreError> {
        let options = open::parse_to_read(url)?.create_if_missing(false);
        let options = options.busy_timeout(SqliteSettings::default().busy_timeout);
        let readers = open::settings(options.clone()).read_only(true);
        let mut conn = open::connect(&readers).await.map_err(error::read)?;
        require_migrated(&migrate::missing(&mut conn).await?)?;
        let files = Identity::of(options.get_filename());
        // The last connection takes away what SQLite puts beside the database, if it is one that may write.
        let keeper = options.connect().await.ok();
        conn.close().await.map_err(error::read)?;
        Ok(Self {
            readers: open::readers(readers, &SqliteSettings::default(), files.clone()),
            is_own_pool: true,
            writer: Queue::refuse(keeper, files.clone()),
            files,
            is_damaged: Arc::default(),
            temporary: None,
        })
    }

    /// Shares a host's database: reads through its pool, and writes through a connection of the store's own that is opened
    /// with the pool's options, in write-ahead mode and with full synchronisation. Brings the shop's tables up to date.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, StoreError> {
        let options = (*pool.connect_options()).clone();
        Self::start(options, &SqliteSettings::default(), Some(pool), None, Schema::Migrate).await
    }

    async fn start(
        options: SqliteConnectOptions,
        settings: &SqliteSettings,
        pool: Option<SqlitePool>,
        temporary: Option<Arc<TempDir>>,
        schema: Schema,
    ) -> Result<Self, StoreError> {
        let options = options.busy_timeout(settings.busy_timeout);
        let writer = open::writer(options.clone()).create_if_missing(schema == Schema::Migrate);
        let mut conn = open::connect(&writer).await.map_err(open::failed)?;
        match schema {
            Schema::Migrate => migrate::migrate(&mut conn).await?,
            Schema::Check => require_migrated(&migrate::missing(&mut conn).await?)?,
        }
        open::require_writable(&mut conn).await?;
        let files = Identity::of(writer.get_filename());
        let is_own_pool = pool.is_none();
        let readers = pool.unwrap_or_else(|| open::readers(options, settings, files.clone()));
        let writer = Queue::start(conn, writer.create_if_missing(false), files.clone());
        Ok(Self { readers, is_own_pool, writer, files, is_damaged: Arc::default(), temporary })
    }
}
