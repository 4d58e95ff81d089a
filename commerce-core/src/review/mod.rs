//! Reviews and ratings: one per customer and product, shown at once, hidden by moderators.

mod entity;
mod rules;
mod service;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    entity::{Review, ReviewQuery, ReviewStatus},
    rules::{ReviewDraft, ReviewPatch},
};
use crate::{
    engine::Engine,
    error::{CommonError, common_errors},
    id::ReviewId,
    page::{Listed, Slice},
    store::StoreError,
};

/// Reads of reviews.
#[async_trait]
pub trait ReviewStore: Send + Sync {
    /// A review.
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError>;

    /// Reviews, newest first.
    async fn list_reviews(&self, query: &ReviewQuery, slice: &Slice) -> Result<Listed<Review>, StoreError>;
}

/// What reviews can answer.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// One review per customer and product.
    #[error("you have reviewed this product already: change your review instead")]
    AlreadyReviewed,
}

common_errors!(ReviewError);

/// Reviews and ratings.
///
/// Everybody sees published reviews of active products; signed-in users write one for each product; hiding needs
/// [`Permission::ModerateReviews`](crate::call::Permission::ModerateReviews).
#[derive(Clone)]
pub struct Reviews {
    engine: Arc<Engine>,
}

impl Reviews {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}
