//! Who computes tax and prices shipping.

use async_trait::async_trait;

use super::{PricedLine, PricingError, ShippingMethod, TaxBreakdown, TaxRequest};
use crate::money::Money;

/// Computes tax. [`FlatTax`](super::FlatTax) knows one rate a country; others ask a service.
#[async_trait]
pub trait TaxCalculator: Send + Sync + 'static {
    /// The tax on a request, or within it if prices include it.
    ///
    /// # Errors
    /// See [`PricingError`].
    async fn tax(&self, request: &TaxRequest<'_>) -> Result<TaxBreakdown, PricingError>;
}

/// Prices shipping. [`FlatShipping`](super::FlatShipping) knows flat methods; others ask a carrier.
#[async_trait]
pub trait ShippingRates: Send + Sync + 'static {
    /// The methods that can be chosen, with what each costs.
    ///
    /// # Errors
    /// See [`PricingError`].
    async fn methods(
        &self,
        country: Option<&str>,
        subtotal: Money,
        lines: &[PricedLine],
    ) -> Result<Vec<ShippingMethod>, PricingError>;
}
