//! Migrations: who may start, what is refused, and that a failure changes nothing. Upgrades of earlier releases' databases are
//! in the workspace's `tests/tests/upgrade.rs`.

mod support;

use commerce_core::store::StoreError;
use commerce_postgres::PgStore;
use sqlx::{AssertSqlSafe, PgPool, query_scalar, raw_sql};
use support::database;

async fn tables(pool: &PgPool) -> Vec<String> {
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
    query_scalar(tables).fetch_all(pool).await.unwrap()
}

async fn run(pool: &PgPool, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

#[tokio::test]
async fn a_user_without_the_right_to_create_tables_can_start() {
    let database = database().await;
    let admin = PgPool::connect(database.url()).await.unwrap();
    let role = format!("clerk_{}", std::process::id());
    run(&admin, &format!("CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")).await;
    let separator = if database.url().contains('?') { '&' } else { '?' };
    let as_clerk = format!("options[role]={role}&options[default_transaction_read_only]=on");
    let store = PgStore::connect_existing(&format!("{}{separator}{as_clerk}", database.url())).await.unwrap();
    store.migrate().await.unwrap();
    store.pool().close().await;
    run(&admin, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn an_older_or_newer_database_is_refused_by_a_sentence() {
    let database = database().await;
    let admin = PgPool::connect(database.url()).await.unwrap();
    let newer = "INSERT INTO commerce_migration (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', TRUE, '', 0)";
    run(&admin, newer).await;
    for refused in
        [database.store().await.unwrap().migrate().await, PgStore::connect_existing(database.url()).await.map(drop)]
    {
        let Err(StoreError::Schema(refused)) = refused else { panic!("{refused:?}") };
        assert!(refused.starts_with("the database is newer than this program: it has migration 9999"), "{refused}");
    }
    run(&admin, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let Err(StoreError::Schema(refused)) = PgStore::connect_existing(database.url()).await else {
        panic!("an empty one")
    };
    let sentence = "the database is older than this program: it lacks the migrations 0001_schema";
    assert!(refused.starts_with(sentence), "{refused}");
    assert_eq!(tables(&admin).await, [""; 0], "and it wasn't changed");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let database = database().await;
    let admin = PgPool::connect(database.url()).await.unwrap();
    run(&admin, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE commerce_task (mine TEXT)").await;
    let store = database.store().await.unwrap();
    assert!(matches!(store.migrate().await, Err(StoreError::Bug(_) | StoreError::Unavailable(_))));
    assert_eq!(tables(&admin).await, ["commerce_task"]);
    run(&admin, "DROP TABLE commerce_task").await;
    store.migrate().await.unwrap();
}
