//! The Stripe gateway against an exact fake, against localstripe, and against sockets that misbehave.

mod faked;
mod local;
mod network;

use std::sync::Arc;

use async_trait::async_trait;
use commerce_core::{
    Currency, Money,
    conformance::GatewayFixture,
    id::{IdGenerator, OrderId, PaymentId, UuidV7},
    payment::{PaymentGateway, gateway::AuthorizeRequest, stripe::StripeGateway},
};

/// The gateway, and what plays Stripe.
struct Fixture<S> {
    service: S,
    gateway: Arc<StripeGateway>,
    declined_token: &'static str,
    action_token: String,
    /// How many charges a payment has become there, where that can be asked.
    charges: Option<fn(&S, PaymentId) -> u64>,
    /// Gives money back past the shop, where that can be done.
    refund_past_us: Option<fn(&S, &str, i64)>,
}

#[async_trait]
impl<S: Send + Sync> GatewayFixture for Fixture<S> {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        self.gateway.clone()
    }

    fn method(&self) -> String {
        "stripe".to_owned()
    }

    fn good_token(&self) -> String {
        "pm_card_visa".to_owned()
    }

    fn declined_token(&self) -> String {
        self.declined_token.to_owned()
    }

    fn action_token(&self) -> Option<String> {
        Some(self.action_token.clone())
    }

    fn manual_capture(&self) -> bool {
        true
    }

    async fn refund_past_us(&self, _: PaymentId, reference: &str, minor: i64) -> bool {
        self.refund_past_us.map(|refund| refund(&self.service, reference, minor)).is_some()
    }

    async fn charges(&self, payment: PaymentId) -> Option<u64> {
        self.charges.map(|charges| charges(&self.service, payment))
    }
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

/// A new payment of ten euros, to be taken at once.
fn request(token: &str) -> AuthorizeRequest {
    AuthorizeRequest {
        payment_id: PaymentId(UuidV7.uuid()),
        order_id: OrderId(UuidV7.uuid()),
        order_number: "A-1".to_owned(),
        method: "stripe".to_owned(),
        amount: eur(1000),
        token: Some(token.to_owned()),
        capture: true,
    }
}
