//! What a shop is told about itself: [`Settings`].

use std::time::Duration;

use crate::money::Currency;

/// Where messages come from that don't leave the machine.
pub const LOCAL_SENDER: &str = "shop@localhost";

/// What a shop can be told about itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The shop's name: the sender's name of messages, and in their texts.
    pub shop_name: String,
    /// Where the shop's pages are, for links in messages; without a slash at the end.
    pub public_url: String,
    /// The address that messages come from. A mailer that sends them away [needs one](crate::notification::Mailer::needs_sender); other messages
    /// come from [`LOCAL_SENDER`] if there is none.
    pub mail_from: Option<String>,
    /// The shop's one currency.
    pub currency: Currency,
    /// Whether prices are gross (tax included) or net.
    pub prices_include_tax: bool,
    /// Whether payments are taken at checkout, or only promised and captured by staff later.
    pub capture_at_checkout: bool,
    /// How many sign-ins to one account may fail in a quarter of an hour, on all servers together; `None` for any number.
    pub sign_in_attempts: Option<u32>,
    /// How many links that confirm an address or reset a password anybody may have mailed to one account in a quarter of an
    /// hour, on all servers together; more are quietly not sent. `None` for any number.
    pub mailed_links: Option<u32>,
    /// How long an access token is good for; at most ten minutes is advisable.
    pub access_ttl: Duration,
    /// How long a refresh token is good for if it isn't used.
    pub refresh_idle_ttl: Duration,
    /// How long a session lasts at most.
    pub session_ttl: Duration,
    /// How long a confirmation link is good for.
    pub confirm_ttl: Duration,
    /// How long a password reset link is good for.
    pub reset_ttl: Duration,
    /// How long stock stays reserved for an order whose payment waits for the customer.
    pub reservation_ttl: Duration,
    /// How long an offline payment is awaited before its order is given up, for orders placed from then on; `None` for ever. An
    /// order of which something has left is kept.
    pub unpaid_ttl: Option<Duration>,
    /// How long a call to a payment gateway is given before recovery takes over.
    pub gateway_lease: Duration,
    /// The low-stock threshold of variants that don't say.
    pub low_stock_threshold: i64,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            shop_name: "Shop".to_owned(),
            public_url: "http://127.0.0.1:8080".to_owned(),
            mail_from: None,
            currency: Currency::EUR,
            prices_include_tax: true,
            capture_at_checkout: true,
            sign_in_attempts: Some(20),
            mailed_links: Some(5),
            access_ttl: Duration::from_mins(10),
            refresh_idle_ttl: Duration::from_secs(14 * DAY),
            session_ttl: Duration::from_secs(90 * DAY),
            confirm_ttl: Duration::from_secs(3 * DAY),
            reset_ttl: Duration::from_hours(1),
            reservation_ttl: Duration::from_mins(15),
            unpaid_ttl: None,
            gateway_lease: Duration::from_secs(30),
            low_stock_threshold: 0,
        }
    }
}
