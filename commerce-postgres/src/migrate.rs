//! Brings the tables of a database up to date, by the numbered files in `migrations/`.
//!
//! # Adding a migration
//!
//! 1. Add `migrations/NNNN_what_it_brings.sql` with the next free number, under the same name in `commerce-sqlite` and
//!    `commerce-postgres`. Nothing else lists it. A migration that was released is never edited: its checksum is kept.
//! 2. Write plain DDL, without `BEGIN` and `COMMIT`. All that a database lacks runs in one transaction, so that a migration
//!    that fails leaves nothing behind.
//! 3. Keep to what shards understand: `tests/schema.rs` says what that is, and wants every new table placed in the chapter
//!    "Scaling out".
//! 4. `tests/tests/schemas.rs` compares the schemas of both backends, and `tests/tests/upgrade.rs` upgrades the databases of earlier
//!    releases that are kept in `tests/fixtures`.
//!
//! Which migrations a database has is kept in `commerce_migration`, by `sqlx`. The row of `commerce_schema` is the lock under which
//! they run: `sqlx`'s own is an advisory lock, which poolers and Citus don't keep. The first release kept its number there:
//! such a database is adopted.

use std::{sync::LazyLock, time::Duration};

use commerce_core::store::{StoreError, missing_migrations};
use sqlx::{
    Connection as _, Executor as _, PgConnection, SqlStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    query, query_scalar, raw_sql,
};

use crate::{
    error::{ErrorClass, classify, store_error},
    pool::ConnectionPool,
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
    migrator.set_locking(false);
    migrator
});

const ATTEMPTS: u32 = 20;

pub(crate) async fn migrate(pool: &ConnectionPool) -> Result<(), StoreError> {
    let mut attempt = 0;
    loop {
        if missing(pool).await?.is_empty() {
            return Ok(());
        }
        let mut connection = pool.unhurried().await.map_err(store_error)?;
        match run(&mut connection, pool.begin_unhurried()).await {
            Ok(()) => return connection.close().await.map_err(store_error),
            Err(error) if attempt < ATTEMPTS && may_pass(&error) => attempt += 1,
            Err(error) => return Err(migration_error(error)),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The migrations that the database lacks. Reads only, and needs no right but that.
pub(crate) async fn missing(pool: &ConnectionPool) -> Result<Vec<String>, StoreError> {
    let applied = async {
        let mut connection = pool.unhurried().await?;
        let mut transaction = connection.begin_with(pool.begin_unhurried()).await?;
        let applied = applied(&mut transaction).await?;
        transaction.rollback().await?;
        connection.close().await?;
        Ok(applied)
    };
    let known = MIGRATOR.iter().map(|migration| (migration.version, &*migration.description));
    missing_migrations(known, &pool.to_its_end(applied).await.map_err(store_error)?)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    // Read before the table is looked for: whoever migrates meanwhile makes it and raises the number in one commit.
    let number = number_of_first_release(connection).await?;
    if exists(connection, "commerce_migration").await? {
        return query_scalar("SELECT version FROM commerce_migration").fetch_all(connection).await;
    }
    Ok((1..=number).collect())
}

/// What the first release's migrator noted, or 0.
async fn number_of_first_release(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    if !exists(connection, "commerce_schema").await? {
        return Ok(0);
    }
    query_scalar("SELECT coalesce(max(version), 0) FROM commerce_schema").fetch_one(connection).await
}

async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await
}

async fn run(connection: &mut PgConnection, begin: &'static str) -> Result<(), MigrateError> {
    let mut transaction = connection.begin_with(begin).await?;
    // Migrations take as long as they take; whoever waits for them here waits too. Citus may not alter the shards of a table
    // in parallel with other changes of one transaction; other servers don't know that setting and don't mind it.
    let settings = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; \
                    SET LOCAL citus.multi_shard_modify_mode = 'sequential'";
    transaction.execute(raw_sql(settings)).await?;
    let lock = "CREATE TABLE IF NOT EXISTS commerce_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                INSERT INTO commerce_schema (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING; \
                SELECT version FROM commerce_schema WHERE id = 1 FOR UPDATE";
    transaction.execute(raw_sql(lock)).await?;
    apply(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

async fn apply(connection: &mut PgConnection) -> Result<(), MigrateError> {
    if !exists(connection, "commerce_migration").await? && number_of_first_release(connection).await? > 0 {
        MIGRATOR.run_direct(Some(1), connection, true).await?;
    }
    MIGRATOR.run_direct(None, connection, false).await?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    query("UPDATE commerce_schema SET version = $1 WHERE id = 1").bind(newest).execute(connection).await?;
    Ok(())
}

// Two servers that create the same table at once: the later one fails on the system catalogue in one of these ways.
fn may_pass(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let raced = ["23505", "42P07", "42710", "XX000"].contains(&code.as_deref().unwrap_or_default());
    raced || matches!(classify(error), ErrorClass::Clash | ErrorClass::Lost)
}

fn migration_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(cause) => store_error(cause),
        MigrateError::ExecuteMigration(ref cause, _) if classify(cause) != ErrorClass::Bug => {
            StoreError::unavailable(error)
        }
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "the database has another migration {version} than this program: they come from different versions"
        )),
        error => StoreError::bug(error),
    }
}
