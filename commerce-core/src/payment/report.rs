//! What a gateway reports: how a payment or refund stands in its own books.

use serde::{Deserialize, Serialize};

use crate::{id::RefundId, money::Money};

/// What the customer must do before the payment can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// `use_client_secret` (finish in the gateway's browser library) or `redirect` (send the customer to `url`).
    #[serde(rename = "type")]
    pub kind: String,
    /// For the gateway's browser library.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_secret: Option<String>,
    /// Where to send the customer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
}

/// How a payment stands at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// Waiting for the customer.
    RequiresAction(NextAction),
    /// The gateway hasn't decided yet.
    Processing,
    /// Money is awaited outside (cash, bank transfer): the order is confirmed without it.
    Offline,
    /// Promised.
    Authorized,
    /// Taken.
    Captured,
    /// Refused, with the gateway's decline code.
    Declined(String),
    /// Given back, or expired.
    Voided,
}

/// A payment as the gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPayment {
    /// What the gateway calls it.
    pub reference: String,
    /// The payment's state at the gateway.
    pub state: GatewayState,
    /// How much it is about.
    pub amount: Money,
    /// How much was taken.
    pub captured: Money,
}

/// All that a gateway's own books say of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAccount {
    /// How it stands; `None` if the gateway has never heard of it.
    pub payment: Option<GatewayPayment>,
    /// All its refunds, failed ones included, whoever made them.
    pub refunds: Vec<RefundReport>,
}

impl GatewayAccount {
    /// What went back and stayed there, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let settled = self.refunds.iter().filter(|report| report.refund.state == GatewayRefundState::Settled);
        settled.map(|report| report.refund.amount.minor).sum()
    }
}

/// A refund that the gateway knows of: the shop's own, or one that was made past the shop, say at the gateway's own website.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// Our id of it; `None` if it isn't the shop's.
    pub refund_id: Option<RefundId>,
    /// How it stands. Its `reference` names it among all refunds of the gateway.
    pub refund: GatewayRefund,
}

/// How a refund stands at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayRefundState {
    /// Not yet decided.
    Pending,
    /// On its way to the customer.
    Settled,
    /// Refused.
    Failed(String),
}

/// A refund as the gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRefund {
    /// What the gateway calls it.
    pub reference: String,
    /// The refund's state at the gateway.
    pub state: GatewayRefundState,
    /// How much.
    pub amount: Money,
}
