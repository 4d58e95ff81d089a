//! Claims and search keys of SKUs from before they were compared as they look ([`commerce_core::text::look`]), written anew.

use commerce_core::store::{Claim, StoreError};
use sqlx::{Connection as _, Executor as _, PgConnection, query, query_as, raw_sql};
use uuid::Uuid;

use crate::{error::store_error, pool::ConnectionPool};

/// Does what the mark left by the migration asks for, once: of several servers that start together, those that find the mark gone
/// have nothing to do. Of two SKUs that look the same, the one that sorts first keeps the claim; the other stays as it is until it
/// is changed.
pub(crate) async fn rekey(pool: &ConnectionPool) -> Result<(), StoreError> {
    run(pool).await.map_err(store_error)
}

async fn run(pool: &ConnectionPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.unhurried().await?;
    let mut transaction = connection.begin_with(pool.begin_unhurried()).await?;
    let marked = "SELECT EXISTS (SELECT 1 FROM commerce_claim WHERE key = 'sku' AND kind = 'rekey')";
    let (marked,): (bool,) = query_as(marked).fetch_one(&mut *transaction).await?;
    if !marked {
        transaction.rollback().await?;
        return connection.close().await;
    }
    transaction.execute(raw_sql("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")).await?;
    let mark = query("DELETE FROM commerce_claim WHERE key = 'sku' AND kind = 'rekey'");
    if mark.execute(&mut *transaction).await?.rows_affected() > 0 {
        rekey_claims(&mut transaction).await?;
        rekey_variants(&mut transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await
}

// Row by row, and by the columns that rows are distributed by: Citus moves no row from one node to another.
async fn rekey_claims(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let claims: Vec<(String, Uuid)> = query_as("SELECT key, owner FROM commerce_claim WHERE kind = 'sku' ORDER BY key")
        .fetch_all(&mut *connection)
        .await?;
    for (sku, owner) in claims {
        let claim = Claim::sku(&sku);
        if claim.key == sku {
            continue;
        }
        query("DELETE FROM commerce_claim WHERE key = $1 AND kind = 'sku'")
            .bind(&sku)
            .execute(&mut *connection)
            .await?;
        query("INSERT INTO commerce_claim (key, kind, owner) VALUES ($1, 'sku', $2) ON CONFLICT DO NOTHING")
            .bind(claim.key)
            .bind(owner)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn rekey_variants(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let variants: Vec<(Uuid, Uuid, String, String)> =
        query_as("SELECT product_id, id, sku, sku_key FROM commerce_variant").fetch_all(&mut *connection).await?;
    for (product, id, sku, key) in variants {
        let look = Claim::sku(&sku).key;
        if look != key {
            query("UPDATE commerce_variant SET sku_key = $1 WHERE product_id = $2 AND id = $3")
                .bind(look)
                .bind(product)
                .bind(id)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}
