//! What is read of reviews.

use async_trait::async_trait;
use serde::Serialize;

use super::{Review, ReviewStatus};
use crate::{
    error::StoreError,
    id::{ProductId, ReviewId, UserId},
    page::{PageSpec, Rows},
};

/// Filters of a list of reviews, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReviewQuery {
    /// Only of this product.
    pub product: Option<ProductId>,
    /// Only by this customer.
    pub customer: Option<UserId>,
    /// Only shown, or only hidden ones.
    pub status: Option<ReviewStatus>,
}

/// Reads of reviews.
#[async_trait]
pub trait ReviewQueries: Send + Sync {
    /// A review.
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError>;

    /// Reviews, newest first.
    async fn list_reviews(&self, query: &ReviewQuery, spec: &PageSpec) -> Result<Rows<Review>, StoreError>;
}
