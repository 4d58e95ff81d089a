//! [`FlatShipping`]: methods with one price, free above a threshold.

use async_trait::async_trait;

use super::{PricedLine, PricingError, ShippingRates};
use crate::{money::Money, pricing::ShippingMethod};

/// A shipping method with one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatMethod {
    /// What checkout's `shipping_method` names.
    pub code: String,
    /// What the customer reads.
    pub title: String,
    /// What it costs; `None` is free.
    pub price: Option<Money>,
    /// From this subtotal on it costs nothing.
    pub free_above: Option<Money>,
}

/// Methods with one price each, the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatShipping {
    methods: Vec<FlatMethod>,
}

impl FlatShipping {
    /// One method, `standard`, free.
    #[must_use]
    pub fn free() -> Self {
        let method =
            FlatMethod { code: "standard".to_owned(), title: "Standard".to_owned(), price: None, free_above: None };
        Self { methods: vec![method] }
    }

    /// These methods.
    #[must_use]
    pub fn new(methods: Vec<FlatMethod>) -> Self {
        Self { methods }
    }
}

#[async_trait]
impl ShippingRates for FlatShipping {
    async fn methods(
        &self,
        _country: Option<&str>,
        subtotal: Money,
        _lines: &[PricedLine],
    ) -> Result<Vec<ShippingMethod>, PricingError> {
        let zero = subtotal.currency.zero();
        let price_of = |method: &FlatMethod| match (method.price, method.free_above) {
            (Some(_), Some(threshold)) if subtotal.minor >= threshold.minor => zero,
            (price, _) => price.unwrap_or(zero),
        };
        Ok(self
            .methods
            .iter()
            .map(|method| ShippingMethod {
                code: method.code.clone(),
                title: method.title.clone(),
                price: price_of(method),
            })
            .collect())
    }
}
