//! What problems about orders say besides the usual members.

use commerce_core::{error::Invalid, order::Order, payment::AmountNotPayable};
use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    problem::{ApiError, Code, Members},
    types::{Money, eur, sample},
};

/// More units were named than there are left to ship, cancel, refund or return.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct QuantityExceeded {
    /// The variant of which too many were named.
    pub variant_id: Uuid,
    /// How many units are left.
    pub left: u32,
}

impl Members for QuantityExceeded {
    const CODE: Code = Code::QuantityExceeded;
}

impl Example for QuantityExceeded {
    fn example() -> Self {
        Self { variant_id: sample::VARIANT, left: 1 }
    }
}

/// More money than was taken and hasn't gone back.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct RefundExceedsCaptured {
    /// What can still be refunded.
    pub left: Money,
}

impl Members for RefundExceedsCaptured {
    const CODE: Code = Code::RefundExceedsCaptured;
}

impl Example for RefundExceedsCaptured {
    fn example() -> Self {
        Self { left: eur("19.90") }
    }
}

/// More money than is owed.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct CaptureExceedsOwed {
    /// What is owed.
    pub left: Money,
}

impl Members for CaptureExceedsOwed {
    const CODE: Code = Code::CaptureExceedsOwed;
}

impl Example for CaptureExceedsOwed {
    fn example() -> Self {
        Self { left: eur("19.90") }
    }
}

/// The gateway holds money for the payment, which doesn't match the order.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct PaymentHeld {
    /// How much the gateway holds.
    pub held: Money,
}

impl Members for PaymentHeld {
    const CODE: Code = Code::PaymentHeld;
}

impl Example for PaymentHeld {
    fn example() -> Self {
        Self { held: eur("19.90") }
    }
}

/// An amount that the gateway can't move, and the field that chose it.
pub fn not_payable(error: &AmountNotPayable, pointer: &str) -> ApiError {
    Invalid::field(pointer, AMOUNT_NOT_PAYABLE, error.to_string()).into()
}

const AMOUNT_NOT_PAYABLE: &str = "amount_not_payable";

/// A payment that the gateway refused.
pub fn declined(order: &Order, code: &str) -> ApiError {
    if code == AMOUNT_NOT_PAYABLE {
        let detail = "this amount can't be paid by the chosen method; nothing was charged";
        return ApiError::from(Invalid::field("/payment/method", AMOUNT_NOT_PAYABLE, detail))
            .members(&UnpayableAmount { order_id: Some(order.id.0) });
    }
    let members = Declined { decline_code: code.to_owned(), order_id: order.id.0 };
    ApiError::with(Code::PaymentDeclined.detail(), &members)
}

/// The gateway refused the payment.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct Declined {
    /// The gateway's word for why.
    pub decline_code: String,
    /// The order that waits, or was given up.
    pub order_id: Uuid,
}

impl Members for Declined {
    const CODE: Code = Code::PaymentDeclined;
}

impl Example for Declined {
    fn example() -> Self {
        Self { decline_code: "card_declined".to_owned(), order_id: sample::ORDER }
    }
}

/// The gateway can't take such an amount.
#[derive(Object, Serialize)]
#[oai(example, skip_serializing_if_is_none)]
pub struct UnpayableAmount {
    /// The order, if one was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
}

impl Members for UnpayableAmount {
    const CODE: Code = Code::AmountNotPayable;
}

impl Example for UnpayableAmount {
    fn example() -> Self {
        Self { order_id: Some(sample::ORDER) }
    }
}
