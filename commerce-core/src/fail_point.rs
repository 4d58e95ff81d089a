//! Named steps at which tests have a process killed (feature `fail-points`, debug builds only; elsewhere, nothing at all).
//!
//! With `COMMERCE_FAIL_POINT=<step>`, the process says so in its log when it gets there, and stands still until it is killed.

/// A step of moving goods or money, between two things that must both happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// A checkout is about to reserve.
    Reserve,
    /// Stock is reserved, order and payment are written; the gateway hasn't been called.
    Reserved,
    /// The gateway has answered; nobody has written it down.
    Paid,
    /// A gateway's word on a payment is about to be committed.
    Settle,
    /// It is; whoever asked hasn't been told.
    Settled,
    /// An edit of an order (cancel, refund, return, capture) is about to be committed.
    Edit,
    /// It is; the gateway hasn't been called.
    Edited,
    /// The gateway has given a promise back; nobody has written it down.
    Voided,
    /// The gateway has taken promised money; nobody has written it down.
    Captured,
    /// The gateway has sent money back; nobody has written it down.
    Refunded,
    /// A gateway's word on a refund is about to be committed.
    SettleRefund,
    /// It is; whoever asked hasn't been told.
    RefundSettled,
}

impl FailPoint {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Reserve,
        Self::Reserved,
        Self::Paid,
        Self::Settle,
        Self::Settled,
        Self::Edit,
        Self::Edited,
        Self::Voided,
        Self::Captured,
        Self::Refunded,
        Self::SettleRefund,
        Self::RefundSettled,
    ];

    /// Its name in `COMMERCE_FAIL_POINT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "checkout.reserve",
            Self::Reserved => "checkout.reserved",
            Self::Paid => "checkout.paid",
            Self::Settle => "payment.settle",
            Self::Settled => "payment.settled",
            Self::Edit => "order.edit",
            Self::Edited => "order.edited",
            Self::Voided => "payment.voided",
            Self::Captured => "payment.captured",
            Self::Refunded => "refund.sent",
            Self::SettleRefund => "refund.settle",
            Self::RefundSettled => "refund.settled",
        }
    }

    /// Stops here, if that was asked for.
    #[cfg(all(feature = "fail-points", debug_assertions))]
    pub(crate) async fn reach(self) {
        if std::env::var("COMMERCE_FAIL_POINT").is_ok_and(|name| name == self.as_str()) {
            tracing::error!(step = self.as_str(), "standing still at a fail point");
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(all(feature = "fail-points", debug_assertions)))]
    #[allow(clippy::unused_async, reason = "as above")]
    pub(crate) async fn reach(self) {}
}
