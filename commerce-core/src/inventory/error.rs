//! What the inventory refuses.

use crate::error::{CommonError, common_errors};

/// What the inventory can answer.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// Fewer units would be on hand than are promised to pending orders.
    #[error("{reserved} units are promised to pending orders: no fewer can be on hand")]
    BelowReserved {
        /// How many are promised.
        reserved: i64,
    },
}

common_errors!(InventoryError);
