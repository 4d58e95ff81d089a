//! Spreading the tables over the nodes of a distributed PostgreSQL, by the calls of the chapter "Scaling out".

use commerce_core::store::StoreError;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, query_as, raw_sql};

use crate::{error::store_error, pool::ConnectionPool};

/// Why the tables weren't spread.
#[derive(Debug, thiserror::Error)]
pub enum DistributeError {
    /// It is a plain PostgreSQL.
    #[error(
        "this PostgreSQL has no Citus: install it on every node and run CREATE EXTENSION citus, or stay on one server"
    )]
    NoCitus,
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The calls, each with the table it places.
pub(crate) fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("scaling_out.md").lines();
    let calls = lines.filter(|line| line.starts_with("SELECT create_") && line.ends_with(';'));
    calls.filter_map(|call| Some((call.split('\'').nth(1)?, call)))
}

/// Places every table that isn't yet; how many that were.
pub(crate) async fn distribute(pool: &ConnectionPool) -> Result<u64, DistributeError> {
    let present = query_as::<_, (bool,)>("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')");
    let mut connection = pool.unhurried().await.map_err(store_error)?;
    let (present,) = present.fetch_one(&mut connection).await.map_err(store_error)?;
    if !present {
        return Err(DistributeError::NoCitus);
    }
    let mut placed = 0;
    for (table, call) in calls() {
        let known = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = $1::regclass)";
        let (known,): (bool,) = query_as(known).bind(table).fetch_one(&mut connection).await.map_err(store_error)?;
        if !known {
            connection.execute(raw_sql(AssertSqlSafe(call))).await.map_err(store_error)?;
            placed += 1;
        }
    }
    connection.close().await.map_err(store_error)?;
    Ok(placed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_chapter_is_what_is_run() {
        let tables: Vec<_> = super::calls().map(|(table, _)| table).collect();
        assert!(tables.contains(&"commerce_product") && tables.contains(&"commerce_order"), "{tables:?}");
        assert_eq!(tables.len(), include_str!("scaling_out.md").matches("SELECT create_").count());
    }
}
