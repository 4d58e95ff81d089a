//! What customers and staff send about orders.

use std::{borrow::Cow, fmt};

use commerce_core::{Currency, error::Invalid, order as core, payment};
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{Example, MaybeUndefined, ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use super::{
    dto::items,
    parts::{Fulfilment, FulfilmentStatus, ItemQuantity, ReturnStatus},
};
use crate::types::{Money, eur, patch, present};

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

/// What is to come back.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewReturn {
    #[oai(validator(min_items = 1))]
    pub items: Vec<ItemQuantity>,
    #[oai(validator(min_length = 1, max_length = 1000))]
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
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_items = 1))]
    pub items: Option<Vec<ItemQuantity>>,
    #[oai(validator(min_length = 1, max_length = 100))]
    pub carrier: String,
    #[oai(validator(min_length = 1, max_length = 100))]
    pub tracking_number: String,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 2000))]
    pub tracking_url: Option<String>,
}

impl From<NewFulfilment> for core::NewFulfilment {
    fn from(body: NewFulfilment) -> Self {
        let NewFulfilment { items: units, carrier, tracking_number, tracking_url } = body;
        Self::of(items(units), carrier, tracking_number).tracking_url(tracking_url)
    }
}

impl Example for NewFulfilment {
    fn example() -> Self {
        let Fulfilment { carrier, tracking_number, tracking_url, items, .. } = Fulfilment::example();
        Self { items: Some(items), carrier, tracking_number, tracking_url }
    }
}

/// Where a parcel is now, and how it is followed. What is absent stays.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct FulfilmentPatch {
    /// `shipped`, `delivered`, `cancelled` or `returned_to_sender`.
    #[serde(default, deserialize_with = "present")]
    pub status: Option<FulfilmentStatus>,
    /// With `returned_to_sender`: whether the goods go back into stock; true, if absent. Goods that do are taken from there
    /// once more when they are shipped again.
    #[serde(default, deserialize_with = "present")]
    pub restock: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 100))]
    pub carrier: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 100))]
    pub tracking_number: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 2000))]
    pub tracking_url: MaybeUndefined<String>,
}

impl FulfilmentPatch {
    pub fn read(self) -> Result<core::FulfilmentUpdate, Invalid> {
        let status = self.status.map(Into::into);
        let comes_back = status == Some(core::FulfilmentStatus::ReturnedToSender);
        only_with(self.restock.is_none() || comes_back, "/restock", "returned_to_sender")?;
        let update = core::FulfilmentUpdate::new().status(status).restock(self.restock.unwrap_or(true));
        let update = update.carrier(self.carrier).tracking_number(self.tracking_number);
        Ok(match patch(self.tracking_url) {
            Some(url) => update.tracking_url(url),
            None => update,
        })
    }
}

fn only_with(is_right: bool, pointer: &str, status: &str) -> Result<(), Invalid> {
    let detail = || format!("may be given only with the status {status}");
    if is_right { Ok(()) } else { Err(Invalid::field(pointer, "not_applicable", detail())) }
}

impl Example for FulfilmentPatch {
    fn example() -> Self {
        let Fulfilment { carrier, tracking_number, tracking_url, .. } = Fulfilment::example();
        Self {
            status: Some(FulfilmentStatus::Shipped),
            restock: None,
            carrier: Some(carrier),
            tracking_number: Some(tracking_number),
            tracking_url: tracking_url.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value),
        }
    }
}

/// What goes back to the customer with a return: `full`, `none`, or an amount.
#[derive(Clone, Debug)]
pub enum ReturnRefund {
    Full,
    None,
    Amount(Money),
}

impl<'de> Deserialize<'de> for ReturnRefund {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReturnRefundVisitor)
    }
}

struct ReturnRefundVisitor;

