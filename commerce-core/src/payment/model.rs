//! Payments and refunds, as orders keep them.

use serde::{Deserialize, Serialize};

use super::{NextAction, PaymentStatus, RefundOrigin, RefundStatus};
use crate::{
    aggregate::Child,
    clock::Timestamp,
    id::{PaymentId, RefundId, ReturnId},
    money::Money,
    order::LineQuantity,
};

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
