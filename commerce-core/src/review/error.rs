//! What reviews refuse.

use crate::error::{CommonError, common_errors};

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
