//! [`PaymentGateway`]: the door to those who move the money.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{OrderId, PaymentId, RefundId},
    money::{Currency, Money},
    payment::{AmountNotPayable, PayableAmounts},
};

pub use super::report::{
    GatewayAccount, GatewayPayment, GatewayRefund, GatewayRefundState, GatewayState, NextAction, RefundReport,
};

/// A way to pay that the customer may choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentMethod {
    /// What checkout's `payment.method` names.
    pub code: String,
    /// What the customer reads.
    pub title: String,
    /// The gateway that serves it.
    pub gateway: String,
    /// How to pay by it, where customers pay outside the shop: the bank account, say. It stands in the order and in its mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl PaymentMethod {
    /// A method without instructions.
    #[must_use]
    pub fn new(code: impl Into<String>, title: impl Into<String>, gateway: impl Into<String>) -> Self {
        Self { code: code.into(), title: title.into(), gateway: gateway.into(), instructions: None }
    }
}

/// Asks for a payment. The same request with the same `payment_id` has its effect once.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// Our id: the idempotency key.
    pub payment_id: PaymentId,
    /// The order, for the gateway's metadata.
    pub order_id: OrderId,
    /// The order's number, for the customer's statement.
    pub order_number: String,
    /// The method the customer chose.
    pub method: String,
    /// How much.
    pub amount: Money,
    /// The gateway's token for the customer's card or account.
    pub token: Option<String>,
    /// Whether to take the money at once, or only have it promised.
    pub capture: bool,
}

/// Asks to take promised money. One capture a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureRequest {
    /// Our id: with `capture`, the idempotency key.
    pub payment_id: PaymentId,
    /// What the gateway calls the payment.
    pub reference: String,
    /// How much; the rest of the promise lapses.
    pub amount: Money,
}

/// Asks to give a promise back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidRequest {
    /// Our id: with `void`, the idempotency key.
    pub payment_id: PaymentId,
    /// What the gateway calls the payment, if it ever told us.
    pub reference: Option<String>,
}

/// Asks to send money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// Our id: the idempotency key.
    pub refund_id: RefundId,
    /// The payment.
    pub payment_id: PaymentId,
    /// What the gateway calls the payment.
    pub reference: String,
    /// How much.
    pub amount: Money,
}

/// What a webhook says. The shop doesn't believe it: it asks the gateway how the payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayEvent {
    /// A payment may have moved.
    Payment {
        /// The gateway's id of the event: each has its effect once.
        event_id: String,
        /// What the gateway calls the payment.
        reference: String,
        /// Our id, from the metadata.
        payment_id: Option<PaymentId>,
        /// How the gateway says it stands.
        payment: GatewayPayment,
    },
    /// A refund may have moved. One that isn't the shop's is booked as a refund with the origin `gateway`.
    Refund {
        /// The gateway's id of the event.
        event_id: String,
        /// What the gateway calls the payment.
        payment_reference: String,
        /// Our id, from the metadata.
        refund_id: Option<RefundId>,
        /// How the gateway says it stands.
        refund: GatewayRefund,
    },
    /// Money of a payment may have gone back; the event doesn't say by which refunds. The shop asks for the account.
    Refunds {
        /// The gateway's id of the event.
        event_id: String,
        /// What the gateway calls the payment.
        payment_reference: String,
    },
    /// The customer disputes the payment.
    Disputed {
        /// The gateway's id of the event.
        event_id: String,
        /// What the gateway calls the payment.
        reference: String,
    },
    /// Something that happened to another account than the shop's.
    Foreign {
        /// The gateway's id of the event.
        event_id: String,
        /// Whose account.
        account: String,
        /// What the gateway calls the payment.
        reference: String,
        /// Our id, from the metadata.
        payment_id: Option<PaymentId>,
    },
    /// Something else, of no concern.
    Other,
}

/// Why a gateway call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Certainly without effect: not reached, refused for load. The same call may be made again.
    #[error("the payment gateway is unavailable: {0}")]
    Unavailable(String),
    /// The call may have had its effect: ask with `retrieve`, or repeat it under the same key.
    #[error("the payment gateway's answer is unknown: {0}")]
    Unknown(String),
    /// The gateway says the call can't be: a wrong token, a wrong state, more than there is. Certainly without effect.
    #[error("the payment gateway refused the call: {0}")]
    Rejected(String),
    /// The gateway can't move this amount: too little, too much, not in these units. Certainly without effect, and no decline.
    #[error("the payment gateway can't move this amount: {0}")]
    AmountNotPayable(String),
}

impl From<AmountNotPayable> for GatewayError {
    fn from(error: AmountNotPayable) -> Self {
        Self::AmountNotPayable(error.to_string())
    }
}

/// Why a webhook isn't believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// This gateway has no webhooks.
    #[error("this gateway sends no webhooks")]
    Unsupported,
    /// The signature is missing, wrong, or older than 300 seconds.
    #[error("the webhook's signature is missing, wrong or too old")]
    Signature,
    /// The body can't be read.
    #[error("the webhook's body can't be read: {0}")]
    Malformed(String),
}

/// A webhook as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRequest<'a> {
    /// The signature header's value.
    pub signature: Option<&'a str>,
    /// The raw body, to the byte.
    pub body: &'a [u8],
    /// When it arrived.
    pub at: Timestamp,
}

/// Moves money: Stripe, the test gateway, an embedder's own.
///
/// Contract: every call is idempotent by our id for [`key_horizon`](PaymentGateway::key_horizon); a repeated call answers
/// with the present state. `commerce_core::conformance` (feature `conformance`) has the tests.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// The gateway's code, as kept with payments: `stripe`.
    fn code(&self) -> &str;

    /// The ways to pay it offers.
    fn methods(&self) -> Vec<PaymentMethod>;

    /// Which amounts of a currency it can take, capture and send back; any, unless it says otherwise. A checkout of a total
    /// that it can't take is refused before anything is reserved; captures and refunds that the shop works out by itself are
    /// rounded down to its steps, and what remains goes back with a refund of the rest.
    fn amounts(&self, currency: Currency) -> PayableAmounts {
        let _ = currency;
        PayableAmounts::default()
    }

    /// How long the gateway remembers our keys: "not found" is no proof of "never happened" before that has passed.
    fn key_horizon(&self) -> Duration {
        Duration::from_hours(24)
    }

    /// Has money promised or taken.
    ///
    /// # Errors
    /// See [`GatewayError`]. A decline is an answer, not an error.
    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError>;

    /// Takes promised money.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn capture(&self, request: &CaptureRequest) -> Result<GatewayPayment, GatewayError>;

    /// Gives a promise back. A payment that was already taken is answered as it stands, not voided.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError>;

    /// Sends money back.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError>;

    /// How a payment stands; `None` if the gateway doesn't know it (yet).
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn retrieve(
        &self,
        payment: PaymentId,
        reference: Option<&str>,
    ) -> Result<Option<GatewayPayment>, GatewayError>;

    /// All that the gateway's own books say of a payment, its refunds by whomever included: for reconciliation, and for
    /// booking refunds that were made past the shop. `None` if it keeps no books.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn account(
        &self,
        payment: PaymentId,
        reference: Option<&str>,
    ) -> Result<Option<GatewayAccount>, GatewayError> {
        let _ = (payment, reference);
        Ok(None)
    }

    /// Checks a webhook's signature and reads it.
    ///
    /// # Errors
    /// See [`WebhookError`].
    fn webhook(&self, request: &WebhookRequest<'_>) -> Result<GatewayEvent, WebhookError> {
        let _ = request;
        Err(WebhookError::Unsupported)
    }
}
