//! Placing an order, in phases around the call to the payment gateway.

/// Quotes and placing orders.
#[derive(Clone)]
pub struct Checkout {
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Checkout {
    pub(crate) fn new(engine: std::sync::Arc<crate::engine::Engine>) -> Self {
        Self { engine }
    }
}
