//! What a checkout is told: [`Checkout`], and how it is paid.

use std::fmt;

use crate::{address::PostalAddress, money::Money};

/// What the caller's cart is to be ordered with: where to, and how it is paid.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkout {
    pub(super) shipping_address: PostalAddress,
    pub(super) billing_address: Option<PostalAddress>,
    pub(super) email: Option<String>,
    pub(super) shipping_method: Option<String>,
    pub(super) payment: PaymentChoice,
    pub(super) expected_total: Option<Money>,
    pub(super) note: Option<String>,
}

impl Checkout {
    /// Where the goods go.
    #[must_use]
    pub const fn ship_to(address: PostalAddress) -> Self {
        Self {
            shipping_address: address,
            billing_address: None,
            email: None,
            shipping_method: None,
            payment: PaymentChoice { method: String::new(), token: None },
            expected_total: None,
            note: None,
        }
    }

    /// How it is paid: the code of one of [`Checkouts::payment_methods`](super::Checkouts::payment_methods), or a [`PaymentChoice`] with the gateway's token.
    #[must_use]
    pub fn pay_with(mut self, payment: impl Into<PaymentChoice>) -> Self {
        self.payment = payment.into();
        self
    }

    /// Who is billed; the shipping address, if absent.
    #[must_use]
    pub fn bill_to(mut self, address: impl Into<Option<PostalAddress>>) -> Self {
        self.billing_address = address.into();
        self
    }

    /// Where messages go. Guests must say; a customer's go to the account's address, if absent.
    #[must_use]
    pub fn email(mut self, email: impl Into<Option<String>>) -> Self {
        self.email = email.into();
        self
    }

    /// One of the methods of the quote; the cheapest, if absent.
    #[must_use]
    pub fn shipping_method(mut self, code: impl Into<Option<String>>) -> Self {
        self.shipping_method = code.into();
        self
    }

    /// The grand total that the customer has seen: nothing is ordered at another one.
    #[must_use]
    pub fn expect_total(mut self, total: impl Into<Option<Money>>) -> Self {
        self.expected_total = total.into();
        self
    }

    /// What the customer wants the shop to know, in at most 1,000 characters.
    #[must_use]
    pub fn note(mut self, note: impl Into<Option<String>>) -> Self {
        self.note = note.into();
        self
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkout").field("payment", &self.payment).finish_non_exhaustive()
    }
}

/// How an order is to be paid.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaymentChoice {
    pub(super) method: String,
    pub(super) token: Option<String>,
}

impl PaymentChoice {
    /// By one of [`Checkouts::payment_methods`](super::Checkouts::payment_methods).
    pub fn by(method: impl Into<String>) -> Self {
        Self { method: method.into(), token: None }
    }

    /// The gateway's token for the customer's card or account; never a card number.
    #[must_use]
    pub fn token(mut self, token: impl Into<Option<String>>) -> Self {
        self.token = token.into();
        self
    }
}

impl From<&str> for PaymentChoice {
    fn from(method: &str) -> Self {
        Self::by(method)
    }
}

impl From<String> for PaymentChoice {
    fn from(method: String) -> Self {
        Self::by(method)
    }
}

impl fmt::Debug for PaymentChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentChoice").field("method", &self.method).finish_non_exhaustive()
    }
}
