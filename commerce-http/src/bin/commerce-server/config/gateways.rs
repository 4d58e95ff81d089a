//! Who takes payments.

use std::time::Duration;

use commerce_core::payment::stripe::{StripeConfig, StripeConfigError};

use super::{ConfigError, boolean, items, non_empty, wrong};
use crate::cli::Settings;

/// The gateways besides payment by hand, which is always offered.
#[derive(Debug)]
pub struct Gateways {
    pub stripe: Option<StripeConfig>,
    /// How long an offline payment is awaited.
    pub unpaid_ttl: Option<Duration>,
    /// How to pay offline.
    pub offline_instructions: Option<String>,
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
            unpaid_ttl: non_empty(settings.unpaid_ttl.as_deref()).map(unpaid_ttl).transpose()?,
            offline_instructions: non_empty(settings.offline_instructions.as_deref()).map(instructions).transpose()?,
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

fn unpaid_ttl(text: &str) -> Result<Duration, ConfigError> {
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let parts = units.iter().find_map(|(unit, seconds)| Some((text.trim().strip_suffix(unit)?, *seconds)));
    let seconds = parts.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
    // Ten years: more is a slip.
    let fits = seconds.filter(|seconds| (1..=10 * 365 * 86_400).contains(seconds));
    let reason = || format!("must be a time such as 14d, 48h or 30m, not '{text}'");
    fits.map(Duration::from_secs).ok_or_else(|| self::wrong("COMMERCE_UNPAID_TTL", reason()))
}

fn instructions(text: &str) -> Result<String, ConfigError> {
    if text.chars().count() > 2000 {
        return Err(self::wrong("COMMERCE_OFFLINE_INSTRUCTIONS", "must have at most 2000 characters"));
    }
    Ok(text.trim().to_owned())
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
