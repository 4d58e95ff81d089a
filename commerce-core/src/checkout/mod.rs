//! Placing an order, in phases around the call to the payment gateway.
//!
//! 1. **Quote** (pure): today's prices, shipping and tax; compared with the caller's `expected_total`.
//! 2. **Reserve** (one commit): stock is reserved, order and payment are written, the cart is closed, the idempotency key
//!    claimed, the tasks added that settle or expire the payment should this process die.
//! 3. **Pay**: the gateway is called, holding nothing.
//! 4. **Settle** (one commit): sold and confirmed, or declined and released, or pending.
//! 5. **Recovery**: the [worker](crate::Worker) settles what is left, by the same function.

mod again;
mod error;
mod input;
mod place;
mod placement;
mod quote;
mod reserve;
mod service;

pub use self::{
    error::CheckoutError,
    input::{Checkout, PaymentChoice},
    placement::Placement,
    quote::{Quote, QuoteRequest},
    service::Checkouts,
};
