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

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::{again::PaymentChoice, quote::Quote};
use crate::{
    address::PostalAddress,
    context::Actor,
    engine::Engine,
    error::{CommonError, common_errors},
    id::VariantId,
    money::Money,
    order::Order,
    payment::{PaymentMethod, PlacementOutcome},
    pricing::Totals,
};

/// What a checkout needs to know.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckoutInput {
    /// Where the goods go.
    pub shipping_address: PostalAddress,
    /// Who is billed; the shipping address, if absent.
    pub billing_address: Option<PostalAddress>,
    /// Where messages go; guests must say, customers may.
    pub email: Option<String>,
    /// One of the methods of the quote; the cheapest, if absent.
    pub shipping_method: Option<String>,
    /// One of [`Checkout::payment_methods`].
    pub payment_method: String,
    /// The gateway's token for the customer's card or account.
    pub payment_token: Option<String>,
    /// The grand total the customer has seen: another one is refused.
    pub expected_total: Option<Money>,
    /// What the customer wants the shop to know, at most 1000 characters.
    pub note: Option<String>,
}

impl CheckoutInput {
    /// To this address, paid by this method; the rest can be set afterwards.
    #[must_use]
    pub fn new(shipping_address: PostalAddress, payment_method: impl Into<String>) -> Self {
        Self {
            shipping_address,
            billing_address: None,
            email: None,
            shipping_method: None,
            payment_method: payment_method.into(),
            payment_token: None,
            expected_total: None,
            note: None,
        }
    }
}

/// An order that was placed, and how that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The order.
    pub order: Order,
    /// For guests: opens the order.
    pub order_token: Option<String>,
    /// How the checkout ended, as far as is known.
    pub outcome: PlacementOutcome,
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
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&RequestContext::system(), draft).await?.value.view.product.variants[0].id;
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let ada = RequestContext::from(shop.sign_in("ada@example.com", "difference engine no 2").await?.actor());
/// # let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
/// shop.acting_as(&ada).carts().add(mug, 2).await?;
/// let quote = shop.checkout().quote(&ada.actor, Some(address.clone()), None).await?;
///
/// let mut input = CheckoutInput::new(address, "test");
/// input.payment_token = Some("pm_card_visa".into());
/// input.expected_total = Some(quote.totals.grand_total);
/// let placement = shop.checkout().place(&ada, input).await?.value;
/// assert_eq!(placement.outcome, PlacementOutcome::Placed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Checkout {
    engine: Arc<Engine>,
}

impl Checkout {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The ways to pay that can be chosen.
    #[must_use]
    pub fn payment_methods(&self) -> Vec<PaymentMethod> {
        self.engine.gateways.values().flat_map(|gateway| gateway.methods()).collect()
    }

    /// The ways to ship the actor's cart, with what each costs.
    ///
    /// # Errors
    /// If the store or the shipping service fails.
    pub async fn shipping_methods(
        &self,
        actor: &Actor,
        country: Option<&str>,
    ) -> Result<Vec<crate::pricing::ShippingMethod>, CheckoutError> {
        let basket = self.basket(actor).await?;
        self.methods(country, &basket).await
    }
}
