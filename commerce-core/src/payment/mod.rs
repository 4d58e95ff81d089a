//! Payments and refunds, and the gateways that move the money.

mod amounts;
mod capture;
pub mod gateway;
mod manual;
pub(crate) mod processor;
mod reconcile;
mod resolve;
mod rules;
mod service;
#[cfg(feature = "stripe")]
pub mod stripe;
mod test_gateway;
mod webhook;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{PaymentId, RefundId, ReturnId, VariantId},
    money::Money,
    store::Child,
};

pub use self::{
    amounts::{AmountNotPayable, PayableAmounts},
    capture::NewCapture,
    gateway::{NextAction, PaymentGateway, PaymentMethod, RefundReport},
    manual::ManualGateway,
    processor::PlacementOutcome,
    reconcile::{PaymentDrift, ReconcileError, Reconciliation},
    service::{NewRefund, PaymentQuery, Payments, Refunded},
    test_gateway::{GatewayFault, LedgerLine, TestGateway},
    webhook::WebhookFailure,
};
pub(crate) use rules::{AMOUNT_NOT_PAYABLE, CANCELLED, EXPIRED, NOTHING_OWED, RefundIntent, UNPAID};

/// How a payment stands; an order's `payment_status` is that of its latest payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Intended; the gateway is being asked, or (offline methods) the money is awaited.
    Pending,
    /// The customer must do something: 3-D Secure.
    RequiresAction,
    /// The gateway was asked and didn't answer; recovery finds out.
    Unknown,
    /// The money is promised, not taken.
    Authorized,
    /// The money is taken.
    Paid,
    /// Some of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// Declined, or expired.
    Failed,
    /// The promise was given back.
    Voided,
}

impl PaymentStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Unknown => "unknown",
            Self::Authorized => "authorized",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
            Self::Voided => "voided",
        }
    }
}

/// One attempt to pay an order. Its id is the gateway's idempotency key; the row keeps all that is needed to repeat the call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id, and the gateway's idempotency key.
    pub id: PaymentId,
    /// The code the customer chose: `test`, `stripe`, `manual`.
    pub method: String,
    /// The code of the gateway that serves the method.
    pub gateway: String,
    /// The payment's state.
    pub status: PaymentStatus,
    /// What is to be paid.
    pub amount: Money,
    /// What was taken, in minor units.
    pub captured: i64,
    /// What went back, in minor units.
    pub refunded: i64,
    /// What is on its way back, in minor units. `refunded + refund_pending ≤ captured ≤ amount`, by CHECK.
    pub refund_pending: i64,
    /// What the gateway calls it.
    pub reference: Option<String>,
    /// The payment-method token of the call, kept until the outcome is known.
    pub token: Option<String>,
    /// What the customer must do.
    pub next_action: Option<NextAction>,
    /// How to pay by an offline method, as the customer was told.
    #[serde(default)]
    pub instructions: Option<String>,
    /// The decline code or other reason, if it failed.
    pub failure: Option<String>,
    /// Somebody is asking the gateway until then; recovery waits.
    pub lease_until: Option<Timestamp>,
    /// When the reserved stock is given up if the payment isn't settled.
    pub reserved_until: Option<Timestamp>,
    /// When it was intended.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Payment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payment")
            .field("id", &self.id)
            .field("gateway", &self.gateway)
            .field("status", &self.status)
            .field("amount", &self.amount)
            .field("captured", &self.captured)
            .field("refunded", &self.refunded)
            .field("refund_pending", &self.refund_pending)
            .finish_non_exhaustive()
    }
}

impl Child for Payment {
    type Key = PaymentId;
    fn key(&self) -> PaymentId {
        self.id
    }
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Intended, or in doubt; counts against what was captured.
    Pending,
    /// The gateway has taken it on.
    Settled,
    /// The gateway refused it, or the customer's bank sent it back, even after it was settled; the money is ours again.
    Failed,
}

impl RefundStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }
}

/// Where a refund was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundOrigin {
    /// Here: by staff, by a return, by a cancellation.
    #[default]
    Shop,
    /// At the payment gateway, past the shop; the shop has heard of it and booked it.
    Gateway,
}

impl RefundOrigin {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Gateway => "gateway",
        }
    }
}

/// A quantity of one of the order's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineQuantity {
    /// The line's variant.
    pub variant_id: VariantId,
    /// How many; at least 1.
    pub quantity: u32,
}

/// Money going back. Its id is the gateway's idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id, and the gateway's idempotency key.
    pub id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// The refund's state.
    pub status: RefundStatus,
    /// Where it was made.
    #[serde(default)]
    pub origin: RefundOrigin,
    /// Why.
    pub reason: String,
    /// For which items, if it was given by items.
    pub items: Vec<LineQuantity>,
    /// Whether those items went back into stock.
    pub restock: bool,
    /// For which return.
    pub return_id: Option<ReturnId>,
    /// What the gateway calls it.
    pub reference: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Somebody is asking the gateway until then; recovery waits.
    pub lease_until: Option<Timestamp>,
    /// When it was intended.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl Child for Refund {
    type Key = RefundId;
    fn key(&self) -> RefundId {
        self.id
    }
}
