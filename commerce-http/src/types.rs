//! Values on the wire: money, instants, pages, enums; each with its schema.

use std::borrow::Cow;

use commerce_core::{
    Currency, MoneyError,
    clock::Timestamp,
    error::{FieldError, Invalid},
    page,
};
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{Example, MaybeUndefined, ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{param::QueryValue, parse, problem::ApiError};

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example)]
pub struct Money {
    /// A decimal string with exactly the currency's minor digits.
    #[oai(validator(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub amount: String,
    /// ISO 4217 code: the shop's one currency.
    #[oai(validator(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
}

impl From<commerce_core::Money> for Money {
    fn from(money: commerce_core::Money) -> Self {
        Self { amount: money.to_string(), currency: money.currency.code().to_owned() }
    }
}

impl Example for Money {
    fn example() -> Self {
        eur("19.90")
    }
}

/// An amount for examples.
pub fn eur(amount: &str) -> Money {
    Money { amount: amount.to_owned(), currency: "EUR".to_owned() }
}

impl Money {
    /// The amount, if it is one of the shop's currency.
    pub fn read(&self, shop: Currency, pointer: &str) -> Result<commerce_core::Money, Invalid> {
        if self.currency != shop.code() {
            let detail = format!("this shop's currency is {shop}");
            return Err(Invalid::field(format!("{pointer}/currency"), "currency_mismatch", detail));
        }
        commerce_core::Money::parse(&self.amount, shop).map_err(|error| {
            let code = if error == MoneyError::Overflow { "out_of_range" } else { "invalid_amount" };
            Invalid::field(format!("{pointer}/amount"), code, error.to_string())
        })
    }
}

/// An amount in a query: a decimal with at most the shop's digits.
pub fn read_amount(text: Option<&str>, name: &str, shop: Currency) -> Result<Option<commerce_core::Money>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let digits = shop.digits() as usize;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = if digits == 0 { text.to_owned() } else { format!("{whole}.{fraction:0<digits$}") };
    commerce_core::Money::parse(&padded, shop).map(Some).map_err(|error| {
        let code = if error == MoneyError::Overflow { "out_of_range" } else { "invalid_amount" };
        ApiError::invalid_parameter(name, code, error)
    })
}

/// An instant: RFC 3339, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Type for Time {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for Time {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl QueryValue for Time {
    fn read(text: &str) -> Result<Self, FieldError> {
        // A plus sign that wasn't escaped arrives as a blank.
        parse::parse(&Value::String(text.replace(' ', "+")))
    }
}

/// A country in a query, as ISO 3166-1 alpha-2 writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Country(pub String);

impl std::ops::Deref for Country {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl QueryValue for Country {
    fn read(text: &str) -> Result<Self, FieldError> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(Self(text.to_owned()));
        }
        let detail = "must be a country's two letters (ISO 3166-1 alpha-2), like DE".to_owned();
        Err(FieldError { pointer: String::new(), code: "invalid_country", detail })
    }
}

