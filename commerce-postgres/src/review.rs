//! Reviews and ratings.

use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    id::{ProductId, ReviewId, UserId},
    page::{Cursor, PageSpec, Rows},
    review::{Review, ReviewQueries, ReviewQuery, ReviewStatus},
    store::{ChangeSet, RatingDelta, StoreError},
};
use uuid::Uuid;

use crate::{
    codec::{Column, Name, table},
    page::{Direction, List, Sorted, at},
    reads::PgReads,
    sql::Sql,
    statement::{GuardFailure, Statement, TableWrite},
};

table! {
    ReviewRow = "commerce_review" by [id] {
        id: Uuid,
        product_id: Uuid,
        customer_id: Uuid,
        rating: i64,
        title: String,
        body: String,
        author: String,
        verified_purchase: bool,
        status: Name<ReviewStatus>,
        created_at: i64,
        updated_at: i64,
        version: i64,
    }
}

impl From<&Review> for ReviewRow {
    fn from(review: &Review) -> Self {
        Self {
            id: review.id.0,
            product_id: review.product_id.0,
            customer_id: review.customer_id.0,
            rating: review.rating,
            title: review.title.clone(),
            body: review.body.clone(),
            author: review.author.clone(),
            verified_purchase: review.verified_purchase,
            status: Name(review.status),
            created_at: review.created_at.as_micros(),
            updated_at: review.updated_at.as_micros(),
            version: review.version,
        }
    }
}

impl From<ReviewRow> for Review {
    fn from(row: ReviewRow) -> Self {
        Self {
            id: ReviewId(row.id),
            product_id: ProductId(row.product_id),
            customer_id: UserId(row.customer_id),
            rating: row.rating,
            title: row.title,
            body: row.body,
            author: row.author,
            verified_purchase: row.verified_purchase,
            status: row.status.0,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        }
    }
}

impl Sorted for ReviewRow {
    fn position(&self) -> Cursor {
        at(self.created_at, self.id)
    }
}

table! {
    NewRatingRow = "commerce_rating" by [product_id] {
        product_id: Uuid,
        sum: i64,
        count: i64,
    }
}

/// Moves ratings. A new product's row opens with what the set adds to it: within one statement, it can't be updated too.
pub(crate) fn rate(set: &ChangeSet, opened: &[ProductId], plan: &mut Statement) {
    let deltas: BTreeMap<ProductId, RatingDelta> = set.ratings().collect();
    let open = |product: &ProductId| {
        let RatingDelta { sum, count } = deltas.get(product).copied().unwrap_or_default();
        NewRatingRow { product_id: product.0, sum, count }
    };
    plan.put(opened.iter().map(open).collect());

    let moved = || deltas.iter().filter(|(product, _)| !opened.contains(product));
    let sql = "UPDATE commerce_rating t SET sum = t.sum + u.sum, count = t.count + u.count FROM {u} \
               WHERE t.product_id = u.product_id RETURNING t.product_id::text AS k";
    let rows = vec![
        ("product_id", Column::uuids(moved().map(|(product, _)| product.0))),
        ("sum", Column::ints(moved().map(|(_, delta)| delta.sum))),
        ("count", Column::ints(moved().map(|(_, delta)| delta.count))),
    ];
    let unknown = |product: &ProductId| (product.to_string(), GuardFailure::Bug("an unknown product was rated"));
    plan.add(TableWrite::change(sql, rows).guarded(moved().map(|(product, _)| unknown(product)).collect()));
}

#[async_trait]
impl ReviewQueries for PgReads {
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_review WHERE id = ");
        Ok(self.reader.optional::<ReviewRow>(sql.bind(id.0)).await?.map(Into::into))
    }

    async fn list_reviews(&self, query: &ReviewQuery, spec: &PageSpec) -> Result<Rows<Review>, StoreError> {
        let mut from = Sql::new(" FROM commerce_review WHERE TRUE");
        from.and("product_id =", query.product.map(|product| product.0))
            .and("customer_id =", query.customer.map(|customer| customer.0))
            .and("status =", query.status.map(ReviewStatus::as_str));
        let list = List { select: "SELECT *", key: "created_at", id: "id", direction: Direction::Falling };
        self.reader.list::<ReviewRow, Review>(list, &from, spec).await
    }
}
