//! Reviews, and the ratings they add up to.

use async_trait::async_trait;
use commerce_core::{
    id::ReviewId,
    page::{PageSpec, Rows, SortKey},
    review::{Review, ReviewQueries, ReviewQuery},
    store::{ChangeSet, StoreError},
};

use crate::{
    SqliteStore,
    batch::Batch,
    list::{Keyset, listed},
    row::{Flag, Id, Int, Name, Text, Time, row},
    sql::Sql,
};

row! {
    fn review() -> Review of "" {
        id: Id,
        product_id: Id,
        customer_id: Id,
        rating: Int,
        title: Text,
        body: Text,
        author: Text,
        verified_purchase: Flag,
        status: Name,
        created_at: Time,
        updated_at: Time,
        version: Int,
    }
}

/// Moves ratings, and what lists sort by along with them.
pub(crate) fn ratings(batch: &mut Batch, set: &ChangeSet) {
    for (product, delta) in set.ratings() {
        batch.guarded(
            1,
            "UPDATE commerce_product SET rating_sum = rating_sum + ?, rating_count = rating_count + ? WHERE id = ?",
        );
        batch.bind(delta.sum).bind(delta.count).bind(product.0);
        batch.statement(
            "UPDATE commerce_listing SET rating = iif(p.rating_count = 0, 0.0, CAST(p.rating_sum AS REAL) / p.rating_count) \
             FROM commerce_product p WHERE p.id = ? AND commerce_listing.product = p.n",
        );
        batch.bind(product.0);
    }
}

#[async_trait]
impl ReviewQueries for SqliteStore {
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&review()).push(" FROM commerce_review WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_reviews(&self, query: &ReviewQuery, spec: &PageSpec) -> Result<Rows<Review>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_review WHERE true");
            if let Some(product) = query.product {
                sql.push(" AND product_id = ?").bind(product.0);
            }
            if let Some(customer) = query.customer {
                sql.push(" AND customer_id = ?").bind(customer.0);
            }
            if let Some(status) = query.status {
                sql.push(" AND status = ?").bind(status.as_str());
            }
        };
        let rows = self.page::<Review>(&review(), filter, &Keyset::falling("created_at", "id"), spec).await?;
        Ok(listed(rows, spec, |review| (SortKey::Int(review.created_at.as_micros()), review.id.0)))
    }
}
