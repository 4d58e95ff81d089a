//! [`FlatTax`]: one rate a country.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rust_decimal::Decimal;

use super::{PricingError, TaxBreakdown, TaxCalculator, TaxRequest};
use crate::money::{Money, MoneyError};

/// One tax rate a country, on goods and shipping alike; countries without one aren't taxed. Each line is rounded by itself,
/// half away from zero.
#[derive(Clone, Debug, Default)]
pub struct FlatTax {
    percent: BTreeMap<String, Decimal>,
}

impl FlatTax {
    /// No tax anywhere.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rate in percent for a country (ISO 3166-1 alpha-2).
    #[must_use]
    pub fn rate(mut self, country: &str, percent: Decimal) -> Self {
        self.percent.insert(country.to_ascii_uppercase(), percent);
        self
    }
}

/// The tax on an amount, or within it.
fn tax_of(amount: Money, percent: Decimal, included: bool) -> Result<Money, MoneyError> {
    let base = if included { Decimal::ONE_HUNDRED + percent } else { Decimal::ONE_HUNDRED };
    amount.fraction(percent, base)
}

#[async_trait]
impl TaxCalculator for FlatTax {
    async fn tax(&self, request: &TaxRequest<'_>) -> Result<TaxBreakdown, PricingError> {
        let percent =
            request.destination.and_then(|address| self.percent.get(&address.country)).copied().unwrap_or_default();
        let tax = |amount| tax_of(amount, percent, request.prices_include_tax);
        Ok(TaxBreakdown {
            lines: request.lines.iter().map(|line| tax(line.total()?)).collect::<Result<_, MoneyError>>()?,
            shipping: tax(request.shipping)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn tax_is_added_to_net_prices_and_found_within_gross_ones() {
        let nineteen = Decimal::from(19);
        let amount = Money::new(11900, Currency::EUR);
        assert_eq!(tax_of(amount, nineteen, true).unwrap().minor, 1900);
        assert_eq!(tax_of(amount, nineteen, false).unwrap().minor, 2261);
        assert_eq!(tax_of(amount, Decimal::ZERO, true).unwrap().minor, 0);
    }
}
