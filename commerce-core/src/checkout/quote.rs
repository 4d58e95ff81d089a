//! What a cart would cost: today's prices, a shipping method, tax at the destination.

use super::{CheckoutError, Checkouts};
use crate::{
    account::validate_address,
    address::PostalAddress,
    cart::{Cart, load_offers, open_cart},
    catalog::PurchasableVariant,
    error::{CommonError, Invalid},
    money::Money,
    payment::{PaymentGateway, PaymentMethod},
    pricing::{PricedLine, PricingError, ShippingMethod, TaxBreakdown, TaxRequest, Totals, totals},
    store::StoreError,
};

/// What the caller's cart is to be priced for. A [`PostalAddress`] alone means: to there, by the cheapest method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuoteRequest {
    destination: Option<PostalAddress>,
    shipping_method: Option<String>,
}

impl QuoteRequest {
    /// The cart as it is, sent anywhere by the cheapest method.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the goods go, which tax and shipping depend on; `None` for anywhere.
    #[must_use]
    pub fn ship_to(mut self, address: impl Into<Option<PostalAddress>>) -> Self {
        self.destination = address.into();
        self
    }

    /// The code of one of the shipping methods; `None` for the cheapest.
    #[must_use]
    pub fn shipping_method(mut self, code: impl Into<Option<String>>) -> Self {
        self.shipping_method = code.into();
        self
    }
}

impl From<PostalAddress> for QuoteRequest {
    fn from(address: PostalAddress) -> Self {
        Self::new().ship_to(address)
    }
}

/// What the caller's cart would cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quote {
    /// The ways to ship it.
    pub shipping_methods: Vec<ShippingMethod>,
    /// The totals with the chosen method, or the cheapest.
    pub totals: Totals,
    /// The ways to pay that can take this total.
    pub payment_methods: Vec<PaymentMethod>,
}

/// A cart with what is to be known of its variants. What isn't sold any more is left out.
pub(super) struct Basket {
    pub cart: Option<Cart>,
    pub offers: Vec<PurchasableVariant>,
    pub lines: Vec<PricedLine>,
}

/// A basket priced for a destination.
pub(super) struct Priced {
    pub method: ShippingMethod,
    pub methods: Vec<ShippingMethod>,
    pub tax: TaxBreakdown,
    pub totals: Totals,
}

impl Checkouts {
    /// What the caller's cart would cost; its `grand_total` is what a checkout expects.
    ///
    /// # Errors
    /// [`Invalid`] for a bad address or an unknown shipping method.
    pub async fn quote(&self, request: impl Into<QuoteRequest> + Send) -> Result<Quote, CheckoutError> {
        let QuoteRequest { destination, shipping_method } = request.into();
        let destination = destination.map(|address| validate_address(&address, "/shipping_address")).transpose()?;
        let basket = self.basket().await?;
        let priced = self.price(&basket, destination.as_ref(), shipping_method.as_deref()).await?;
        let Priced { methods, totals, .. } = priced;
        let payment_methods = self.methods_for(totals.grand_total);
        Ok(Quote { shipping_methods: methods, totals, payment_methods })
    }

    /// The ways to pay that can take so much. What is free needs none of them, so that all will do.
    fn methods_for(&self, total: Money) -> Vec<PaymentMethod> {
        let takes = |gateway: &dyn PaymentGateway| {
            total.is_zero() || gateway.amounts(total.currency).check_payment(total).is_ok()
        };
        self.scope
            .engine
            .gateways
            .values()
            .filter(|gateway| takes(&***gateway))
            .flat_map(|gateway| gateway.methods())
            .collect()
    }

    pub(super) async fn basket(&self) -> Result<Basket, CheckoutError> {
        let Some(cart) = open_cart(&self.scope.engine, self.scope.actor()).await? else {
            return Ok(Basket { cart: None, offers: Vec::new(), lines: Vec::new() });
        };
        let offers = load_offers(&self.scope.engine, &cart, None).await?;
        let lines = cart.lines.iter().filter_map(|line| {
            let offer = offers.iter().find(|offer| offer.variant.id == line.variant_id)?;
            let unit_price = offer.variant.price;
            Some(PricedLine { variant_id: line.variant_id, quantity: line.quantity, unit_price })
        });
        Ok(Basket { lines: lines.collect(), cart: Some(cart), offers })
    }

    pub(super) async fn methods(
        &self,
        country: Option<&str>,
        basket: &Basket,
    ) -> Result<Vec<ShippingMethod>, CheckoutError> {
        let currency = self.scope.engine.settings.currency;
        let subtotal = basket.lines.iter().try_fold(currency.zero(), |sum, line| sum.plus(line.total()?))?;
        Ok(self.scope.engine.shipping.methods(country, subtotal, &basket.lines).await.map_err(unavailable)?)
    }

    pub(super) async fn price(
        &self,
        basket: &Basket,
        destination: Option<&PostalAddress>,
        shipping_method: Option<&str>,
    ) -> Result<Priced, CheckoutError> {
        let settings = &self.scope.engine.settings;
        let country = destination.map(|address| address.country.as_str());
        let methods = self.methods(country, basket).await?;
        let method = match shipping_method {
            Some(code) => methods.iter().find(|method| method.code == code).ok_or_else(|| {
                let detail = format!("'{code}' isn't a shipping method for this cart and country");
                Invalid::field("/shipping_method", "unknown_shipping_method", detail)
            })?,
            None => methods.iter().min_by_key(|method| method.price.minor).ok_or_else(|| {
                let detail = "nothing can be shipped to this country";
                Invalid::field("/shipping_address/country", "no_shipping_method", detail)
            })?,
        }
        .clone();
        let request = TaxRequest {
            destination,
            lines: &basket.lines,
            shipping: method.price,
            prices_include_tax: settings.prices_include_tax,
        };
        let tax = self.scope.engine.tax.tax(&request).await.map_err(unavailable)?;
        let totals = totals(settings.currency, &basket.lines, method.price, &tax, settings.prices_include_tax)?;
        Ok(Priced { method, methods, tax, totals })
    }
}

/// What is charged for a line: its price, and its tax where prices don't include it.
pub(super) fn charged(total: Money, tax: Money, prices_include_tax: bool) -> Result<Money, CommonError> {
    Ok(if prices_include_tax { total } else { total.plus(tax)? })
}

fn unavailable(error: PricingError) -> CommonError {
    match error {
        PricingError::Money(error) => error.into(),
        PricingError::Unavailable(reason) => StoreError::unavailable(reason).into(),
    }
}
