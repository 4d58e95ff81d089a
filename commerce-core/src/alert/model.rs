//! [`Alert`]: something that staff should look at.

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::Version,
    clock::Timestamp,
    id::{AlertId, OrderId, VariantId},
};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A variant is running out.
    LowStock,
    /// What a gateway says of a payment doesn't match the order.
    PaymentMismatch,
    /// A payment succeeded after its order had been given up.
    LatePayment,
    /// The customer disputes a payment at their bank.
    PaymentDisputed,
    /// A refund can't be settled without staff.
    RefundFailed,
    /// A payment or refund stays open because its gateway can't be asked, or refuses to say how it stands.
    PaymentStuck,
}

impl AlertKind {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowStock => "low_stock",
            Self::PaymentMismatch => "payment_mismatch",
            Self::LatePayment => "late_payment",
            Self::PaymentDisputed => "payment_disputed",
            Self::RefundFailed => "refund_failed",
            Self::PaymentStuck => "payment_stuck",
        }
    }
}

/// Something staff should look at; mailed to the admins once when it is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The alert's id.
    pub id: AlertId,
    /// What it is about.
    pub kind: AlertKind,
    /// About which variant.
    pub variant_id: Option<VariantId>,
    /// About which order.
    pub order_id: Option<OrderId>,
    /// A sentence.
    pub detail: String,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When staff took note.
    pub acknowledged_at: Option<Timestamp>,
    /// Counts writes.
    pub version: Version,
}

/// Filters of the list of alerts, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertQuery {
    /// Only those that staff took note of, or only those that they didn't.
    pub acknowledged: Option<bool>,
}
