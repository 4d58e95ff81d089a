//! Who takes payments.

use commerce_core::payment::stripe::{StripeConfig, StripeConfigError};

use super::{ConfigError, boolean, items, non_empty, wrong};
use crate::cli::Settings;

/// The gateways besides payment by hand, which is always offered.
#[derive(Debug)]
pub struct Gateways {
    pub stripe: Option<StripeConfig>,
    /// On, off, or as is sensible.
    test_gateway: Option<bool>,
}

impl Gateways {
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            stripe: stripe(
                non_empty(settings.stripe_secret_key.as_deref()),
                non_empty(settings.stripe_webhook_secret.as_deref()),
                non_empty(settings.stripe_api_base.as_deref()),
            )?,
            test_gateway: non_empty(settings.test_gateway.as_deref())
                .map(|value| boolean("COMMERCE_TEST_GATEWAY", value, "on", "off"))
                .transpose()?,
        })
    }

    /// Whether orders can be paid without money: if that was asked for, or there is no real gateway.
    pub fn offer_test_gateway(&self) -> bool {
        self.test_gateway.unwrap_or(self.stripe.is_none())
    }
}

fn stripe(
    key: Option<&str>,
    webhook_secrets: Option<&str>,
    api_base: Option<&str>,
) -> Result<Option<StripeConfig>, ConfigError> {
    let wrong = |variable| move |error: StripeConfigError| wrong(variable, format!("is wrong: {error}"));
    let Some(key) = key else { return Ok(None) };
    let mut stripe = StripeConfig::new(key).map_err(wrong("STRIPE_SECRET_KEY"))?;
    for secret in items(webhook_secrets.unwrap_or_default()) {
        stripe = stripe.webhook_secret(secret).map_err(wrong("STRIPE_WEBHOOK_SECRET"))?;
    }
    if let Some(base) = api_base {
        stripe = stripe.api_base(base).map_err(wrong("STRIPE_API_BASE"))?;
    }
    Ok(Some(stripe))
}
