//! Where the tables are placed on the nodes of a distributed PostgreSQL.

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

/// On which nodes a table's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// On all of them.
    Everywhere,
    /// Each on one, by the value of a column.
    By(&'static str),
    /// The same, on the node on which another table has its rows with that value.
    With(&'static str, &'static str),
}

use Placement::{By, Everywhere, With};

/// All tables but `commerce_migration`. What is everywhere comes first, as the rest is joined with it.
const PLACEMENTS: &[(&str, Placement)] = &[
    ("commerce_schema", Everywhere),
    ("commerce_search_index", Everywhere),
    ("commerce_product", Everywhere),
    ("commerce_search_word", Everywhere),
    ("commerce_variant", Everywhere),
    ("commerce_product_category", Everywhere),
    ("commerce_category_tree", Everywhere),
    ("commerce_category", Everywhere),
    ("commerce_rating", Everywhere),
    ("commerce_stock", By("variant_id")),
    ("commerce_movement", With("variant_id", "commerce_stock")),
    ("commerce_cart", By("id")),
    ("commerce_cart_line", With("cart_id", "commerce_cart")),
    ("commerce_order", By("id")),
    ("commerce_order_line", With("order_id", "commerce_order")),
    ("commerce_payment", With("order_id", "commerce_order")),
    ("commerce_refund", With("order_id", "commerce_order")),
    ("commerce_fulfilment", With("order_id", "commerce_order")),
    ("commerce_return", With("order_id", "commerce_order")),
    ("commerce_user", By("id")),
    ("commerce_session", By("id")),
    ("commerce_mail_token", By("id")),
    ("commerce_address", By("id")),
    ("commerce_review", By("id")),
    ("commerce_alert", By("id")),
    ("commerce_event", By("root_id")),
    ("commerce_task", By("id")),
    ("commerce_commit", By("id")),
    ("commerce_claim", By("key")),
    ("commerce_key", By("key")),
    ("commerce_attempt", By("key")),
];

impl Placement {
    /// The call of Citus that places a table so.
    fn call(self, table: &str) -> String {
        match self {
            Everywhere => format!("SELECT create_reference_table('{table}');"),
            By(column) => format!("SELECT create_distributed_table('{table}', '{column}', colocate_with => 'none');"),
            With(column, other) => {
                format!("SELECT create_distributed_table('{table}', '{column}', colocate_with => '{other}');")
            }
        }
    }
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
    for (table, placement) in PLACEMENTS {
        let known = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = $1::regclass)";
        let (known,): (bool,) = query_as(known).bind(*table).fetch_one(&mut connection).await.map_err(store_error)?;
        if !known {
            connection.execute(raw_sql(AssertSqlSafe(placement.call(table)))).await.map_err(store_error)?;
            placed += 1;
        }
    }
    connection.close().await.map_err(store_error)?;
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chapter_shows_what_is_run() {
        let chapter: Vec<_> =
            include_str!("scaling_out.md").lines().filter(|line| line.starts_with("SELECT create_")).collect();
        let calls: Vec<_> = PLACEMENTS.iter().map(|(table, placement)| placement.call(table)).collect();
        assert_eq!(chapter, calls);
    }
}
