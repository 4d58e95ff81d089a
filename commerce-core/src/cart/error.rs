//! What carts refuse.

use crate::{
    error::{CommonError, common_errors},
    id::VariantId,
};

/// Why a call on a cart was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// There are fewer than asked for.
    #[error("only {available} of this item are available")]
    OutOfStock {
        /// The variant that is out of stock.
        variant_id: VariantId,
        /// How many there are.
        available: i64,
    },
}

common_errors!(CartError);
