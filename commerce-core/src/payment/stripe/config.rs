//! [`StripeConfig`]: keys, secrets and where Stripe is.

use std::{fmt, time::Duration};

use url::{Host, Url};

/// How a [`StripeGateway`](super::StripeGateway) reaches Stripe. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct StripeConfig {
    pub(super) secret_key: String,
    pub(super) webhook_secrets: Vec<String>,
    pub(super) api_base: Url,
    pub(super) return_url: Option<Url>,
    pub(super) title: String,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
}

/// How often a call without an answer is repeated, under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a call is made at most; at least once.
    pub attempts: u32,
    /// The wait before the first repetition; it doubles with each.
    pub first_delay: Duration,
}

/// Why a configuration is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeConfigError {
    /// A secret key begins with `sk_` (or `rk_`, restricted) and has no spaces.
    #[error("a Stripe secret key begins with 'sk_' or 'rk_'")]
    SecretKey,
    /// Webhook secrets can't be empty: anybody could sign with that.
    #[error("a webhook secret is empty")]
    WebhookSecret,
    /// Not an origin that secrets may be sent to.
    #[error("'{0}' is no API base: give an https origin without a path (plain http on loopback only)")]
    ApiBase(String),
    /// Not an absolute http(s) address.
    #[error("'{0}' is no address that customers can be sent back to")]
    ReturnUrl(String),
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
    Client(String),
}

impl StripeConfig {
    /// Stripe itself, with a secret key and no webhooks.
    ///
    /// # Errors
    /// [`StripeConfigError::SecretKey`] if that can't be one.
    pub fn new(secret_key: &str) -> Result<Self, StripeConfigError> {
        let named = secret_key.starts_with("sk_") || secret_key.starts_with("rk_");
        if !named || !secret_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StripeConfigError::SecretKey);
        }
        Ok(Self {
            secret_key: secret_key.to_owned(),
            webhook_secrets: Vec::new(),
            api_base: origin("https://api.stripe.com")?,
            return_url: None,
            title: "Card".to_owned(),
            retry: RetryPolicy { attempts: 3, first_delay: Duration::from_millis(300) },
            timeout: Duration::from_secs(8),
        })
    }

    /// Believes webhooks signed with this secret (`whsec_…`). While a secret is being rotated, give both.
    ///
    /// # Errors
    /// [`StripeConfigError::WebhookSecret`] if it is empty.
    pub fn webhook_secret(mut self, secret: &str) -> Result<Self, StripeConfigError> {
        if secret.trim().is_empty() {
            return Err(StripeConfigError::WebhookSecret);
        }
        self.webhook_secrets.push(secret.to_owned());
        Ok(self)
    }

    /// Where the API is: an origin, without `/v1`.
    ///
    /// # Errors
    /// [`StripeConfigError::ApiBase`] unless it is https, or plain http on loopback.
    pub fn api_base(mut self, base: &str) -> Result<Self, StripeConfigError> {
        self.api_base = origin(base)?;
        Ok(self)
    }

    /// Where banks send customers back to after 3-D Secure. With it, customers are redirected; without it, they finish in
    /// Stripe's browser library.
    ///
    /// # Errors
    /// [`StripeConfigError::ReturnUrl`] unless it is an absolute http(s) address.
    pub fn return_url(mut self, url: &str) -> Result<Self, StripeConfigError> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        self.return_url = Some(parsed.ok_or_else(|| StripeConfigError::ReturnUrl(url.to_owned()))?);
        Ok(self)
    }

    /// What customers read at checkout; `Card`, if nothing is given.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// How often calls are repeated.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How long one call may take. All attempts together should fit into the shop's `gateway_lease`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for StripeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeConfig")
            .field("api_base", &self.api_base.as_str())
            .field("webhook_secrets", &self.webhook_secrets.len())
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn origin(base: &str) -> Result<Url, StripeConfigError> {
    let wrong = || StripeConfigError::ApiBase(base.to_owned());
    let url = Url::parse(base).map_err(|_| wrong())?;
    let private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let no_more = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if private && no_more && anonymous { Ok(url) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sent_over_tls_or_not_off_the_machine() {
        let config = StripeConfig::new("sk_test_1").unwrap();
        for good in ["https://api.stripe.com", "https://x.example:8443/", "http://127.0.0.1:8420", "http://[::1]:1"] {
            assert!(config.clone().api_base(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.stripe.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "https://api.stripe.com/v1",
            "https://user:word@api.stripe.com",
            "ftp://localhost",
            "api.stripe.com",
            "",
        ] {
            assert_eq!(
                config.clone().api_base(bad).unwrap_err(),
                StripeConfigError::ApiBase(bad.to_owned()),
                "{bad} must be refused"
            );
        }
    }

    #[test]
    fn keys_and_secrets_are_checked_and_never_shown() {
        assert_eq!(StripeConfig::new("pk_test_1").unwrap_err(), StripeConfigError::SecretKey);
        assert_eq!(StripeConfig::new("sk_test_1\n").unwrap_err(), StripeConfigError::SecretKey);
        let config = StripeConfig::new("sk_test_hush").unwrap();
        assert_eq!(config.clone().webhook_secret(" ").unwrap_err(), StripeConfigError::WebhookSecret);
        let shown = format!("{:?}", config.webhook_secret("whsec_hush").unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
