//! What customers and staff send about orders.

use commerce_core::{Currency, error::Invalid, order as core, payment::RefundInput};
use poem_openapi::{Object, types::Example};
use serde::Deserialize;

use super::{
    dto::items,
    parts::{Fulfilment, FulfilmentStatus, ItemQuantity, ReturnStatus},
};
use crate::types::{Money, eur};

/// How a guest finds an order again.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct OrderLookup {
    /// In any case, with or without hyphens, O for 0, I and L for 1.
    pub number: String,
    pub email: String,
}

impl Example for OrderLookup {
    fn example() -> Self {
        Self { number: "7K3MT-Q9XA0".to_owned(), email: "mia@example.com".to_owned() }
    }
}

/// What shall come back.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewReturn {
    pub items: Vec<ItemQuantity>,
    pub reason: String,
}

impl Example for NewReturn {
    fn example() -> Self {
        Self { items: vec![ItemQuantity::example()], reason: "too small".to_owned() }
    }
}

/// A new parcel.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewFulfilment {
    /// All that is left, if absent.
    #[serde(default)]
    pub items: Option<Vec<ItemQuantity>>,
    pub carrier: String,
    pub tracking_number: String,
    #[serde(default)]
    pub tracking_url: Option<String>,
}

impl From<NewFulfilment> for core::FulfilmentInput {
    fn from(body: NewFulfilment) -> Self {
        let NewFulfilment { items: units, carrier, tracking_number, tracking_url } = body;
        Self { items: items(units), carrier, tracking_number, tracking_url }
    }
}

impl Example for NewFulfilment {
    fn example() -> Self {
        let Fulfilment { carrier, tracking_number, tracking_url, items, .. } = Fulfilment::example();
        Self { items: Some(items), carrier, tracking_number, tracking_url }
    }
}

/// Where a parcel is now.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct FulfilmentPatch {
    /// `shipped`, `delivered` or `cancelled`.
    pub status: FulfilmentStatus,
}

impl Example for FulfilmentPatch {
    fn example() -> Self {
        Self { status: FulfilmentStatus::Shipped }
    }
}

/// A decision on a return.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct ReturnPatch {
    /// `approved`, `rejected` or `received`.
    pub status: ReturnStatus,
}

impl Example for ReturnPatch {
    fn example() -> Self {
        Self { status: ReturnStatus::Approved }
    }
}

/// What staff cancel.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct AdminCancel {
    /// All of the order, if absent.
    #[serde(default)]
    pub items: Option<Vec<ItemQuantity>>,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Example for AdminCancel {
    fn example() -> Self {
        Self { items: Some(vec![ItemQuantity::example()]), reason: Some("can't be delivered".to_owned()) }
    }
}

/// Money to send back: an amount, or the share of items; all that is left, if neither is given.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewRefund {
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    pub items: Option<Vec<ItemQuantity>>,
    pub reason: String,
    /// Whether the items go back into stock.
    pub restock: bool,
}

impl NewRefund {
    pub fn read(self, currency: Currency) -> Result<RefundInput, Invalid> {
        if self.amount.is_some() && self.items.is_some() {
            return Err(Invalid::field("/items", "ambiguous", "give an amount or items, not both"));
        }
        Ok(RefundInput {
            amount: self.amount.map(|amount| amount.read(currency, "/amount")).transpose()?,
            items: items(self.items),
            reason: self.reason,
            restock: self.restock,
        })
    }
}

impl Example for NewRefund {
    fn example() -> Self {
        Self { amount: Some(eur("19.90")), items: None, reason: "arrived broken".to_owned(), restock: false }
    }
}
