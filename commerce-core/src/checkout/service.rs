//! [`Checkouts`]: quotes, and placing orders.

use super::CheckoutError;
use crate::{
    payment::{PaymentMethod, processor::PaymentProcessor},
    pricing::ShippingMethod,
    write::Scope,
};

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
    pub(super) scope: Scope,
}

impl Checkouts {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    pub(super) fn processor(&self) -> PaymentProcessor {
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
