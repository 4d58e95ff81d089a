//! Reviews, and how they count.

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::Version,
    clock::Timestamp,
    id::{ProductId, ReviewId, UserId},
};

/// Whether a review is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStatus {
    /// To everybody; it counts for the rating.
    Published,
    /// To its author and staff only; it doesn't count.
    Hidden,
}

impl ReviewStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Hidden => "hidden",
        }
    }
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The review's id.
    pub id: ReviewId,
    /// Of which product.
    pub product_id: ProductId,
    /// By whom; unique with the product by [`crate::store::Claim::review`].
    pub customer_id: UserId,
    /// Stars, 1 to 5.
    pub rating: i64,
    /// A headline.
    pub title: String,
    /// The text.
    pub body: String,
    /// How the author is shown: first name and initial.
    pub author: String,
    /// Whether the author has bought the product, by [`Order::is_purchase_of`](crate::order::Order::is_purchase_of). Services
    /// look it up whenever they show a review; what is stored is how it stood when the review was written last.
    pub verified_purchase: bool,
    /// Whether it is shown.
    pub status: ReviewStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

/// How a product's rating moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RatingDelta {
    /// Stars.
    pub sum: i64,
    /// Published reviews.
    pub count: i64,
}

impl Review {
    /// What this review adds to its product's rating: its stars while it is shown, nothing while it is hidden.
    #[must_use]
    pub fn weight(&self) -> RatingDelta {
        match self.status {
            ReviewStatus::Published => RatingDelta { sum: self.rating, count: 1 },
            ReviewStatus::Hidden => RatingDelta::default(),
        }
    }
}

/// How a product's rating moves when one of its reviews changes from `before` to `after`.
pub(super) fn rating_change(before: Option<&Review>, after: Option<&Review>) -> RatingDelta {
    let weight = |review: Option<&Review>| review.map(Review::weight).unwrap_or_default();
    let (before, after) = (weight(before), weight(after));
    RatingDelta { sum: after.sum - before.sum, count: after.count - before.count }
}
