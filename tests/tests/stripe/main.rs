//! The Stripe gateway against an exact fake, against localstripe, and against sockets that misbehave.

mod faked;
mod local;
mod network;

use commerce_core::{
    Currency, Money,
    id::{IdGenerator, OrderId, PaymentId, UuidV7},
    payment::gateway::AuthorizeRequest,
};

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
