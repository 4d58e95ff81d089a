//! Reviews and ratings: one per customer and product, shown at once, hidden by moderators.

mod error;
mod model;
mod queries;
mod rules;
mod service;

pub(crate) use self::service::look_up_purchases;
pub use self::{
    error::ReviewError,
    model::{RatingDelta, Review, ReviewStatus},
    queries::{ReviewQueries, ReviewQuery},
    rules::{NewReview, ReviewPatch},
    service::Reviews,
};
