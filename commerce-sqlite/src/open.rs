//! Opening a database: connections and their settings.

use std::{str::FromStr as _, time::Duration};

use commerce_core::store::StoreError;
use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::{self, Meaning, meaning};

/// More readers than this don't make two or four cores faster.
const READERS: u32 = 4;
/// 16 MiB of log before it is copied into the database: fewer, larger copies.
const CHECKPOINT_PAGES: &str = "4000";

/// What every connection to the shop's database must be set to.
pub(crate) fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
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

pub(crate) fn readers(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .connect_lazy_with(settings(options).read_only(true).create_if_missing(false))
}

/// Connection settings by URL: `sqlite://shop.db`, `sqlite:/var/lib/shop.db?…`, or a path.
pub(crate) fn parse(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    SqliteConnectOptions::from_str(url).map_err(error::read)
}

pub(crate) fn is_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// Opens the writing connection. Two processes that start at once may find the file locked while one of them turns the
/// write-ahead log on, in spite of the busy timeout.
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
