//! What a cart or order costs, as plain data, and the totals of it.

use serde::{Deserialize, Serialize};

use crate::{
    address::PostalAddress,
    id::VariantId,
    money::{Currency, Money, MoneyError},
};

/// What an order or cart costs.
///
/// With gross prices `grand_total = subtotal − discount + shipping`, and `tax` says how much of it is tax. With net prices
/// `grand_total = subtotal − discount + shipping + tax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The lines, at today's prices.
    pub subtotal: Money,
    /// What promotions take off; zero for now.
    pub discount: Money,
    /// The shipping method's price.
    pub shipping: Money,
    /// Tax on lines and shipping.
    pub tax: Money,
    /// What is to be paid.
    pub grand_total: Money,
}

/// So many of one variant at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// The variant.
    pub variant_id: VariantId,
    /// The number of units.
    pub quantity: u32,
    /// The price of one.
    pub unit_price: Money,
}

impl PricedLine {
    /// The price of all.
    ///
    /// # Errors
    /// If it overflows.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(i64::from(self.quantity))
    }
}

/// How goods travel, as chosen at checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingMethod {
    /// What checkout's `shipping_method` names.
    pub code: String,
    /// What the customer reads.
    pub title: String,
    /// The price of shipping by it.
    pub price: Money,
}

/// What tax is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TaxRequest<'a> {
    /// Where the goods go, if it is known.
    pub destination: Option<&'a PostalAddress>,
    /// The lines.
    pub lines: &'a [PricedLine],
    /// What shipping costs.
    pub shipping: Money,
    /// Whether the amounts include the tax.
    pub prices_include_tax: bool,
}

/// Tax line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxBreakdown {
    /// The tax of each line, in the order of the request.
    pub lines: Vec<Money>,
    /// The tax on shipping.
    pub shipping: Money,
}

/// Why tax or shipping can't be computed.
#[derive(Debug, thiserror::Error)]
pub enum PricingError {
    /// An amount doesn't fit, or currencies differ.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An outside service didn't answer.
    #[error("{0}")]
    Unavailable(String),
}

/// The totals of lines with their tax and shipping: the one place where a grand total is made.
///
/// # Errors
/// If an amount overflows or currencies differ.
pub fn totals(
    currency: Currency,
    lines: &[PricedLine],
    shipping: Money,
    tax: &TaxBreakdown,
    prices_include_tax: bool,
) -> Result<Totals, MoneyError> {
    let subtotal = lines.iter().try_fold(currency.zero(), |sum, line| sum.plus(line.total()?))?;
    let discount = currency.zero();
    let tax = Money::sum(currency, tax.lines.iter().copied().chain([tax.shipping]))?;
    let before_tax = subtotal.minus(discount)?.plus(shipping)?;
    let grand_total = if prices_include_tax { before_tax } else { before_tax.plus(tax)? };
    Ok(Totals { subtotal, discount, shipping, tax, grand_total })
}