impl Type for Country {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_country".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let pattern = Some("^[A-Za-z]{2}$".to_owned());
        MetaSchemaRef::Inline(Box::new(MetaSchema { pattern, ..MetaSchema::new("string") }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for Country {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A page of core's things as the API shows them.
    pub fn of<U: Into<T>>(page: page::Page<U>) -> Self {
        let page = page.map(Into::into);
        Self { items: page.items, next_cursor: page.next_cursor, total: page.total }
    }
}

impl<T: Type> Type for Page<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let described = |schema: MetaSchemaRef, nullable, description| {
                schema.merge(MetaSchema { nullable, description: Some(description), ..MetaSchema::ANY })
            };
            MetaSchema {
                description: Some("One page of a list."),
                required: vec!["items", "next_cursor"],
                properties: vec![
                    ("items", Vec::<T>::schema_ref()),
                    ("next_cursor", described(String::schema_ref(), true, "Asks for the next page; null at the end.")),
                    ("total", described(u64::schema_ref(), false, "How many there are in all, with `count=true`.")),
                ],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

/// A list that is never cut into pages. It says so as a last page does, so that clients read all lists alike.
#[derive(Clone, Debug, Serialize)]
pub struct All<T> {
    pub items: Vec<T>,
    pub next_cursor: (),
}

impl<T> All<T> {
    pub fn of<U: Into<T>>(items: Vec<U>) -> Self {
        Self { items: items.into_iter().map(Into::into).collect(), next_cursor: () }
    }
}

impl<T: Type> Type for All<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let null = MetaSchema { nullable: true, description: Some("Always null."), ..MetaSchema::ANY };
            MetaSchema {
                description: Some("A whole list."),
                required: vec!["items", "next_cursor"],
                properties: vec![("items", Vec::<T>::schema_ref()), ("next_cursor", String::schema_ref().merge(null))],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

/// For fields of a PATCH that can't be cleared: absent leaves them, `null` is a wrong type.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A field of a merge patch: absent leaves it, `null` clears it. Core tells the three by two options.
#[allow(clippy::option_option)]
pub fn patch<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// A text of a merge patch that core takes away by an empty one.
pub fn or_empty(field: MaybeUndefined<String>) -> Option<String> {
    patch(field).map(Option::unwrap_or_default)
}

/// Enums that core has too, with their schema.
macro_rules! mirror {
    ($($(#[$doc:meta])* $name:ident = $core:path { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, poem_openapi::Enum, serde::Serialize, serde::Deserialize)]
        #[oai(rename_all = "snake_case")]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl crate::param::QueryValue for $name {}

        impl poem_openapi::types::Example for $name {
            fn example() -> Self {
                [$(Self::$variant),+][0]
            }
        }

        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                use $core as Core;
                match value { $(Core::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $core {
            fn from(value: $name) -> Self {
                use $core as Core;
                match value { $($name::$variant => Core::$variant),+ }
            }
        }
    )+};
}
pub(crate) use mirror;

/// Texts that are one of these words, with their schema.
macro_rules! words {
    ($($doc:literal $name:ident = [$($word:literal),+ $(,)?];)+) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference(stringify!($name).to_owned())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>(stringify!($name).to_owned(), |_| {
                    let mut schema = poem_openapi::registry::MetaSchema::new("string");
                    schema.description = Some($doc.trim());
                    schema.enum_items = vec![$($word.into()),+];
                    schema
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::String(self.0.clone()))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                serde_json::from_value(value.unwrap_or_default())
                    .map(Self)
                    .map_err(poem_openapi::types::ParseError::custom)
            }
        }
    )+};
}
pub(crate) use words;

/// Values for examples.
pub mod sample {
    use commerce_core::clock::Timestamp;
    use uuid::{Uuid, uuid};

    use super::Time;

    pub const PRODUCT: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d01");
    pub const VARIANT: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d02");
    pub const CATEGORY: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d03");
    pub const USER: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d04");
    pub const ORDER: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d05");
    pub const PAYMENT: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d06");
    pub const OTHER: Uuid = uuid!("019ab8e2-6a10-7c31-9d53-0f2a6b1c4d07");

    pub fn search() -> String {
        "enamel mug".to_owned()
    }

    pub fn slug() -> String {
        "kitchen".to_owned()
    }

    pub fn sku() -> String {
        "MUG-BLUE-L".to_owned()
    }

    pub fn low_price() -> String {
        "10.00".to_owned()
    }

    pub fn high_price() -> String {
        "50.00".to_owned()
    }

    pub fn name_part() -> String {
        "berger".to_owned()
    }

    pub fn email() -> String {
        "mia@example.com".to_owned()
    }

    pub fn number() -> String {
        "7K3MT-Q9XA0".to_owned()
    }

    pub fn country() -> super::Country {
        super::Country("DE".to_owned())
    }

    pub const fn yes() -> bool {
        true
    }

    pub const fn stars() -> f64 {
        4.0
    }

    /// 24 November 2026, 10:15.
    pub fn time() -> Time {
        Time(Timestamp::from_micros(1_795_515_300_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_of_the_shop() {
        let read = |amount: &str, currency: &str| {
            let money = Money { amount: amount.into(), currency: currency.into() };
            money
                .read(Currency::EUR, "/price")
                .map(|m| m.minor)
                .map_err(|e| (e.errors[0].pointer.clone(), e.errors[0].code))
        };
        assert_eq!(read("19.90", "EUR"), Ok(1990));
        assert_eq!(read("19.9", "EUR"), Err(("/price/amount".into(), "invalid_amount")));
        assert_eq!(read("19.90", "USD"), Err(("/price/currency".into(), "currency_mismatch")));
        assert_eq!(read("99999999999999999999.00", "EUR"), Err(("/price/amount".into(), "out_of_range")));
    }

    #[test]
    fn amounts_in_queries_may_be_short() {
        let read = |text| {
            read_amount(Some(text), "min_price", Currency::EUR).map(|m| m.unwrap().minor).map_err(|e| e.code.number())
        };
        assert_eq!((read("10"), read("10.5"), read("10.55")), (Ok(1000), Ok(1050), Ok(1055)));
        for bad in ["", "x", "10.555", "1e3"] {
            assert_eq!(read(bad).unwrap_err(), 400, "{bad}");
        }
        let yen = read_amount(Some("500"), "min_price", Currency::JPY).unwrap().unwrap();
        assert_eq!(yen.minor, 500);
    }
}
