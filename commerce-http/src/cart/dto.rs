//! Carts on the wire.

use commerce_core::{cart as core, pricing};
use poem_openapi::{Object, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    catalog::dto::Image,
    types::{Money, eur, sample},
};

/// What a cart or order costs. With gross prices, tax is within the other amounts; with net prices it is added.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Totals {
    pub subtotal: Money,
    pub discount: Money,
    pub shipping: Money,
    pub tax: Money,
    pub grand_total: Money,
}

impl From<pricing::Totals> for Totals {
    fn from(totals: pricing::Totals) -> Self {
        Self {
            subtotal: totals.subtotal.into(),
            discount: totals.discount.into(),
            shipping: totals.shipping.into(),
            tax: totals.tax.into(),
            grand_total: totals.grand_total.into(),
        }
    }
}

impl Example for Totals {
    fn example() -> Self {
        Self {
            subtotal: eur("39.80"),
            discount: eur("0.00"),
            shipping: eur("4.90"),
            tax: eur("7.14"),
            grand_total: eur("44.70"),
        }
    }
}

/// A line of a cart.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct CartItem {
    pub variant_id: Uuid,
    pub product_id: Uuid,
    pub slug: String,
    pub sku: String,
    /// Product and variant title.
    pub title: String,
    pub quantity: u32,
    /// Today's price.
    pub unit_price: Money,
    pub total: Money,
    /// How many could be bought now.
    pub available: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub image: Option<Image>,
}

impl From<core::CartItem> for CartItem {
    fn from(item: core::CartItem) -> Self {
        Self {
            variant_id: item.variant_id.0,
            product_id: item.product_id.0,
            slug: item.slug,
            sku: item.sku,
            title: item.title,
            quantity: item.quantity,
            unit_price: item.unit_price.into(),
            total: item.total.into(),
            available: item.available,
            image: item.image.map(Into::into),
        }
    }
}

impl Example for CartItem {
    fn example() -> Self {
        Self {
            variant_id: sample::VARIANT,
            product_id: sample::PRODUCT,
            slug: "enamel-mug".to_owned(),
            sku: "MUG-BLUE-L".to_owned(),
            title: "Enamel mug – Large, blue".to_owned(),
            quantity: 2,
            unit_price: eur("19.90"),
            total: eur("39.80"),
            available: 42,
            image: Some(Image::example()),
        }
    }
}

/// A cart, at today's prices.
#[allow(clippy::struct_field_names)] // The contract's name.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Cart {
    /// `null` while there is no cart yet.
    #[oai(nullable)]
    pub id: Option<Uuid>,
    pub items: Vec<CartItem>,
    /// Shipping is added, and tax known, at checkout.
    pub totals: Totals,
    pub item_count: u32,
    pub version: i64,
    /// For guests: opens this cart, as `X-Cart-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub cart_token: Option<String>,
}

impl From<core::CartView> for Cart {
    fn from(view: core::CartView) -> Self {
        Self {
            id: view.id.map(|id| id.0),
            items: view.items.into_iter().map(Into::into).collect(),
            totals: view.totals.into(),
            item_count: view.item_count,
            version: view.version,
            cart_token: view.cart_token.map(|token| token.0),
        }
    }
}

impl Example for Cart {
    fn example() -> Self {
        Self {
            id: Some(sample::OTHER),
            items: vec![CartItem::example()],
            totals: Totals { shipping: eur("0.00"), tax: eur("0.00"), grand_total: eur("39.80"), ..Totals::example() },
            item_count: 2,
            version: 3,
            cart_token: Some("5mPq0dIuTfmX0bQ2wYkq1Q.Jq7c0l8V9mM".to_owned()),
        }
    }
}

/// What is put into a cart.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewCartItem {
    pub variant_id: Uuid,
    /// At least 1; adds to what is there.
    #[oai(validator(minimum(value = "1"), maximum(value = "9999")))]
    pub quantity: i64,
}

impl Example for NewCartItem {
    fn example() -> Self {
        Self { variant_id: sample::VARIANT, quantity: 2 }
    }
}

/// How many there are to be.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct CartItemPatch {
    /// 0 removes the item.
    #[oai(validator(minimum(value = "0"), maximum(value = "9999")))]
    pub quantity: i64,
}

impl Example for CartItemPatch {
    fn example() -> Self {
        Self { quantity: 3 }
    }
}
