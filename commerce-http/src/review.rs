//! Reviews: reading and writing them, and moderation.

pub mod dto;

use std::sync::Arc;

use commerce_core::{
    id::ReviewId,
    review::{self as core, ReviewError},
};
use poem_openapi::{OpenApi, param::Path, types::Example};
use uuid::Uuid;

use self::dto::{Moderation, NewReview, Review, ReviewPatch, ReviewStatus};
use crate::{
    caller::{Caller, Public, SignedIn, staff::ModerateReviews},
    param::{Paging, Query, path_text},
    payload::{Created, Empty, Input, Reply},
    problem::{ApiError, Code},
    spec::Tag,
    stack::AppState,
    types::Page,
};

impl From<ReviewError> for ApiError {
    fn from(error: ReviewError) -> Self {
        let detail = error.to_string();
        match error {
            ReviewError::Common(error) => error.into(),
            ReviewError::AlreadyReviewed => Self::new(Code::AlreadyReviewed, detail),
        }
    }
}

fn reply(review: core::Review) -> Reply<Review> {
    let version = review.version;
    Reply::new(review).version(version)
}

/// Operations on reviews.
pub struct ReviewApi(pub Arc<AppState>);

impl ReviewApi {
    async fn own(&self, caller: &Caller<SignedIn>, id: ReviewId) -> Result<(), ApiError> {
        let user = caller.actor.identity()?.user;
        let review = self.0.commerce.store().reads().load_review(id).await?;
        let own = review.is_some_and(|review| review.customer_id == user);
        own.then_some(()).ok_or_else(|| ApiError::not_found("review"))
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Reviews")]
impl ReviewApi {
    /// A product's reviews
    ///
    /// Published ones, newest first.
    #[oai(path = "/products/:id_or_slug/reviews", method = "get", operation_id = "list_product_reviews")]
    async fn of_product(
        &self,
        caller: Caller<Public>,
        id_or_slug: Path<String>,
        paging: Paging,
    ) -> Result<Reply<Page<Review>>, ApiError> {
        let id_or_slug = path_text("id_or_slug", &id_or_slug)?;
        Ok(Reply::new(Page::of(caller.shop().reviews().of_product(id_or_slug, &paging.0).await?)))
    }

    /// Review a product
    ///
    /// One review a product. It is shown at once; `verified_purchase` says whether you have bought it.
    #[oai(path = "/products/:id_or_slug/reviews", method = "post", operation_id = "create_review")]
    async fn create(
        &self,
        caller: Caller<SignedIn>,
        id_or_slug: Path<String>,
        body: Input<NewReview>,
    ) -> Result<Created<Review>, ApiError> {
        let id_or_slug = path_text("id_or_slug", &id_or_slug)?;
        let catalog = caller.shop().catalog();
        let draft = body.parse_for(catalog.product(id_or_slug)).await?.into();
        let done = caller.shop().reviews().create(id_or_slug, draft).outcome().await?;
        let (id, version) = (done.value.id, done.value.version);
        Ok(Created::outcome(done).version(version).location(&format!("/v1/reviews/{id}")))
    }

    /// Change your review
    ///
    /// What is absent stays.
    #[oai(path = "/reviews/:id", method = "patch", operation_id = "update_review")]
    async fn update(
        &self,
        caller: Caller<SignedIn>,
        id: Path<Uuid>,
        body: Input<ReviewPatch>,
    ) -> Result<Reply<Review>, ApiError> {
        let id = id.0.into();
        let patch = body.parse_for(self.own(&caller, id)).await?.into();
        Ok(reply(caller.shop().reviews().update(id, patch).await?))
    }

    /// Delete your review
    ///
    /// Moderators may delete anybody's.
    #[oai(path = "/reviews/:id", method = "delete", operation_id = "delete_review")]
    async fn delete(&self, caller: Caller<SignedIn>, id: Path<Uuid>) -> Result<Empty, ApiError> {
        caller.shop().reviews().delete(id.0.into()).await?;
        Ok(Empty)
    }

    /// Your reviews
    ///
    /// Newest first, hidden ones too.
    #[oai(path = "/me/reviews", method = "get", operation_id = "list_my_reviews")]
    async fn mine(&self, caller: Caller<SignedIn>, paging: Paging) -> Result<Reply<Page<Review>>, ApiError> {
        Ok(Reply::new(Page::of(caller.shop().reviews().mine(&paging.0).await?)))
    }
}

/// Moderation.
pub struct AdminReviewApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/admin/reviews", tag = "Tag::AdminReviews")]
impl AdminReviewApi {
    /// All reviews
    ///
    /// Newest first.
    #[oai(path = "/", method = "get", operation_id = "admin_list_reviews")]
    async fn list(
        &self,
        caller: Caller<ModerateReviews>,
        /// Only this status.
        #[oai(example = "ReviewStatus::example")]
        status: Query<ReviewStatus>,
        paging: Paging,
    ) -> Result<Reply<Page<Review>>, ApiError> {
        let reviews = caller.shop().reviews();
        Ok(Reply::new(Page::of(reviews.admin_reviews(status.0.map(Into::into), &paging.0).await?)))
    }

    /// Hide or show a review
    ///
    /// A hidden review counts no longer in the rating.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_moderate_review")]
    async fn moderate(
        &self,
        caller: Caller<ModerateReviews>,
        id: Path<Uuid>,
        body: Input<Moderation>,
    ) -> Result<Reply<Review>, ApiError> {
        let id = ReviewId(id.0);
        let exists = async {
            let review = self.0.commerce.store().reads().load_review(id).await?;
            review.ok_or_else(|| ApiError::not_found("review"))
        };
        let status = body.parse_for(exists).await?.status.into();
        Ok(reply(caller.shop().reviews().moderate(id, status).await?))
    }
}
