//! Pricing: pure totals from lines, shipping and tax.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// What an order or cart costs.
///
/// With gross prices `grand_total = subtotal − discount + shipping`, and `tax` says how much of it is tax. With net prices
/// `grand_total = subtotal − discount + shipping + tax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The lines, at today's prices.
    pub subtotal: Money,
    /// What promotions take off; zero for now.
    pub discount: Money,
    /// The shipping method's price.
    pub shipping: Money,
    /// Tax on lines and shipping.
    pub tax: Money,
    /// What is to be paid.
    pub grand_total: Money,
}
