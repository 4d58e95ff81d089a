//! An answer of success is durable: how the writing connection is set up.

use commerce_sqlite::SqliteStore;
use sqlx::query_scalar;

#[tokio::test]
async fn commits_are_written_ahead_and_synchronised_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let pragmas = store.write(|conn| {
        Box::pin(async move {
            let journal: String = query_scalar("PRAGMA journal_mode").fetch_one(&mut *conn).await?;
            let synchronous: i64 = query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await?;
            Ok::<_, sqlx::Error>((journal, synchronous))
        })
    });
    assert_eq!(pragmas.await.unwrap(), ("wal".to_owned(), 2), "2 is FULL");
}
