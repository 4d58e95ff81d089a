//! Opening a database: connections and their settings.

use std::{str::FromStr as _, time::Duration};

use commerce_core::store::StoreError;
use sqlx::{
    ConnectOptions, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    error::{self, Meaning, is_read_only, meaning},
    identity::Identity,
};

/// 16 MiB of log before it is copied into the database: fewer, larger copies.
const CHECKPOINT_PAGES: &str = "4000";

/// How many connections read, and how long they wait for other processes and for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteSettings {
    /// How many connections read, besides the one that writes; 4 if nothing is said, as more don't make two or four cores faster.
    pub readers: u32,
    /// How long to wait for another process that has locked the database; 5 s if nothing is said.
    pub busy_timeout: Duration,
    /// How long a read may wait for a connection while all are in use; 5 s if nothing is said.
    pub acquire_timeout: Duration,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self { readers: 4, busy_timeout: Duration::from_secs(5), acquire_timeout: Duration::from_secs(5) }
    }
}

impl SqliteSettings {
    /// The same with another number of readers.
    #[must_use]
    pub const fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }

    /// The same with another limit for waiting.
    #[must_use]
    pub const fn busy_timeout(mut self, limit: Duration) -> Self {
        self.busy_timeout = limit;
        self
    }

    /// The same with another limit for waiting until a connection is free.
    #[must_use]
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }
}

/// What every connection to the shop's database must be set to.
pub(crate) fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(512)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-32000")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging()
}

pub(crate) fn writer(options: SqliteConnectOptions) -> SqliteConnectOptions {
    settings(options).journal_mode(SqliteJournalMode::Wal).create_if_missing(true).read_only(false)
}

pub(crate) fn readers(options: SqliteConnectOptions, limits: &SqliteSettings, files: Identity) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(limits.readers)
        .acquire_timeout(limits.acquire_timeout)
        .test_before_acquire(false)
        // Another file in its place would show another shop.
        .after_connect(move |_, _| {
            let found = files.check_database().map_err(Into::into);
            Box::pin(std::future::ready(found))
        })
        .connect_lazy_with(settings(options).read_only(true).create_if_missing(false))
}

/// Connection settings by URL, of a database that is to be written: `sqlite://shop.db`, `sqlite:/var/lib/shop.db?…`, or a path.
pub(crate) fn parse(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    if asks_to_read_only(url) {
        return Err(StoreError::unavailable(READ_ONLY));
    }
    parse_to_read(url)
}

/// Refuses a database that can only be read.
pub(crate) async fn require_writable(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    tx.rollback().await.map_err(error::read)
}

/// Why a database can't be opened.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    if is_read_only(&error) { StoreError::unavailable(READ_ONLY) } else { error::read(error) }
}

const READ_ONLY: &str = "it can only be read, and a shop must write";

/// Whether a URL asks not to write.
pub(crate) fn asks_to_read_only(url: &str) -> bool {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    parameters.split('&').any(|parameter| ["mode=ro", "immutable=true", "immutable=1"].contains(&parameter))
}

pub(crate) fn parse_to_read(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    SqliteConnectOptions::from_str(url).map(ConnectOptions::disable_statement_logging).map_err(error::read)
}

pub(crate) fn is_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// Opens the writing connection. Two processes that start at once may find the file locked while one of them turns the
/// write-ahead log on, despite the busy timeout.
pub(crate) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut tries = 0;
    loop {
        match options.connect().await {
            Err(error) if tries < 50 && meaning(&error) == Meaning::Unavailable => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}
