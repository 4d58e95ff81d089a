//! What problems about orders say besides the usual members.

use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    problem::{Code, Members},
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
