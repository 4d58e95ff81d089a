//! Schema migrations: each runs once, in one transaction, under a lock row of our own.

use std::time::Duration;

use commerce_core::store::StoreError;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, query, query_as, raw_sql};

use crate::connect::{Fault, Held, fault, store_error};

/// Applied in order; a released one never changes.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_schema.sql"), include_str!("../migrations/0004_text.sql")];

const ATTEMPTS: u32 = 20;

pub(crate) async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    let mut attempt = 0;
    loop {
        let mut held = Held::fresh(pool).await.map_err(store_error)?;
        match run(held.connection().map_err(store_error)?).await {
            Ok(()) => {
                held.give_back();
                return Ok(());
            }
            Err(error) if attempt < ATTEMPTS && may_pass(&error) => attempt += 1,
            Err(error) => return Err(store_error(error)),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

// Two servers that create the same table at once: the later one fails on the system catalogue in one of these ways.
fn may_pass(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let raced = ["23505", "42P07", "42710", "XX000"].contains(&code.as_deref().unwrap_or_default());
    raced || matches!(fault(error), Fault::Clash | Fault::Lost)
}

async fn run(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let lock = "CREATE TABLE IF NOT EXISTS commerce_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                INSERT INTO commerce_schema (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING";
    connection.execute(raw_sql(lock)).await?;
    let mut transaction = connection.begin().await?;
    // Migrations take as long as they take; whoever waits for them here waits too.
    transaction.execute(raw_sql("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")).await?;
    let (version,): (i64,) =
        query_as("SELECT version FROM commerce_schema WHERE id = 1 FOR UPDATE").fetch_one(&mut *transaction).await?;
    let done = usize::try_from(version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute(raw_sql(*migration)).await?;
    }
    if done < MIGRATIONS.len() {
        let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        query("UPDATE commerce_schema SET version = $1 WHERE id = 1").bind(version).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
