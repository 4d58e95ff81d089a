//! [`LineQuantity`]: some units of a line of an order.

use serde::{Deserialize, Serialize};

use crate::id::VariantId;

/// A quantity of one of the order's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineQuantity {
    /// The line's variant.
    pub variant_id: VariantId,
    /// How many; at least 1.
    pub quantity: u32,
}
