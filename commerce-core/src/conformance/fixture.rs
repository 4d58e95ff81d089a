//! What is tested: a store or a gateway, and what makes it behave this way or that.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    clock::{Clock, SystemClock, Timestamp},
    id::PaymentId,
    money::Currency,
    payment::PaymentGateway,
    store::Store,
};

/// An empty store for one test, and whatever keeps it alive: dropped when the test ends.
pub trait StoreFixture: Send + Sync {
    /// The store. Each call gives the same one.
    fn store(&self) -> Arc<dyn Store>;
}

/// A gateway to test, in its test mode, and what makes it answer this way or that.
#[async_trait]
pub trait GatewayFixture: Send + Sync {
    /// The gateway. Each call gives the same one.
    fn gateway(&self) -> Arc<dyn PaymentGateway>;

    /// The method that payments are made with.
    fn method(&self) -> String;

    /// A payment-method token that succeeds at once.
    fn good_token(&self) -> String;

    /// A payment-method token that is declined.
    fn declined_token(&self) -> String;

    /// A payment-method token for which the customer must act (3-D Secure); `None` if the gateway never asks that.
    fn action_token(&self) -> Option<String>;

    /// Whether money can be promised first and taken later.
    fn manual_capture(&self) -> bool;

    /// The currency to pay in.
    fn currency(&self) -> Currency {
        Currency::EUR
    }

    /// The present, as the gateway knows it.
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// Sends money of a payment back at the gateway itself, past the shop. `false` if that can't be done here.
    async fn refund_past_us(&self, payment: PaymentId, reference: &str, minor: i64) -> bool {
        let _ = (payment, reference, minor);
        false
    }

    /// How often a payment was charged, if the gateway's own ledger can be looked into.
    async fn charges(&self, payment: PaymentId) -> Option<u64> {
        let _ = payment;
        None
    }
}
