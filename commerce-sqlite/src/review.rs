//! Reviews, and the ratings they add up to.

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    id::{ProductId, ReviewId, UserId},
    page::{PageSpec, Rows, SortKey},
    review::{Review, ReviewQueries, ReviewQuery, ReviewStatus},
    store::{AggregateWrite, ChangeSet, StoreError},
};
use serde::Deserialize;

use crate::{
    SqliteStore,
    batch::Batch,
    codec::{self, shadow},
    head::head,
    list::{Keyset, listed},
    sql::Sql,
};

#[derive(Deserialize)]
#[serde(remote = "Review")]
struct ReviewRow {
    id: ReviewId,
    product_id: ProductId,
    customer_id: UserId,
    rating: i64,
    title: String,
    body: String,
    author: String,
    #[serde(deserialize_with = "codec::flag")]
    verified_purchase: bool,
    status: ReviewStatus,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    version: i64,
}
shadow!(Review, ReviewRow);

const REVIEW: &str = "json_array(hex(id), hex(product_id), hex(customer_id), rating, title, body, author, \
    verified_purchase, status, created_at, updated_at, version)";

pub(crate) fn save_review(batch: &mut Batch, save: &AggregateWrite<Review>) {
    const COLUMNS: [&str; 10] = [
        "product_id",
        "customer_id",
        "rating",
        "title",
        "body",
        "author",
        "verified_purchase",
        "status",
        "created_at",
        "updated_at",
    ];
    head(batch, save, &COLUMNS, |batch, review| {
        batch.bind(review.product_id.0).bind(review.customer_id.0).bind(review.rating);
        batch.bind(review.title.clone()).bind(review.body.clone()).bind(review.author.clone());
        batch.bind(review.verified_purchase).bind(review.status.as_str());
        batch.bind(review.created_at.as_micros()).bind(review.updated_at.as_micros());
    });
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
        sql.push(REVIEW).push(" FROM commerce_review WHERE id = ?").bind(id.0);
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
        let rows = self.page::<Review>(REVIEW, filter, &Keyset::falling("created_at", "id"), spec).await?;
        Ok(listed(rows, spec, |review| (SortKey::Int(review.created_at.as_micros()), review.id.0)))
    }
}
