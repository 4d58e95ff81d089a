//! Quotes and checkouts on the wire.

use commerce_core::{Currency, checkout as core, error::Invalid, payment};
use poem_openapi::{Object, types::Example};
use serde::{Deserialize, Serialize};

use crate::{
    account::address::PostalAddress,
    cart::dto::Totals,
    order::dto::ShippingMethod,
    types::{Money, eur},
};

/// A way to pay.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct PaymentMethod {
    /// What checkout's `payment.method` names.
    pub code: String,
    pub title: String,
    pub gateway: String,
    /// How to pay by it, where you pay outside the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub instructions: Option<String>,
}

impl From<payment::PaymentMethod> for PaymentMethod {
    fn from(method: payment::PaymentMethod) -> Self {
        let payment::PaymentMethod { code, title, gateway, instructions } = method;
        Self { code, title, gateway, instructions }
    }
}

impl Example for PaymentMethod {
    fn example() -> Self {
        let (code, title) = ("test".to_owned(), "Test card".to_owned());
        Self { gateway: code.clone(), code, title, instructions: None }
    }
}

/// What is to be quoted for.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct QuoteRequest {
    /// Tax depends on it.
    #[serde(default)]
    #[oai(nullable)]
    pub shipping_address: Option<PostalAddress>,
    /// The cheapest, if absent.
    #[serde(default)]
    #[oai(nullable)]
    pub shipping_method: Option<String>,
}

impl Example for QuoteRequest {
    fn example() -> Self {
        Self { shipping_address: Some(PostalAddress::example()), shipping_method: Some("standard".to_owned()) }
    }
}

/// What the cart would cost.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Quote {
    pub shipping_methods: Vec<ShippingMethod>,
    /// `grand_total` is what checkout's `expected_total` means.
    pub totals: Totals,
    /// The ways to pay that can take this total.
    pub payment_methods: Vec<PaymentMethod>,
}

impl From<core::Quote> for Quote {
    fn from(quote: core::Quote) -> Self {
        Self {
            shipping_methods: quote.shipping_methods.into_iter().map(Into::into).collect(),
            totals: quote.totals.into(),
            payment_methods: quote.payment_methods.into_iter().map(Into::into).collect(),
        }
    }
}

impl Example for Quote {
    fn example() -> Self {
        let payment_methods = vec![PaymentMethod::example()];
        Self { shipping_methods: vec![ShippingMethod::example()], totals: Totals::example(), payment_methods }
    }
}

/// How it is paid.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PaymentChoice {
    /// One of the payment methods' codes.
    pub method: String,
    /// The gateway's token for the customer's card or account; never a card number.
    #[serde(default)]
    #[oai(nullable, validator(min_length = 1, max_length = 500))]
    pub token: Option<String>,
}

impl From<PaymentChoice> for core::PaymentChoice {
    fn from(choice: PaymentChoice) -> Self {
        Self::by(choice.method).token(choice.token)
    }
}

impl Example for PaymentChoice {
    fn example() -> Self {
        Self { method: "test".to_owned(), token: Some("pm_card_visa".to_owned()) }
    }
}

/// How a pending order is paid in another way.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example)]
pub struct PaymentRequest {
    pub payment: PaymentChoice,
}

impl Example for PaymentRequest {
    fn example() -> Self {
        Self { payment: PaymentChoice::example() }
    }
}

/// What places an order.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct CheckoutRequest {
    pub shipping_address: PostalAddress,
    /// The shipping address, if absent.
    #[serde(default)]
    #[oai(nullable)]
    pub billing_address: Option<PostalAddress>,
    /// Guests must say where messages go.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 254))]
    pub email: Option<String>,
    /// The cheapest, if absent.
    #[serde(default)]
    #[oai(nullable)]
    pub shipping_method: Option<String>,
    pub payment: PaymentChoice,
    /// The grand total that was seen: if it has changed, nothing is ordered.
    #[serde(default)]
    #[oai(nullable)]
    pub expected_total: Option<Money>,
    /// What the shop should know, at most 1000 characters.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 1000))]
    pub note: Option<String>,
}

impl CheckoutRequest {
    pub fn read(self, currency: Currency) -> Result<core::Checkout, Invalid> {
        let expected = self.expected_total.map(|total| total.read(currency, "/expected_total")).transpose()?;
        Ok(core::Checkout::ship_to(self.shipping_address.into())
            .bill_to(self.billing_address.map(Into::into))
            .email(self.email)
            .shipping_method(self.shipping_method)
            .pay_with(self.payment)
            .expect_total(expected)
            .note(self.note))
    }
}

impl Example for CheckoutRequest {
    fn example() -> Self {
        Self {
            shipping_address: PostalAddress::example(),
            billing_address: Some(PostalAddress::example()),
            email: Some("mia@example.com".to_owned()),
            shipping_method: Some("standard".to_owned()),
            payment: PaymentChoice::example(),
            expected_total: Some(eur("44.70")),
            note: Some("Please ring twice.".to_owned()),
        }
    }
}
