//! Pricing: pure totals from lines, shipping and tax.

mod model;
mod port;
mod shipping;
mod tax;

#[cfg(test)]
mod tests;

pub use self::{
    model::{PricedLine, PricingError, ShippingMethod, TaxBreakdown, TaxRequest, Totals, totals},
    port::{ShippingRates, TaxCalculator},
    shipping::{FlatMethod, FlatShipping},
    tax::FlatTax,
};
