//! What orders and payments refuse.

use crate::{
    error::{CommonError, common_errors},
    id::VariantId,
    money::Money,
    state::InvalidTransition,
};

/// Why a call on an order, its payments, parcels or returns was refused. Nothing was changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// The order's state doesn't allow it.
    #[error(transparent)]
    NotAllowed(#[from] InvalidTransition),
    /// The goods are on their way.
    #[error("the order has been shipped: it can be returned, not cancelled")]
    AlreadyShipped,
    /// More units than there are left to ship, cancel, refund or return.
    #[error("only {left} units of this item are left for that")]
    QuantityExceeded {
        /// The variant of which too many were named.
        variant_id: VariantId,
        /// How many are left.
        left: u32,
    },
    /// More money than was taken and hasn't gone back.
    #[error("only {left} of this order can be refunded")]
    RefundExceedsCaptured {
        /// What is left.
        left: Money,
    },
    /// More money than is owed.
    #[error("only {left} is owed for this order")]
    CaptureExceedsOwed {
        /// What is owed.
        left: Money,
    },
    /// Goods that had been put back into stock are to be shipped again, and aren't there any more.
    #[error("only {available} of this item are in stock")]
    OutOfStock {
        /// The variant that is out of stock.
        variant_id: VariantId,
        /// How many there are.
        available: i64,
    },
    /// There is no authorised payment to capture.
    #[error("this order has no authorised payment to capture")]
    NothingToCapture,
    /// There is no awaited offline payment to mark as received.
    #[error("this payment isn't awaited")]
    NotAwaited,
    /// The gateway didn't do it; the same call may be made again.
    #[error("the payment gateway is unavailable; try again")]
    GatewayUnavailable,
    /// The gateway can't move such an amount.
    #[error(transparent)]
    AmountNotPayable(#[from] crate::payment::AmountNotPayable),
    /// The gateway refused the call.
    #[error("the payment gateway refused: {0}")]
    GatewayRefused(String),
    /// The gateway holds money for the payment, which doesn't match the order.
    #[error("the payment gateway holds {held} for this payment: give it back there first")]
    PaymentHeld {
        /// How much.
        held: Money,
    },
    /// The gateway is being asked about the order's payment.
    #[error("another call on this order's payment is running; try again")]
    PaymentBusy,
}

common_errors!(OrderError);
