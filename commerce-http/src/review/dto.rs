//! Reviews on the wire.

use commerce_core::review as core;
use poem_openapi::{Object, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Time, mirror, present, sample};

mirror! {
    /// Whether a review is shown.
    ReviewStatus = core::ReviewStatus { Published, Hidden }
}

/// A review.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Review {
    pub id: Uuid,
    pub product_id: Uuid,
    /// 1 to 5 stars.
    pub rating: i64,
    pub title: String,
    pub body: String,
    /// First name and initial.
    pub author: String,
    /// Whether the author had bought the product.
    pub verified_purchase: bool,
    pub status: ReviewStatus,
    pub created_at: Time,
}

impl From<core::Review> for Review {
    fn from(review: core::Review) -> Self {
        Self {
            id: review.id.0,
            product_id: review.product_id.0,
            rating: review.rating,
            title: review.title,
            body: review.body,
            author: review.author,
            verified_purchase: review.verified_purchase,
            status: review.status.into(),
            created_at: review.created_at.into(),
        }
    }
}

impl Example for Review {
    fn example() -> Self {
        let NewReview { rating, title, body } = NewReview::example();
        Self {
            id: sample::OTHER,
            product_id: sample::PRODUCT,
            rating,
            title,
            body,
            author: "Mia B.".to_owned(),
            verified_purchase: true,
            status: ReviewStatus::Published,
            created_at: sample::time(),
        }
    }
}

/// A new review.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewReview {
    /// 1 to 5 stars.
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    pub rating: i64,
    #[oai(validator(min_length = 1, max_length = 120))]
    pub title: String,
    #[oai(validator(min_length = 1, max_length = 5000))]
    pub body: String,
}

impl From<NewReview> for core::NewReview {
    fn from(body: NewReview) -> Self {
        Self::new(body.rating, body.title, body.body)
    }
}

impl Example for NewReview {
    fn example() -> Self {
        let (title, body) = ("Sturdy".to_owned(), "Fell twice, still in one piece.".to_owned());
        Self { rating: 5, title, body }
    }
}

/// Changes to a review.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct ReviewPatch {
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    pub rating: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 120))]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 5000))]
    pub body: Option<String>,
}

impl From<ReviewPatch> for core::ReviewPatch {
    fn from(body: ReviewPatch) -> Self {
        Self::new().rating(body.rating).title(body.title).body(body.body)
    }
}

impl Example for ReviewPatch {
    fn example() -> Self {
        let NewReview { title, body, .. } = NewReview::example();
        Self { rating: Some(4), title: Some(title), body: Some(body) }
    }
}

/// A moderator's decision.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Moderation {
    pub status: ReviewStatus,
}

impl Example for Moderation {
    fn example() -> Self {
        Self { status: ReviewStatus::Hidden }
    }
}
