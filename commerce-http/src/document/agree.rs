//! The schemas say what serde does: names, what is required, and the examples, for every body of the API.

use std::collections::BTreeSet;

use poem_openapi::types::{Example, ToJSON, Type};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::Value;

use super::tests::document;
use crate::{account, cart, catalog, checkout, inventory, order, parse, payment, review, types};

/// Answers a struct's wish to be read with the names of its fields.
struct FieldNames;

impl<'de> Deserializer<'de> for FieldNames {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom(""))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom(fields.join(",")))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn schema<T: Type>(document: &Value) -> &Value {
    &document["components"]["schemas"][T::name().as_ref()]
}

fn request<T: Type + Example + ToJSON + for<'de> Deserialize<'de>>(document: &Value) -> String {
    let (name, schema) = (T::name().into_owned(), schema::<T>(document));
    let Err(fields) = T::deserialize(FieldNames) else { panic!("{name} is no struct") };
    let fields: BTreeSet<String> = fields.to_string().split(',').map(ToOwned::to_owned).collect();
    assert_eq!(fields, keys(&schema["properties"]), "{name}");
    assert_eq!(schema["additionalProperties"], false, "{name}");

    let example = T::example().to_json().unwrap();
    parse::parse::<T>(&example).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
    let required = names(&schema["required"]);
    for field in keys(&example) {
        let mut without = example.clone();
        without.as_object_mut().unwrap().remove(&field);
        assert_eq!(parse::parse::<T>(&without).is_err(), required.contains(&field), "{name}.{field}");
    }
    // What may be absent may be null, unless that says something else or nothing.
    for (field, schema) in schema["properties"].as_object().unwrap() {
        let mut with_null = example.clone();
        with_null[field] = Value::Null;
        assert_eq!(parse::parse::<T>(&with_null).is_ok(), schema["nullable"] == true, "{name}.{field} and null");
    }
    name
}

fn answer<T: Type + Example + ToJSON + Serialize>(document: &Value) -> String {
    let (name, schema) = (T::name().into_owned(), schema::<T>(document));
    let sent = serde_json::to_value(T::example()).unwrap();
    assert_eq!(Some(&sent), T::example().to_json().as_ref(), "{name}");
    assert_eq!(sent, schema["example"], "{name}");
    let (sent, known) = (keys(&sent), keys(&schema["properties"]));
    assert!(sent.is_subset(&known), "{name}: {sent:?} and {known:?}");
    assert!(names(&schema["required"]).is_subset(&sent), "{name} doesn't send all that is required");
    name
}

macro_rules! each {
    ($check:ident, $document:ident: $($type:ty),+ $(,)?) => { vec![$($check::<$type>(&$document)),+] };
}

#[tokio::test]
async fn schemas_and_serde_agree() {
    let document = document("").await;
    let mut covered = each!(request, document:
        account::dto::Register, account::dto::LoginRequest, account::dto::Refresh, account::dto::MailedToken,
        account::dto::EmailAddress, account::dto::EmailChange, account::dto::Logout, account::dto::PasswordReset, account::dto::PasswordChange,
        account::dto::ProfilePatch, account::dto::UserPatch, account::address::PostalAddress,
        account::address::AddressPatch, catalog::dto::NewCategory, catalog::edit::NewVariant, catalog::edit::NewProduct,
        catalog::edit::ProductPatch, catalog::edit::VariantPatch, catalog::edit::CategoryPatch, review::dto::NewReview,
        review::dto::ReviewPatch, review::dto::Moderation, inventory::dto::StockCount, inventory::dto::Adjustment,
        cart::dto::NewCartItem, cart::dto::CartItemPatch, checkout::dto::QuoteRequest, checkout::dto::PaymentChoice,
        checkout::dto::PaymentRequest,
        checkout::dto::CheckoutRequest, order::edit::OrderLookup, order::edit::NewReturn, order::edit::NewFulfilment,
        order::edit::FulfilmentPatch, order::edit::ReturnPatch, order::edit::AdminCancel, order::edit::NewRefund,
        order::edit::CaptureInput,
        payment::Authentication, payment::PaymentResolution, types::Money, catalog::dto::Image, order::parts::ItemQuantity,
    );
    covered.extend(each!(answer, document:
        account::dto::User, account::dto::AdminUser, account::dto::Login, account::dto::Session,
        account::address::PostalAddress, account::address::Address, catalog::dto::Product, catalog::dto::Variant,
        catalog::dto::Image, catalog::dto::CategoryRef, catalog::dto::PriceRange, catalog::dto::Rating,
        catalog::dto::Category, review::dto::Review, inventory::dto::StockItem, inventory::dto::Movement,
        inventory::dto::Alert, cart::dto::Totals, cart::dto::CartItem, cart::dto::Cart, checkout::dto::PaymentMethod,
        checkout::dto::Quote, order::dto::OrderItem, order::dto::ShippingMethod, order::dto::Order,
        order::dto::TimelineEntry, order::dto::Tracking, order::parts::NextAction, order::parts::Payment,
        order::parts::Refund, order::parts::Fulfilment, order::parts::Return, order::parts::OrderReturn,
        order::parts::OrderPayment, order::parts::ItemQuantity, types::Money,
    ));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let is_own = schema["properties"].is_object() && !["Problem", "Fault"].contains(&name.as_str());
        let is_list = name.ends_with("Page") || name.ends_with("List");
        assert!(!is_own || is_list || covered.contains(name), "{name} isn't covered");
    }
}
