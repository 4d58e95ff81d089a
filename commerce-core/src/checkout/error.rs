//! What checkouts refuse.

use crate::{
    error::{CommonError, common_errors},
    id::VariantId,
    pricing::Totals,
};

/// Why nothing was ordered. Nothing was charged, and the cart is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// There is nothing to order.
    #[error("the cart is empty")]
    CartEmpty,
    /// There are fewer than the cart holds.
    #[error("only {available} of an item in the cart are available")]
    OutOfStock {
        /// The variant that is out of stock.
        variant_id: VariantId,
        /// How many there are.
        available: i64,
    },
    /// The total isn't what the customer has seen.
    #[error("the total has changed to {}", totals.grand_total)]
    PriceChanged {
        /// What it costs now.
        totals: Box<Totals>,
    },
    /// The gateway of the chosen method can't take this total. Another method may.
    #[error(transparent)]
    AmountNotPayable(#[from] crate::payment::AmountNotPayable),
    /// The order isn't waiting to be paid, or its goods aren't reserved any more.
    #[error("this order can't be paid (any more)")]
    NotPayable,
    /// Its payment is being made right now.
    #[error("another call on this order's payment is running; try again")]
    PaymentBusy,
    /// The payment gateway isn't reached; try again.
    #[error("the payment gateway is unavailable; nothing was charged, try again")]
    GatewayUnavailable,
}

common_errors!(CheckoutError);