impl<'de> Visitor<'de> for ReturnRefundVisitor {
    type Value = ReturnRefund;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"full\", \"none\" or an amount of money")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ReturnRefund, E> {
        match text {
            "full" => Ok(ReturnRefund::Full),
            "none" => Ok(ReturnRefund::None),
            _ => Err(E::unknown_variant(text, &["full", "none"])),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ReturnRefund, A::Error> {
        Money::deserialize(MapAccessDeserializer::new(map)).map(ReturnRefund::Amount)
    }
}

impl Type for ReturnRefund {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "ReturnRefund".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let words = MetaSchema { enum_items: vec!["full".into(), "none".into()], ..MetaSchema::new("string") };
        let one_of = vec![MetaSchemaRef::Inline(Box::new(words)), Money::schema_ref()];
        MetaSchemaRef::Inline(Box::new(MetaSchema { one_of, ..MetaSchema::ANY }))
    }

    fn register(registry: &mut Registry) {
        Money::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for ReturnRefund {
    fn to_json(&self) -> Option<Value> {
        match self {
            Self::Full => Some(Value::from("full")),
            Self::None => Some(Value::from("none")),
            Self::Amount(amount) => amount.to_json(),
        }
    }
}

impl ParseFromJSON for ReturnRefund {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

/// A decision on a return.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct ReturnPatch {
    /// `approved`, `rejected` or `received`.
    pub status: ReturnStatus,
    /// With `received`: whether the goods go back into stock; true, if absent.
    #[serde(default, deserialize_with = "present")]
    pub restock: Option<bool>,
    /// With `received`: what goes back to the customer, or isn't charged if the money hasn't been taken yet: `full` (what was
    /// charged for the goods; if absent), `none`, or an amount.
    #[serde(default, deserialize_with = "present")]
    pub refund: Option<ReturnRefund>,
}

impl ReturnPatch {
    pub fn read(self, currency: Currency) -> Result<core::ReturnDecision, Invalid> {
        let status = core::ReturnStatus::from(self.status);
        let is_received = status == core::ReturnStatus::Received;
        only_with(self.restock.is_none() || is_received, "/restock", "received")?;
        only_with(self.refund.is_none() || is_received, "/refund", "received")?;
        let refund = match self.refund {
            None | Some(ReturnRefund::Full) => core::ReturnRefund::Full,
            Some(ReturnRefund::None) => core::ReturnRefund::None,
            Some(ReturnRefund::Amount(amount)) => core::ReturnRefund::Amount(amount.read(currency, "/refund")?),
        };
        Ok(core::ReturnDecision::to(status).restock(self.restock.unwrap_or(true)).refund(refund))
    }
}

impl Example for ReturnPatch {
    fn example() -> Self {
        let refund = Some(ReturnRefund::Amount(eur("19.90")));
        Self { status: ReturnStatus::Received, restock: Some(false), refund }
    }
}

/// How much is captured.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct CaptureInput {
    /// No more than is owed; all of that, if absent.
    #[serde(default, deserialize_with = "present")]
    pub amount: Option<Money>,
}

impl CaptureInput {
    pub fn read(self, currency: Currency) -> Result<Option<commerce_core::Money>, Invalid> {
        self.amount.map(|amount| amount.read(currency, "/amount")).transpose()
    }
}

impl Example for CaptureInput {
    fn example() -> Self {
        Self { amount: Some(eur("19.90")) }
    }
}

/// What staff cancel.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct AdminCancel {
    /// All of the order, if absent.
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_items = 1))]
    pub items: Option<Vec<ItemQuantity>>,
    #[serde(default)]
    #[oai(nullable, validator(min_length = 1, max_length = 500))]
    pub reason: Option<String>,
    /// Whether the items go back into stock; true, if absent.
    #[serde(default, deserialize_with = "present")]
    pub restock: Option<bool>,
}

impl From<AdminCancel> for core::Cancellation {
    fn from(body: AdminCancel) -> Self {
        let reason = body.reason.unwrap_or_else(|| "cancelled by the shop".to_owned());
        Self::of(items(body.items)).reason(reason).restock(body.restock.unwrap_or(true))
    }
}

impl Example for AdminCancel {
    fn example() -> Self {
        Self {
            items: Some(vec![ItemQuantity::example()]),
            reason: Some("can't be delivered".to_owned()),
            restock: Some(false),
        }
    }
}

/// Money to send back: an amount, or the share of items; all that is left, if neither is given.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewRefund {
    #[serde(default, deserialize_with = "present")]
    pub amount: Option<Money>,
    /// Their share of what was charged. Units that haven't left are taken out of the order.
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_items = 1))]
    pub items: Option<Vec<ItemQuantity>>,
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
    /// Whether the items go back into stock.
    pub restock: bool,
}

impl NewRefund {
    pub fn read(self, currency: Currency) -> Result<payment::NewRefund, Invalid> {
        if self.amount.is_some() && self.items.is_some() {
            return Err(Invalid::field("/items", "ambiguous", "give an amount or items, not both"));
        }
        let refund = match self.amount {
            Some(amount) => payment::NewRefund::amount(amount.read(currency, "/amount")?),
            None => payment::NewRefund::items(items(self.items)),
        };
        Ok(refund.reason(self.reason).restock(self.restock))
    }
}

impl Example for NewRefund {
    fn example() -> Self {
        Self { amount: Some(eur("19.90")), items: None, reason: "arrived broken".to_owned(), restock: false }
    }
}
