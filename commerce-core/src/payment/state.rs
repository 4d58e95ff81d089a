//! How payments and refunds stand, and which states may follow which.

use serde::{Deserialize, Serialize};

use crate::state::State;

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

impl State for PaymentStatus {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::RequiresAction),
        (Self::Pending, Self::Unknown),
        (Self::Pending, Self::Authorized),
        (Self::Pending, Self::Paid),
        (Self::Pending, Self::Failed),
        (Self::Pending, Self::Voided),
        (Self::RequiresAction, Self::Unknown),
        (Self::RequiresAction, Self::Authorized),
        (Self::RequiresAction, Self::Paid),
        (Self::RequiresAction, Self::Failed),
        (Self::RequiresAction, Self::Voided),
        (Self::Unknown, Self::RequiresAction),
        (Self::Unknown, Self::Authorized),
        (Self::Unknown, Self::Paid),
        (Self::Unknown, Self::Failed),
        (Self::Unknown, Self::Voided),
        (Self::Authorized, Self::Paid),
        (Self::Authorized, Self::Voided),
        (Self::Paid, Self::PartiallyRefunded),
        (Self::Paid, Self::Refunded),
        (Self::PartiallyRefunded, Self::Refunded),
        // Refunds that failed after they had been settled.
        (Self::PartiallyRefunded, Self::Paid),
        (Self::Refunded, Self::PartiallyRefunded),
        (Self::Refunded, Self::Paid),
        // Late successes of payments we had given up.
        (Self::Failed, Self::Authorized),
        (Self::Failed, Self::Paid),
        (Self::Voided, Self::Authorized),
        (Self::Voided, Self::Paid),
    ];
}

impl State for RefundStatus {
    const TRANSITIONS: &'static [(Self, Self)] =
        &[(Self::Pending, Self::Settled), (Self::Pending, Self::Failed), (Self::Settled, Self::Failed)];
}

impl PaymentStatus {
    /// Whether the payment may still succeed or fail.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::RequiresAction | Self::Unknown)
    }

    /// Whether no money will come of it, as far as is known.
    #[must_use]
    pub const fn is_given_up(self) -> bool {
        matches!(self, Self::Failed | Self::Voided)
    }
}
