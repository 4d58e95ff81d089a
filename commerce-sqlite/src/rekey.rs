//! Claims and search keys of SKUs from before they were compared as they look ([`commerce_core::text::look`]), written anew.

use commerce_core::store::{Claim, StoreError};
use sqlx::{Connection as _, SqliteConnection, query, query_as, query_scalar};

use crate::error;

/// Does what the mark left by the migration asks for, once. Of two SKUs that look the same, the one that sorts first as it is now
/// claimed keeps the claim; the other stays as it is until it is changed.
pub(crate) async fn rekey(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let marked: bool = query_scalar("SELECT EXISTS (SELECT 1 FROM commerce_claim WHERE kind = 'rekey')")
        .fetch_one(&mut *conn)
        .await
        .map_err(error::read)?;
    if !marked {
        return Ok(());
    }
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(error::read)?;
    let mark = query("DELETE FROM commerce_claim WHERE kind = 'rekey'").execute(&mut *tx).await.map_err(error::read)?;
    if mark.rows_affected() > 0 {
        rekey_claims(&mut tx).await.map_err(error::read)?;
        rekey_variants(&mut tx).await.map_err(error::read)?;
    }
    tx.commit().await.map_err(error::read)
}

async fn rekey_claims(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let claims: Vec<(String, Vec<u8>)> =
        query_as("SELECT key, owner FROM commerce_claim WHERE kind = 'sku' ORDER BY key").fetch_all(&mut *conn).await?;
    for (sku, owner) in claims {
        let claim = Claim::sku(&sku);
        if claim.key == sku {
            continue;
        }
        query("DELETE FROM commerce_claim WHERE kind = 'sku' AND key = ?").bind(&sku).execute(&mut *conn).await?;
        query("INSERT INTO commerce_claim (kind, key, owner) VALUES ('sku', ?, ?) ON CONFLICT DO NOTHING")
            .bind(claim.key)
            .bind(owner)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn rekey_variants(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let variants: Vec<(Vec<u8>, String, String)> =
        query_as("SELECT id, sku, sku_key FROM commerce_variant").fetch_all(&mut *conn).await?;
    for (id, sku, key) in variants {
        let look = Claim::sku(&sku).key;
        if look != key {
            query("UPDATE commerce_variant SET sku_key = ? WHERE id = ?")
                .bind(look)
                .bind(id)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use commerce_core::{id::VariantId, store::OutboxQueries as _};
    use sqlx::{Executor as _, SqlitePool, raw_sql};
    use uuid::Uuid;

    use super::*;
    use crate::SqliteStore;

    #[tokio::test]
    async fn skus_of_an_older_shop_are_claimed_as_they_look() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display());
        drop(SqliteStore::open(&url).await.unwrap());
        let pool = SqlitePool::connect(&url).await.unwrap();
        let owner = |n: u8| VariantId(Uuid::from_bytes([n; 16]));
        for (n, sku) in [(1, "MUG-1"), (2, "ÄRMEL"), (3, "CUP"), (4, "cup"), (5, "plain")] {
            query("INSERT INTO commerce_claim VALUES ('sku', ?, ?)")
                .bind(sku)
                .bind(owner(n).0)
                .execute(&pool)
                .await
                .unwrap();
        }
        pool.execute(raw_sql("INSERT INTO commerce_claim VALUES ('rekey', 'sku', zeroblob(16))")).await.unwrap();
        pool.close().await;

        for _ in 0..2 {
            let store = SqliteStore::open(&url).await.unwrap();
            for (sku, n) in [("mug-1", 1), ("Ärmel", 2), ("PLAIN", 5)] {
                assert_eq!(store.load_claim(&Claim::sku(sku)).await.unwrap(), Some(owner(n).0), "{sku}");
            }
            assert!(store.load_claim(&Claim::sku("Cup")).await.unwrap().is_some(), "one of the two keeps it");
            let left: i64 =
                query_scalar("SELECT count(*) FROM commerce_claim WHERE kind <> 'sku' OR key GLOB '*[A-Z]*'")
                    .fetch_one(&SqlitePool::connect(&url).await.unwrap())
                    .await
                    .unwrap();
            assert_eq!(left, 0);
        }
    }
}
