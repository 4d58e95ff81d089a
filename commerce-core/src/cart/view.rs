//! A cart as it is shown: today's prices, titles and availability beside the lines.

use serde::{Deserialize, Serialize};

use super::Cart;
use crate::{
    catalog::{Image, PurchasableVariant},
    engine::Engine,
    error::CommonError,
    id::{CartId, ProductId, VariantId},
    money::Money,
    pricing::{PricedLine, TaxRequest, Totals, totals},
    store::{StoreError, Version},
    token::CartToken,
};

/// A line of a cart as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartItem {
    /// The variant.
    pub variant_id: VariantId,
    /// Its product.
    pub product_id: ProductId,
    /// Its product's slug.
    pub slug: String,
    /// Its SKU.
    pub sku: String,
    /// Product and variant title.
    pub title: String,
    /// The number of units.
    pub quantity: u32,
    /// Today's price of one.
    pub unit_price: Money,
    /// Today's price of all.
    pub total: Money,
    /// How many could be bought now; 0 if it isn't sold any more.
    pub available: i64,
    /// The product's main image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<Image>,
}

/// A cart as it is shown. A customer without a cart sees an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartView {
    /// The cart's id; `None` while there is none.
    pub id: Option<CartId>,
    /// What is in it.
    pub items: Vec<CartItem>,
    /// What it costs, before shipping; tax is known once the destination is.
    pub totals: Totals,
    /// Σ of the quantities.
    pub item_count: u32,
    /// Counts writes; 0 while there is no cart.
    pub version: Version,
    /// For guests: opens this cart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cart_token: Option<CartToken>,
}

impl CartView {
    /// What the cart costs today, before shipping.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.totals.grand_total
    }

    /// Today's view of a cart.
    pub(crate) async fn of(
        engine: &Engine,
        cart: Option<&Cart>,
        offers: &[PurchasableVariant],
        cart_token: Option<CartToken>,
    ) -> Result<Self, CommonError> {
        let currency = engine.settings.currency;
        let mut items = Vec::new();
        for line in cart.map_or(&[][..], |cart| &cart.lines) {
            // A variant that was purged altogether can't be shown; checkout drops it the same way.
            let Some(offer) = offers.iter().find(|offer| offer.variant.id == line.variant_id) else { continue };
            items.push(CartItem {
                variant_id: line.variant_id,
                product_id: offer.product_id,
                slug: offer.slug.clone(),
                sku: offer.variant.sku.clone(),
                title: offer.title(),
                quantity: line.quantity,
                unit_price: offer.variant.price,
                total: offer.variant.price.times(i64::from(line.quantity))?,
                available: if offer.is_sold() { offer.available } else { 0 },
                image: offer.image.clone(),
            });
        }
        let lines: Vec<PricedLine> = items.iter().map(CartItem::priced).collect();
        let prices_include_tax = engine.settings.prices_include_tax;
        let shipping = currency.zero();
        let request = TaxRequest { destination: None, lines: &lines, shipping, prices_include_tax };
        let tax = engine.tax.tax(&request).await.map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self {
            id: cart.map(|cart| cart.id),
            totals: totals(currency, &lines, shipping, &tax, prices_include_tax)?,
            item_count: items.iter().map(|item| item.quantity).sum(),
            items,
            version: cart.map_or(0, |cart| cart.version),
            cart_token,
        })
    }
}

impl CartItem {
    pub(crate) fn priced(&self) -> PricedLine {
        PricedLine { variant_id: self.variant_id, quantity: self.quantity, unit_price: self.unit_price }
    }
}
