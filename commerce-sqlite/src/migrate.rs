//! Brings the tables of a database up to date, by the numbered files in `migrations/`.
//!
//! # Adding a migration
//!
//! 1. Add `migrations/NNNN_what_it_brings.sql` with the next free number, under the same name in `commerce-sqlite` and
//!    `commerce-postgres`. Nothing else lists it. A migration that was released is never edited: its checksum is kept.
//! 2. Write plain DDL, without `BEGIN` and `COMMIT`. All that a database lacks runs in one transaction, so that a migration
//!    that fails leaves nothing behind.
//! 3. SQLite can't change a column or a CHECK: make `commerce_x_new`, copy the rows, drop `commerce_x`, rename. Foreign keys are
//!    off while migrations run and are checked before the commit, so that dropping the old table doesn't delete what refers to it.
//! 4. `tests/tests/schemas.rs` compares the schemas of both backends, and `tests/tests/upgrade.rs` upgrades the databases of earlier
//!    releases that are kept in `tests/fixtures`.
//!
//! Which migrations a database has is kept in `commerce_migration`, by `sqlx`. The first release kept a number in
//! `commerce_schema` instead: such a database is adopted, and the number is kept up to date, so that the first release refuses
//! a database that is newer than it knows.

use std::{sync::LazyLock, time::Duration};

use commerce_core::store::{StoreError, missing_migrations};
use sqlx::{
    Connection as _, Executor as _, SqlStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    query, query_scalar, raw_sql,
};
use tokio::time::Instant;

use crate::{
    error::{Meaning, meaning, read},
    reindex::reindex,
    rekey::rekey,
};

/// Version, description and SQL of each file in `migrations/`, as `build.rs` writes them.
const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // A host may keep its own migrations by `sqlx` in the same database, in `_sqlx_migrations`.
    migrator.dangerous_set_table_name("commerce_migration");
    migrator
});

/// How long to wait for another process that migrates the same database. Rebuilding the tables of a large shop takes a while.
const WAIT_FOR_OTHERS: Duration = Duration::from_mins(2);

/// Brings the shop's tables (`commerce_…`) up to date. Writes nothing if they are; safe when several processes do it at once.
/// The connection must not be in a transaction. Foreign keys are off on it while migrations run; if the future is dropped
/// before it ends, close the connection.
///
/// # Errors
/// [`StoreError::Schema`] if a newer version of this crate wrote the database; if it can't be written.
pub async fn migrate(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    run_missing(conn).await?;
    rekey(conn).await?;
    reindex(conn).await
}

async fn run_missing(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let deadline = Instant::now() + WAIT_FOR_OTHERS;
    loop {
        if missing(conn).await?.is_empty() {
            return Ok(());
        }
        match run(conn).await {
            Err(MigrateError::Execute(error))
                if meaning(&error) == Meaning::Unavailable && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result.map_err(store_error),
        }
    }
}

/// The migrations that the database lacks. Reads only.
pub(crate) async fn missing(conn: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let known = MIGRATOR.iter().map(|migration| (migration.version, &*migration.description));
    missing_migrations(known, &applied(conn).await.map_err(read)?)
}

async fn applied(conn: &mut SqliteConnection) -> Result<Vec<i64>, sqlx::Error> {
    // Read before the table is looked for: whoever migrates meanwhile makes it and raises the number in one commit.
    let number = number_of_first_release(conn).await?;
    if exists(conn, "commerce_migration").await? {
        return query_scalar("SELECT version FROM commerce_migration").fetch_all(conn).await;
    }
    Ok((1..=number).collect())
}

/// What the first release's migrator noted, or 0.
async fn number_of_first_release(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    if !exists(conn, "commerce_schema").await? {
        return Ok(0);
    }
    query_scalar("SELECT coalesce(max(version), 0) FROM commerce_schema").fetch_one(conn).await
}

async fn exists(conn: &mut SqliteConnection, table: &str) -> Result<bool, sqlx::Error> {
    let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)";
    query_scalar(exists).bind(table).fetch_one(conn).await
}

async fn run(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    // Can't be changed within a transaction.
    let foreign_keys: bool = query_scalar("PRAGMA foreign_keys").fetch_one(&mut *conn).await?;
    conn.execute("PRAGMA foreign_keys = OFF").await?;
    let result = in_transaction(conn).await;
    if foreign_keys {
        conn.execute("PRAGMA foreign_keys = ON").await?;
    }
    result
}

async fn in_transaction(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    let result = apply(&mut tx).await;
    match result {
        Ok(()) => Ok(tx.commit().await?),
        Err(error) => {
            tx.rollback().await?;
            Err(error)
        }
    }
}

async fn apply(conn: &mut SqliteConnection) -> Result<(), MigrateError> {
    if !exists(conn, "commerce_migration").await? && number_of_first_release(conn).await? > 0 {
        MIGRATOR.run_direct(Some(1), conn, true).await?;
    }
    MIGRATOR.run_direct(None, conn, false).await?;
    let dangling = "SELECT 1 FROM pragma_foreign_key_check WHERE \"table\" LIKE 'commerce%' OR parent LIKE 'commerce%'";
    if query(dangling).fetch_optional(&mut *conn).await?.is_some() {
        return Err(
            sqlx::Error::Protocol("the migrations left rows that refer to rows which aren't there".into()).into()
        );
    }
    let number =
        "CREATE TABLE IF NOT EXISTS commerce_schema (version INTEGER NOT NULL) STRICT; DELETE FROM commerce_schema";
    conn.execute(raw_sql(number)).await?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    query("INSERT INTO commerce_schema (version) VALUES (?)").bind(newest).execute(conn).await?;
    Ok(())
}

fn store_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(cause) => read(cause),
        MigrateError::ExecuteMigration(ref cause, _) if meaning(cause) == Meaning::Unavailable => {
            StoreError::unavailable(error)
        }
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "the database has another migration {version} than this program: they come from different versions"
        )),
        error => StoreError::bug(error),
    }
}
