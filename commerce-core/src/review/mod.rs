//! Reviews and ratings: one per customer and product, shown at once, hidden by moderators.

mod entity;
mod rules;
mod service;

use async_trait::async_trait;

pub(crate) use self::service::look_up_purchases;
pub use self::{
    entity::{Review, ReviewQuery, ReviewStatus},
    rules::{NewReview, ReviewPatch},
};
use crate::{
    error::{CommonError, common_errors},
    id::ReviewId,
    page::{PageSpec, Rows},
    store::StoreError,
    write::Scope,
};

/// Reads of reviews.
#[async_trait]
pub trait ReviewQueries: Send + Sync {
    /// A review.
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError>;

    /// Reviews, newest first.
    async fn list_reviews(&self, query: &ReviewQuery, spec: &PageSpec) -> Result<Rows<Review>, StoreError>;
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
/// [`Permission::ModerateReviews`](crate::context::Permission::ModerateReviews).
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&RequestContext::system(), draft).await?.value.view.product.variants[0].id;
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// let ada = shop.sign_in("ada@example.com", "difference engine no 2").await?;
/// let review = ada.reviews().create("enamel-mug", NewReview::new(5, "Sturdy", "Survived a fall.")).await?;
/// assert!(!review.verified_purchase); // she hasn't bought it
/// assert_eq!(shop.catalog().product(&Actor::guest(), "enamel-mug").await?.view.rating_average(), 5.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Reviews {
    scope: Scope,
}

impl Reviews {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }
}
