//! Migrations: what is refused, what is only read, and that a failure changes nothing. Upgrades of earlier releases' databases
//! are in the workspace's `tests/tests/upgrade.rs`.

use commerce_core::store::StoreError;
use commerce_sqlite::{SqliteStore, migrate};
use sqlx::{Connection as _, Executor as _, SqliteConnection, query_scalar};

async fn connection() -> SqliteConnection {
    SqliteConnection::connect("sqlite::memory:").await.unwrap()
}

async fn objects(conn: &mut SqliteConnection) -> Vec<String> {
    query_scalar("SELECT name FROM sqlite_schema ORDER BY name").fetch_all(conn).await.unwrap()
}

#[tokio::test]
async fn the_record_is_kept_apart_from_the_hosts() {
    let mut conn = connection().await;
    conn.execute("CREATE TABLE _sqlx_migrations (mine TEXT)").await.unwrap();
    migrate(&mut conn).await.unwrap();
    let counts = "SELECT (SELECT count(*) FROM _sqlx_migrations), (SELECT min(version) FROM commerce_migration), \
                  (SELECT max(version) FROM commerce_migration) = (SELECT version FROM commerce_schema)";
    let counts: (i64, i64, bool) = sqlx::query_as(counts).fetch_one(&mut conn).await.unwrap();
    assert_eq!(counts, (0, 1, true));
    // What is up to date is only read.
    conn.execute("PRAGMA query_only = ON").await.unwrap();
    migrate(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let mut conn = connection().await;
    conn.execute("CREATE TABLE commerce_task (mine TEXT)").await.unwrap();
    let before = objects(&mut conn).await;
    assert!(matches!(migrate(&mut conn).await, Err(StoreError::Bug(_))));
    assert_eq!(objects(&mut conn).await, before);
    let foreign_keys: bool = query_scalar("PRAGMA foreign_keys").fetch_one(&mut conn).await.unwrap();
    assert!(foreign_keys, "as it was");
    conn.execute("DROP TABLE commerce_task").await.unwrap();
    migrate(&mut conn).await.unwrap();
}

#[tokio::test]
async fn an_older_or_newer_database_is_refused_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    assert!(matches!(SqliteStore::open_existing(&url).await, Err(StoreError::Unavailable(_))), "there is no file");
    std::fs::write(folder.path().join("shop.db"), "").unwrap();
    let Err(StoreError::Schema(refused)) = SqliteStore::open_existing(&url).await else { panic!("an empty one") };
    let sentence = "the database is older than this program: it lacks the migrations 0001_schema";
    assert!(refused.starts_with(sentence), "{refused}");
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    assert_eq!(objects(&mut conn).await, [""; 0], "and it wasn't changed");

    drop(SqliteStore::open(&url).await.unwrap());
    drop(SqliteStore::open_existing(&url).await.unwrap());
    let newer = "INSERT INTO commerce_migration SELECT 9999, 'later', installed_on, success, checksum, 0 \
                 FROM commerce_migration WHERE version = 1";
    conn.execute(newer).await.unwrap();
    for refused in [SqliteStore::open(&url).await, SqliteStore::open_existing(&url).await] {
        let Err(StoreError::Schema(refused)) = refused else { panic!("{refused:?}") };
        assert!(refused.starts_with("the database is newer than this program: it has migration 9999"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let opened = futures_util::future::join_all((0..8).map(|_| {
        tokio::spawn({
            let url = url.clone();
            async move { SqliteStore::open(&url).await.map(drop) }
        })
    }));
    for opened in opened.await {
        opened.unwrap().unwrap();
    }
}
