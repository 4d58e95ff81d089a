//! [`Placement`]: an order that was placed.

use std::ops::Deref;

use crate::{order::Order, payment::PlacementOutcome, token::OrderToken};

/// An order that was placed, and how that ended. It reads like its order: `placement.id`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// The order.
    pub order: Order,
    /// For guests: opens the order.
    pub order_token: Option<OrderToken>,
    /// How the checkout ended, as far as is known.
    pub outcome: PlacementOutcome,
}

impl Deref for Placement {
    type Target = Order;
    fn deref(&self) -> &Order {
        &self.order
    }
}
