//! What finds and sorts products, made anew when this program makes it otherwise than the one that wrote the database.

use commerce_core::{
    catalog::{INDEX_VERSION, Product},
    id::CommitId,
    store::StoreError,
};
use sqlx::{Connection as _, Executor as _, SqliteConnection, query, query_as, query_scalar_with};
use uuid::Uuid;

use crate::{
    batch::Batch,
    catalog::{index_again, whole_product},
    codec::{Row, decode},
    error,
    sql::Sql,
};

/// So many products are written in one transaction: others get their turn in between.
const BATCH: i64 = 250;

/// Brings the index up to date. Each batch is a transaction that also notes how far it came: it may be interrupted, and several
/// processes may take turns at it.
pub(crate) async fn reindex(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    while batch(conn).await? {}
    Ok(())
}

/// Whether there is more to do.
async fn batch(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    // What is up to date is only read.
    if state(conn).await?.0 >= INDEX_VERSION {
        return Ok(false);
    }
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(error::read)?;
    let (version, building, mut done) = state(&mut tx).await?;
    if version >= INDEX_VERSION {
        return Ok(false);
    }
    if building != INDEX_VERSION {
        done = Uuid::nil();
        tx.execute("DELETE FROM commerce_search_word").await.map_err(error::read)?;
    }
    let mut sql = Sql::new("SELECT ");
    sql.push(&whole_product()).push(" FROM commerce_product p WHERE p.id > ? ORDER BY p.id LIMIT ?");
    sql.bind(done).bind(BATCH);
    let (sql, args) = sql.into_parts();
    let rows: Vec<String> = query_scalar_with(sql, args).fetch_all(&mut *tx).await.map_err(error::read)?;
    let more = rows.len() == usize::try_from(BATCH).map_err(StoreError::bug)?;
    for row in rows {
        let product: Row<Product> = decode(&row)?;
        let mut batch = Batch::new(CommitId(Uuid::nil()));
        index_again(&mut batch, &product.0);
        batch.finish().run_bare(&mut tx).await.map_err(error::read)?;
        done = product.0.id.0;
    }
    query("UPDATE commerce_search_index SET version = ?, building = ?, done = ?")
        .bind(if more { version } else { INDEX_VERSION })
        .bind(INDEX_VERSION)
        .bind(done)
        .execute(&mut *tx)
        .await
        .map_err(error::read)?;
    tx.commit().await.map_err(error::read)?;
    Ok(more)
}

async fn state(conn: &mut SqliteConnection) -> Result<(i64, i64, Uuid), StoreError> {
    let state = query_as("SELECT version, building, done FROM commerce_search_index").fetch_one(conn).await;
    state.map_err(error::read)
}
