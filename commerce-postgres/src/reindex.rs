//! What finds and sorts products, made anew when this program makes it otherwise than the one that wrote the database.

use commerce_core::{
    catalog::{INDEX_VERSION, Product},
    store::StoreError,
};
use sqlx::{Connection as _, Executor as _, PgConnection, query, query_as};
use uuid::Uuid;

use crate::{
    catalog::{ProductWithVariants, whole_products},
    error::{ErrorClass, classify, store_error},
    pool::ConnectionPool,
    reads::fetch_in,
    search_words,
};

/// So many products are written in one transaction: others get their turn in between.
const BATCH: u32 = 200;
/// How often a batch is begun again that clashed with other writes.
const ATTEMPTS: u32 = 20;

/// Brings the index up to date. Each batch is a transaction that also notes how far it came: it may be interrupted, and several
/// servers may take turns at it. Each row is a statement, which a distributed database takes too.
pub(crate) async fn reindex(pool: &ConnectionPool) -> Result<(), StoreError> {
    run(pool).await.map_err(store_error)
}

async fn run(pool: &ConnectionPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.unhurried().await?;
    let mut attempt = 0;
    loop {
        match batch(&mut connection, pool.begin_unhurried()).await {
            Ok(true) => attempt = 0,
            Ok(false) => return connection.close().await,
            Err(error) if attempt < ATTEMPTS && classify(&error) == ErrorClass::Clash => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Whether there is more to do.
async fn batch(connection: &mut PgConnection, begin: &'static str) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(begin).await?;
    // Read first: a standby, and whoever may only read, can't lock.
    let state = "SELECT version FROM commerce_search_index WHERE id = 1";
    let (version,): (i64,) = query_as(state).fetch_one(&mut *transaction).await?;
    if version >= INDEX_VERSION {
        transaction.rollback().await?;
        return Ok(false);
    }
    let state = "SELECT version, building, done FROM commerce_search_index WHERE id = 1 FOR UPDATE";
    let (version, building, mut done): (i64, i64, Uuid) = query_as(state).fetch_one(&mut *transaction).await?;
    if version >= INDEX_VERSION {
        transaction.rollback().await?;
        return Ok(false);
    }
    if building != INDEX_VERSION {
        done = Uuid::nil();
        transaction.execute("DELETE FROM commerce_search_word").await?;
    }
    let mut sql = whole_products();
    sql.push("p.id > ").bind(done).push(&format!(" ORDER BY p.id LIMIT {BATCH}"));
    let products: Vec<ProductWithVariants> = fetch_in(&mut transaction, &sql).await?;
    let more = products.len() == BATCH as usize;
    for product in products.into_iter().map(Product::from) {
        index_again(&mut transaction, &product).await?;
        done = product.id.0;
    }
    query("UPDATE commerce_search_index SET version = $1, building = $2, done = $3 WHERE id = 1")
        .bind(if more { version } else { INDEX_VERSION })
        .bind(INDEX_VERSION)
        .bind(done)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(more)
}

/// A product that somebody edits meanwhile is left to them: they write these columns too.
async fn index_again(connection: &mut PgConnection, product: &Product) -> Result<(), sqlx::Error> {
    query("UPDATE commerce_product SET title_key = $1, title_sort = $2, document = $3::tsvector WHERE id = $4 AND version = $5")
        .bind(product.title_key())
        .bind(product.title_sort_key())
        .bind(search_words::document(product).0)
        .bind(product.id.0)
        .bind(product.version)
        .execute(&mut *connection)
        .await?;
    query("UPDATE commerce_product_category SET title_key = $1, title_sort = $2 WHERE product_id = $3")
        .bind(product.title_key())
        .bind(product.title_sort_key())
        .bind(product.id.0)
        .execute(&mut *connection)
        .await?;
    let words: Vec<String> = search_words::words(product).into_iter().collect();
    query("INSERT INTO commerce_search_word (word) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
        .bind(words)
        .execute(&mut *connection)
        .await?;
    Ok(())
}
