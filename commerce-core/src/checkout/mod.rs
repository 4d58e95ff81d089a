//! Placing an order, in phases around the call to the payment gateway.
//!
//! 1. **Quote** (pure): today's prices, shipping and tax; compared with the caller's `expected_total`.
//! 2. **Reserve** (one commit): stock is reserved, order and payment are written, the cart is closed, the idempotency key
//!    claimed, the tasks added that settle or expire the payment should this process die.
//! 3. **Pay**: the gateway is called, holding nothing.
//! 4. **Settle** (one commit): sold and confirmed, or declined and released, or pending.
//! 5. **Recovery**: the [worker](crate::Worker) settles what is left, by the same function.

mod again;
mod place;
mod quote;
mod reserve;

use std::{fmt, ops::Deref};

pub use self::{
    again::PaymentChoice,
    quote::{Quote, QuoteRequest},
};
use crate::{
    address::PostalAddress,
    error::{CommonError, common_errors},
    id::VariantId,
    money::Money,
    order::Order,
    payment::{PaymentMethod, PlacementOutcome, processor::PaymentProcessor},
    pricing::{ShippingMethod, Totals},
    token::OrderToken,
    write::Scope,
};

/// What the caller's cart is to be ordered with: where to, and how it is paid.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkout {
    shipping_address: PostalAddress,
    billing_address: Option<PostalAddress>,
    email: Option<String>,
    shipping_method: Option<String>,
    payment: PaymentChoice,
    expected_total: Option<Money>,
    note: Option<String>,
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

    /// How it is paid: the code of one of [`Checkouts::payment_methods`], or a [`PaymentChoice`] with the gateway's token.
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

/// An order that was placed, and how that ended. It reads like its order: `placement.id`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// The order.
    pub order: Order,
    /// For guests: opens the order.
    pub order_token: Option<OrderToken>,
    /// How the checkout ended, as far as is known.
    pub outcome: PlacementOutcome,
}

impl Deref for Placement {
    type Target = Order;
    fn deref(&self) -> &Order {
        &self.order
    }
}

/// Why nothing was ordered. Nothing was charged, and the cart is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// There is nothing to order.
    #[error("the cart is empty")]
    CartEmpty,
    /// There are fewer than the cart holds.
    #[error("only {available} of an item in the cart are available")]
    OutOfStock {
        /// The variant that is out of stock.
        variant_id: VariantId,
        /// How many there are.
        available: i64,
    },
    /// The total isn't what the customer has seen.
    #[error("the total has changed to {}", totals.grand_total)]
    PriceChanged {
        /// What it costs now.
        totals: Box<Totals>,
    },
    /// The gateway of the chosen method can't take this total. Another method may.
    #[error(transparent)]
    AmountNotPayable(#[from] crate::payment::AmountNotPayable),
    /// The order isn't waiting to be paid, or its goods aren't reserved any more.
    #[error("this order can't be paid (any more)")]
    NotPayable,
    /// Its payment is being made right now.
    #[error("another call on this order's payment is running; try again")]
    PaymentBusy,
    /// The payment gateway isn't reached; try again.
    #[error("the payment gateway is unavailable; nothing was charged, try again")]
    GatewayUnavailable,
}

common_errors!(CheckoutError);

/// Quotes and placing orders.
///
/// ```
/// # use commerce_core::{checkout::PaymentChoice, prelude::*};
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let ada = shop.sign_in("ada@example.com", "difference engine no 2").await?;
/// # let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
/// ada.carts().add(mug, 2).await?;
/// let quote = ada.checkout().quote(address.clone()).await?;
///
/// let card = PaymentChoice::by("test").token("pm_card_visa".to_owned());
/// let checkout = Checkout::ship_to(address).pay_with(card).expect_total(quote.totals.grand_total);
/// let order = ada.checkout().place(checkout).await?;
/// assert_eq!(order.outcome, PlacementOutcome::Placed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Checkouts {
    scope: Scope,
}

impl Checkouts {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    fn processor(&self) -> PaymentProcessor {
        PaymentProcessor { engine: self.scope.engine.clone() }
    }

    /// The ways to pay that can be chosen.
    #[must_use]
    pub fn payment_methods(&self) -> Vec<PaymentMethod> {
        self.scope.engine.gateways.values().flat_map(|gateway| gateway.methods()).collect()
    }

    /// The ways to ship the caller's cart, with what each costs: to a country (ISO 3166-1 alpha-2) or, with `None`, anywhere.
    ///
    /// # Errors
    /// If the store or the shipping service fails.
    pub async fn shipping_methods(
        &self,
        country: impl Into<Option<&str>> + Send,
    ) -> Result<Vec<ShippingMethod>, CheckoutError> {
        let country = country.into();
        let basket = self.basket().await?;
        self.methods(country, &basket).await
    }
}
